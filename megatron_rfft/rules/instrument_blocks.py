"""The style ``blocks``, close to the printing of the paper's own traces.

What differs from ``full`` (``instrument``):

- Consecutive simple statements of a block are a run. They are recited together, then come the old values of all
  variables that they read, then all results in order: for each statement the sub-expressions, then
  ``now, x = value``. A run of ``name = literal`` shows itself.
- An ``if``, ``elif`` or ``else`` is recited with the run, or the ``return``, that its body begins with, indented.
  Entered, it shows that run's values without reciting it again, and no old value that the test has just shown; there
  ``name = literal`` has its ``now, x = literal``.
- Each access, call, operation and comparison within an expression has a line of its own, ``num % 10 = 5``, in the
  order of evaluation. Tests and returned values have one for the whole.
- A loop with another one in it is the ``Outer loop``, one in another the ``Inner loop``, any other the ``Main loop``.

A run ends early where a statement reads what an earlier one has changed through another name, so that no old value is
stale. The paper prints no grammar: where its examples leave something open, the choice here is ours.
"""

import ast

from megatron_rfft.rules.blocks import Run
from megatron_rfft.rules.code import Code, load
from megatron_rfft.rules.expressions import Piece, is_evident
from megatron_rfft.rules.instrument import Instrumenter
from megatron_rfft.rules.subset import (
    chained_if,
    in_order,
    is_literal,
    is_literal_assignment,
    is_mutation,
    names_read,
    recite,
    unparse,
)


