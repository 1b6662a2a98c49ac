"""From a rule to the function that executes it and writes the trace, built once as an AST.

One mechanism writes all styles (``styles``). The grammar of ``full`` (paper, rule-following format):

- ``1. Initialize``, then ``name = value`` for each argument.
- Each loop has a numbered header (``2. Main loop``, ``3. Inner loop``). Every test recites ``while cond:`` and shows
  the variables of ``cond``, then ``enter the loop`` and ``2.1 One iteration``, or ``do not enter``. A test that
  computes something (a call, an index, arithmetic) also shows its evaluation.
- An assignment recites its line, shows the variables that it reads, then
  ``now, x = expression = with numbers = value``, and the new value of each list that a method changed.
  ``name = literal`` is its own new value.
- ``if`` recites its line, shows the variables and the evaluated test, then ``enter if`` or ``do not enter if``.
- ``and`` and ``or`` show one line for each operand that was evaluated, and none for those that were not.
- ``N. Return`` recites the line and shows the value; last comes ``So the answer is value``.

A table that never changes (``sharing.lookup_tables``) is shown where it is set only.

``lean`` keeps recitations, loop headers and the return; of other statements it shows the new values only, and not even
these if the next test of the enclosing loop is sure to show them. A step of a counter (``count += 1``) also shows the
number before: it is short, and a model that copies it, then adds, does not have to do both at once.

``sentences`` (paper, rules in natural language) starts with ``Start`` and the arguments. It recites the numbered
sentence where ``full`` recites the line (``2.2. If num is greater than limit:``); the numbers replace all headers.
Values come in the order of ``full``, but no code is shown: the chain is ``now, x = with numbers = value``, or
``that is, with numbers = value`` where no variable takes the value, and ``together, value`` ends the operands' lines of
an ``and`` or ``or``.

``scratchpad`` (intermediate results without the rule) recites nothing. Each test of a loop, the last one too, is one
line ``name = value, name = value`` of the variables that the loop changes and that are certainly assigned before it
(``flow``); if there are none, it has no line. A rule without loops has one such line before the answer, of the
variables that it has changed: without it nothing would come between the question and the answer. Last comes
``So the answer is value``.

``blocks``, close to the paper's printing, has a builder and a grammar of its own (``instrument_blocks``).
"""

import ast
from collections.abc import Iterable, Sequence
from itertools import pairwise

from megatron_rfft.rules.code import EXCEEDED, EXTENDS, LIMIT, STEPS, WRITE, Code, assign, load
from megatron_rfft.rules.expressions import Evaluation, Names, Piece, evaluate, is_evident, is_plain
from megatron_rfft.rules.sharing import lookup_tables
from megatron_rfft.rules.styles import Style
from megatron_rfft.rules.subset import (
    assignment_targets,
    base_name,
    chained_if,
    is_counter_step,
    is_literal_assignment,
    mutated_names,
    names_read,
    target_names,
    unparse,
    variable_names,
)

ANSWER_PREFIX = "So the answer is "


def _may_extend_a_list(statement: ast.AugAssign) -> bool:
    """Whether ``x += y`` may give a list the items of a string, tuple or dict."""
    match statement.value:
        case ast.Constant(value=value):
            fits = not isinstance(value, str)
        case ast.Call(func=ast.Name(id=name)):
            fits = name in ("abs", "int", "len", "ord")
        case _:
            fits = isinstance(statement.value, ast.List | ast.Compare | ast.UnaryOp)
    return isinstance(statement.op, ast.Add) and not fits


class Instrumenter:
    """Builds the traced function ``(*arguments, write, limit) -> (answer, passes through loops)``.

    It calls ``write`` with pieces of the trace, and changes its arguments. ``function`` is used up.
    """

    def __init__(self, function: ast.FunctionDef, style: Style) -> None:
        self.function = function
        self.style = style
        self.tables = lookup_tables(function)
        self.names = Names()
        self.sections = 1
        self.return_section = 2 + sum(isinstance(node, ast.While) for node in ast.walk(function))

    def build(self) -> ast.FunctionDef:
        code = Code(self.function.body[0])
        code.text(self.style.start)
        parameters = [argument.arg for argument in self.function.args.args]
        for name in parameters if self.style.shows_arguments else ():
            code.text(f"{name} = ", load(name), "\n")
        code.add(assign(STEPS, ast.Constant(0)))
        self.block(code, self.function.body, depth=0, header=())
        signature = ast.arguments([], [ast.arg(name) for name in (*parameters, WRITE, LIMIT)], None, [], [], None, [])
        traced = ast.FunctionDef(self.function.name, signature, code.close(), [])
        return ast.copy_location(traced, self.function)

    def block(self, code: Code, body: list[ast.stmt], depth: int, header: tuple[str, ...]) -> None:
        """``header`` names the variables that the enclosing loop's next test is sure to show."""
        for statement in body:
            code.origin = statement
            match statement:
                case ast.While():
                    self.loop(code, statement, depth)
                case ast.If():
                    self.branch(code, statement, depth, header)
                case ast.Return():
                    self.leave(code, statement)
                case ast.Break() | ast.Continue() | ast.Pass():
                    code.text(self.style.recitation(statement))
                    code.add(statement)
                case _ if not self.style.shows_reads:
                    self.brief_statement(code, statement, header)
                case _:
                    self.statement(code, statement)

    # Control flow

    def loop(self, code: Code, loop: ast.While, depth: int) -> None:
        self.sections += 1
        section = self.sections
        code.text(*self.loop_header(section, self.style.loop_title(loop, depth)))
        body = Code(loop)
        test = self.loop_test(body, loop)
        stop = Code(loop)
        stop.text(*self.outcome("do not enter"))
        stop.add(ast.Break())
        body.add(ast.If(ast.UnaryOp(ast.Not(), test), stop.close(), []))
        body.add(*ast.parse(f"{STEPS} += 1\nif {STEPS} > {LIMIT}: raise {EXCEEDED}").body)
        body.text(*self.outcome("enter the loop"), *self.pass_header(section))
        leaves_early = any(isinstance(node, ast.Break | ast.Return) for node in ast.walk(loop))
        header = () if leaves_early else tuple(variable_names(loop.test))
        self.block(body, loop.body, depth + 1, header)
        code.add(ast.While(ast.Constant(True), body.close(), []))

    def loop_header(self, section: int, title: str) -> list[Piece]:
        return [f"{section}. {title}\n"] if self.style.has_headers else []

    def pass_header(self, section: int) -> list[Piece]:
        return [f"{section}.1 One iteration\n"] if self.style.has_headers else []

    def loop_test(self, code: Code, loop: ast.While) -> ast.expr:
        variables = self.variables(variable_names(loop.test)) if self.style.shows_tests else self.state(loop)
        before = [self.style.recitation(loop), *variables]
        return self.test(code, loop.test, before, show=self.style.shows_reads and not is_plain(loop.test))

    def branch(self, code: Code, branch: ast.If, depth: int, header: tuple[str, ...]) -> None:
        test = self.branch_test(code, branch)
        taken, other = Code(branch), Code(branch)
        taken.text(*self.outcome("enter if"))
        self.block(taken, branch.body, depth, header)
        other.text(*self.outcome("do not enter if"))
        chained = chained_if(branch.orelse)
        if chained:
            other.origin = chained
            self.branch(other, chained, depth, header)
        elif branch.orelse:
            other.text(self.style.otherwise(branch))
            self.block(other, branch.orelse, depth, header)
        code.add(ast.If(test, taken.close(), other.close()))

    def branch_test(self, code: Code, branch: ast.If) -> ast.expr:
        variables = self.variables(variable_names(branch.test)) if self.style.shows_reads else []
        return self.test(code, branch.test, [self.style.recitation(branch), *variables], show=self.style.shows_reads)

    def test(self, code: Code, test: ast.expr, before: list[Piece], show: bool) -> ast.expr:
        """Write the test of a loop or branch; return the expression to branch on."""
        if show:
            value = self.show(code, before, test)
        else:
            code.text(*before)
            value = self.keep(code, test) if mutated_names(test) else test
        if self.style.shows_changes:
            code.text(*self.changes(mutated_names(test)))
        return value

    def leave(self, code: Code, statement: ast.Return) -> None:
        before: list[Piece] = [f"{self.return_section}. Return\n"] if self.style.has_headers else []
        before += [self.style.recitation(statement), *self.state(statement)]
        if self.style.shows_returned:
            value = self.show(code, [*before, *self.variables(variable_names(statement.value))], statement.value)
        else:
            if mutated_names(statement.value):
                code.text(*before)
                before = []
            value = self.keep(code, statement.value)
            code.text(*before)
        code.text(ANSWER_PREFIX, value)
        code.add(ast.Return(ast.Tuple([value, load(STEPS)], ast.Load())))

    # Statements

    def brief_statement(self, code: Code, statement: ast.stmt, header: tuple[str, ...]) -> None:
        if self.style.shows_counters and is_counter_step(statement):
            code.text(self.style.recitation(statement), *self.variables(names_read(statement)))
            code.add(statement)
        else:
            code.add(statement)
            code.text(self.style.recitation(statement))
        if self.style.shows_changes and not is_literal_assignment(statement):
            changed = dict.fromkeys([*target_names(statement), *mutated_names(statement.value)])
            code.text(*self.changes(name for name in changed if name not in header))

    def statement(self, code: Code, statement: ast.Assign | ast.AugAssign | ast.Expr) -> None:
        if is_literal_assignment(statement):
            code.text(self.style.recitation(statement))
            code.add(statement)
            return
        self.tell(code, statement, [self.style.recitation(statement), *self.variables(names_read(statement))])

    def tell(self, code: Code, statement: ast.Assign | ast.AugAssign | ast.Expr, before: list[Piece]) -> None:
        """Execute the statement; write ``before`` and how its values come about."""
        targets = assignment_targets(statement)
        match statement:
            case ast.Expr(value=call):
                self.method_call(code, before, call)
            case ast.AugAssign():
                self.augmented_assignment(code, before, statement)
            case ast.Assign(value=ast.Tuple(elts=values)) if len(targets) == len(values) > 1:
                self.assignment(code, before, targets, values)
            case ast.Assign(targets=[ast.Tuple()]):
                self.unpacking(code, before, statement)
                code.text(*self.changes(target.id for target in targets if isinstance(target, ast.Name)))
            case ast.Assign():
                self.assignment(code, before, targets, [statement.value])
        inside = [base_name(target) for target in targets if isinstance(target, ast.Subscript)]
        code.text(*self.changes(dict.fromkeys([*inside, *mutated_names(statement.value)])))

    def assignment(self, code: Code, before: list[Piece], targets: list[ast.expr], values: list[ast.expr]) -> None:
        """``targets`` one for one from ``values``, all evaluated before the first is stored."""
        stores, results = [], []
        for target, value in zip(targets, values, strict=True):
            store, text = self.place(code, target)
            results.append(self.show(code, before, value, ["now, ", *text, " = "]))
            stores.append(store)
            before = []
        if len(stores) == 1:
            code.add(ast.Assign(stores, results[0]))
        else:
            code.add(ast.Assign([ast.Tuple(stores, ast.Store())], ast.Tuple(results, ast.Load())))

    def unpacking(self, code: Code, before: list[Piece], statement: ast.Assign) -> None:
        code.text(*before)
        code.add(statement)

    def augmented_assignment(self, code: Code, before: list[Piece], statement: ast.AugAssign) -> None:
        """``x += y`` is told as ``x = x + y`` but executed as it stands: on a list the two are not the same."""
        source = ast.parse(ast.unparse(statement.target), mode="eval").body
        store, text = self.place(code, statement.target)
        evaluation = self.evaluate(ast.BinOp(source, statement.op, statement.value))
        if mutated_names(statement.value):
            code.text(*before)
            code.add(*evaluation.steps)
        else:
            code.add(*evaluation.steps)
            code.text(*before)
        code.text("now, ", *text, " = ", *evaluation.chain)
        now = source if isinstance(store, ast.Name) else ast.Subscript(store.value, store.slice, ast.Load())
        right = evaluation.value.right
        if _may_extend_a_list(statement):
            if not isinstance(right, ast.Name | ast.Constant):
                right = self.keep(code, right)
            code.add(ast.Expr(ast.Call(load(EXTENDS), [now, right], [])))
        code.add(ast.AugAssign(store, statement.op, right))
        code.text(now, "\n")

    def place(self, code: Code, target: ast.expr) -> tuple[ast.expr, list[Piece]]:
        """The target with its indices evaluated, and its text: ``counts[c]`` is told as ``counts['a']``."""
        if isinstance(target, ast.Name):
            return target, [target.id]
        base, text = self.place(code, target.value)
        is_known = isinstance(target.slice, ast.Name | ast.Constant)
        index = target.slice if is_known else self.keep(code, target.slice)
        return ast.Subscript(base, index, target.ctx), [*text, "[", index, "]"]

    def method_call(self, code: Code, before: list[Piece], call: ast.Call) -> None:
        code.text(*before)
        arguments = [self.show(code, [], argument) for argument in call.args]
        code.add(ast.Expr(ast.Call(call.func, arguments, [])))

    # Pieces of text

    def show(self, code: Code, before: list[Piece], expression: ast.expr, prefix: Sequence[Piece] = ()) -> ast.expr:
        """Write ``before`` and the line ``prefix expression = with numbers = value``; return the value's expression.

        Without a prefix a name or literal needs no line.
        """
        if isinstance(expression, ast.BoolOp):
            code.text(*before)
            value = self.show_operands(code, expression)
            whole = [unparse(expression), " = "] if self.style.has_code else [] if prefix else ["together, "]
            code.text(*prefix, *whole, value, "\n")
            return value
        evaluation = self.evaluate(expression)
        changing = bool(mutated_names(expression))
        if changing:
            code.text(*before)
        code.add(*evaluation.steps)
        value = evaluation.value
        if not isinstance(value, ast.Name | ast.Constant):
            value = self.keep(code, value)
        if not changing:  # the text may as well come behind the evaluation: then it joins the text that follows
            code.text(*before)
        if prefix or not is_evident(expression):
            code.text(*(prefix or [self.style.value_prefix]), *evaluation.chain, value, "\n")
        return value

    def show_operands(self, code: Code, expression: ast.BoolOp) -> ast.Name:
        """Evaluate ``and``/``or``: a line for each operand that Python evaluates; return the result's name."""
        result = self.names.fresh()
        levels = [code]
        for operand in expression.values:
            if operand is not expression.values[0]:
                levels.append(Code(code.origin))
            levels[-1].add(assign(result, self.show(levels[-1], [], operand)))
        for outer, inner in reversed(list(pairwise(levels))):
            go_on = load(result) if isinstance(expression.op, ast.And) else ast.UnaryOp(ast.Not(), load(result))
            outer.add(ast.If(go_on, inner.close(), []))
        return load(result)

    def keep(self, code: Code, expression: ast.expr) -> ast.Name:
        """Evaluate ``expression`` into a temporary."""
        name = self.names.fresh()
        code.add(assign(name, expression))
        return load(name)

    def evaluate(self, expression: ast.expr) -> Evaluation:
        return evaluate(expression, self.names, self.style.has_code)

    def outcome(self, words: str) -> list[Piece]:
        return [words, "\n"] if self.style.shows_tests else []

    def state(self, place: ast.stmt) -> list[Piece]:
        """The line that a scratchpad writes at ``place``, if any."""
        names = self.style.states.get(id(place), [])
        pieces = [piece for name in names for piece in (", ", f"{name} = ", load(name))]
        return [*pieces[1:], "\n"] if pieces else []

    def variables(self, names: Iterable[str]) -> list[Piece]:
        return [piece for name in names if name not in self.tables for piece in (f"{name} = ", load(name), "\n")]

    def changes(self, names: Iterable[str]) -> list[Piece]:
        return [piece for name in names for piece in (f"now, {name} = ", load(name), "\n")]