class BlockInstrumenter(Instrumenter):
    def block(self, code: Code, body: list[ast.stmt], depth: int, header=(), is_recited: bool = False) -> None:
        """``is_recited``: the run that the block begins with has been recited with the ``if``."""
        for segment in self.style.layout.segments(body):
            if isinstance(segment, Run):
                self.run(code, segment, is_recited)
            else:
                code.origin = segment
                match segment:
                    case ast.While():
                        self.loop(code, segment, depth)
                    case ast.If():
                        self.branch(code, segment, depth, header)
                    case ast.Return():
                        self.leave(code, segment)
            is_recited = False

    def run(self, code: Code, run: Run, is_recited: bool) -> None:
        code.origin = run.statements[0]
        if not is_recited:
            code.text(*(f"{line}\n" for line in run.lines))
        code.text(*self.variables(run.shown))
        for statement in run.statements:
            code.origin = statement
            if isinstance(statement, ast.Break | ast.Continue):
                code.add(statement)
            elif is_literal_assignment(statement):
                code.add(statement)
                if is_recited or not run.shows_itself:
                    code.text(f"now, {recite(statement)}\n")
            elif not isinstance(statement, ast.Pass):
                self.tell(code, statement, [])

    def branch(self, code: Code, branch: ast.If, depth: int, header=(), word: str = "if") -> None:
        layout = self.style.layout
        before = [f"{line}\n" for line in layout.recited_with(branch, word)]
        test = self.test(code, branch.test, [*before, *self.variables(names_read(branch))], show=True)
        taken, other = Code(branch), Code(branch)
        taken.text(*self.outcome("enter if"))
        self.block(taken, branch.body, depth, is_recited=True)
        other.text(*self.outcome("do not enter if"))
        chained = chained_if(branch.orelse)
        if chained:
            other.origin = chained
            self.branch(other, chained, depth, word="elif")
        elif branch.orelse:
            other.text(*(f"{line}\n" for line in layout.recited_otherwise(branch)))
            self.block(other, branch.orelse, depth, is_recited=True)
        code.add(ast.If(test, taken.close(), other.close()))

    def unpacking(self, code: Code, before: list[Piece], statement: ast.Assign) -> None:
        code.add(ast.Assign(statement.targets, self.show(code, before, statement.value)))

    def augmented_assignment(self, code: Code, before: list[Piece], statement: ast.AugAssign) -> None:
        store, text = self.place(code, statement.target)
        now = load(store.id) if isinstance(store, ast.Name) else ast.Subscript(store.value, store.slice, ast.Load())
        if isinstance(store, ast.Subscript):
            code.text(f"{unparse(statement.target)} = ", now, "\n")
        value = self.computed(code, statement.value)
        code.add(ast.AugAssign(store, statement.op, value))
        code.text("now, ", *text, " = ", now, "\n")

    def place(self, code: Code, target: ast.expr) -> tuple[ast.expr, list[Piece]]:
        if isinstance(target, ast.Subscript) and not isinstance(target.slice, ast.Name | ast.Constant):
            index = self.computed(code, target.slice)
            base, text = self.place(code, target.value)
            return ast.Subscript(base, index, target.ctx), [*text, "[", index, "]"]
        return super().place(code, target)

    def show(self, code: Code, before: list[Piece], expression: ast.expr, prefix=()) -> ast.expr:
        """Write the lines of the sub-expressions, and that of the whole with ``prefix`` in place of its code."""
        code.text(*before)
        value = self.computed(code, expression, is_whole=True)
        if not isinstance(value, ast.Name | ast.Constant):
            value = self.keep(code, value)
        if prefix or not is_evident(expression):
            code.text(*(prefix or [f"{unparse(expression)} = "]), value, "\n")
        return value

    def computed(self, code: Code, expression: ast.expr, is_whole: bool = False) -> ast.expr:
        """Evaluate the expression and write the lines of its parts; without that of the whole if ``is_whole``."""
        at_once = any(isinstance(node, ast.BoolOp) or is_mutation(node) for node in in_order(expression))
        lines: list[Piece] | None = None if at_once else []
        value = self.part(code, expression, lines, is_whole)
        code.text(*lines or ())
        return value

    def part(self, code: Code, node: ast.expr, lines: list[Piece] | None, is_whole: bool = False) -> ast.expr:
        """Evaluate ``node`` piece by piece, each in Python's order; the value, in a temporary if it was computed.

        Lines of text are added to ``lines`` (to be written behind the evaluation, in one piece), or written at once if
        there are none: where something changes, or an operand may be left out.
        """
        if isinstance(node, ast.Name | ast.Constant) or is_literal(node):
            return node
        if isinstance(node, ast.BoolOp):
            value = self.show_operands(code, node)
        else:
            value = self.keep(code, self.over_parts(code, node, lines))
        if not (is_whole or isinstance(node, ast.List | ast.Tuple | ast.Dict)):
            line = [f"{unparse(node)} = ", value, "\n"]
            if lines is None:
                code.text(*line)
            else:
                lines += line
        return value

    def over_parts(self, code: Code, node: ast.expr, lines: list[Piece] | None) -> ast.expr:
        """The node with its parts evaluated."""

        def part(node: ast.expr | None) -> ast.expr | None:
            return node and self.part(code, node, lines)

        match node:
            case ast.BinOp(left=left, op=operator, right=right):
                return ast.BinOp(part(left), operator, part(right))
            case ast.UnaryOp(op=operator, operand=operand):
                return ast.UnaryOp(operator, part(operand))
            case ast.Compare(left=left, ops=operators, comparators=[right]):
                return ast.Compare(part(left), operators, [part(right)])
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return type(node)([part(element) for element in elements], ast.Load())
            case ast.Dict(keys=keys, values=values):
                pairs = [(part(key), part(value)) for key, value in zip(keys, values, strict=True)]
                return ast.Dict([key for key, _ in pairs], [value for _, value in pairs])
            case ast.Subscript(value=value, slice=ast.Slice(lower=lower, upper=upper, step=step)):
                owner = self.owner(code, value, lines)
                return ast.Subscript(owner, ast.Slice(part(lower), part(upper), part(step)), ast.Load())
            case ast.Subscript(value=value, slice=index):
                return ast.Subscript(self.owner(code, value, lines), part(index), ast.Load())
            case ast.Call(func=ast.Attribute(value=value, attr=name), args=arguments):
                method = ast.Attribute(self.owner(code, value, lines), name, ast.Load())
                return ast.Call(method, [part(argument) for argument in arguments], [])
            case ast.Call(func=function, args=arguments):
                return ast.Call(function, [part(argument) for argument in arguments], [])
        raise TypeError(f"no parts of {ast.unparse(node)}")  # the subset has no other expressions

    def owner(self, code: Code, node: ast.expr, lines: list[Piece] | None) -> ast.expr:
        """What an index or method belongs to: the ``rows[i]`` of ``rows[i][j]`` is not a step of its own."""
        return self.part(code, node, lines, is_whole=isinstance(node, ast.Subscript))
