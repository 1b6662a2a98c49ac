"""The Python that a rule may use: one small, visible step on each line.

Comprehensions, ``for``, ``sorted`` or ``sum`` hide a loop, conditional expressions hide a branch; a trace can only
recite what the rule spells out. Each refusal names the line and the fix. ``xs.sort()`` is one step, like
``xs.reverse()``, for the paper's random rules over short lists; a rule whose point is to sort spells it out.
"""

import ast
import textwrap
from collections.abc import Callable, Iterator

from megatron_rfft.common.errors import UserError

BUILTINS = {
    "abs": abs,
    "bool": bool,
    "chr": chr,
    "int": int,
    "len": len,
    "max": max,
    "min": min,
    "ord": ord,
    "str": str,
}
MUTATING_METHODS = frozenset({"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"})
STRING_TESTS = {"endswith", "isalnum", "isalpha", "isdigit", "islower", "isspace", "isupper", "startswith"}
PURE_METHODS = frozenset({"copy", "get", "lower", "upper", *STRING_TESTS})
METHODS = MUTATING_METHODS | PURE_METHODS

_STATEMENTS = (ast.Assign, ast.AugAssign, ast.Expr, ast.If, ast.While, ast.Return, ast.Break, ast.Continue, ast.Pass)
_EXPRESSIONS = (
    *(ast.Constant, ast.Name, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare),
    *(ast.Subscript, ast.Slice, ast.Call, ast.List, ast.Tuple, ast.Dict),
)
_INDENT = "    "
_LOOP = "write `while xs:` with `x = xs.pop(0)` in it, so that the remaining work shows at every test"
_BRANCH = "write `if` and `else` on lines of their own"
_FIXES = {
    ast.For: ("a for loop", _LOOP),
    ast.ListComp: ("a list comprehension", _LOOP),
    ast.SetComp: ("a set comprehension", _LOOP),
    ast.DictComp: ("a dict comprehension", _LOOP),
    ast.GeneratorExp: ("a generator expression", _LOOP),
    **dict.fromkeys((ast.Yield, ast.YieldFrom), ("a generator", "collect the values in a list and return it")),
    ast.IfExp: ("a conditional expression", _BRANCH),
    ast.Match: ("a match statement", "write `if` and `elif`"),
    ast.Lambda: ("a lambda", "write the computation on the line that needs it"),
    **dict.fromkeys(
        (ast.FunctionDef, ast.AsyncFunctionDef), ("a nested function", "write its lines where they are needed")
    ),
    ast.ClassDef: ("a class", "hold the state in variables"),
    ast.Try: ("try", "test for the case with `if` before it happens"),
    ast.With: ("with", "give the values as arguments"),
    **dict.fromkeys((ast.Import, ast.ImportFrom), ("an import", "write the steps out")),
    ast.Global: ("global", "give the value as an argument"),
    ast.Nonlocal: ("nonlocal", "give the value as an argument"),
    ast.AnnAssign: ("an annotated assignment", "leave the annotation out"),
    ast.Delete: ("del", "use `xs.pop(i)`"),
    ast.Raise: ("raise", "return a value for this case"),
    ast.Assert: ("assert", "leave it out, or return a value for this case"),
    ast.NamedExpr: ("an assignment expression", "assign on a line of its own"),
    ast.JoinedStr: ("an f-string", "use `+` and `str()`"),
    ast.Starred: ("a starred expression", "name the values one by one"),
    ast.Set: ("a set", "use a list or a dict: the order in which a set prints is not fixed"),
    ast.Attribute: ("an attribute", "call one of the methods: " + ", ".join(sorted(METHODS))),
}


class RuleError(UserError):
    """A rule that can't be traced: names the line and the fix."""


def too_deep() -> RuleError:
    """The error for a rule that exhausts Python's stack."""
    return RuleError("a rule is nested too deeply; name parts of long expressions on lines before, use fewer elif")


def parse_rule(source: str) -> ast.FunctionDef:
    """Parse and check a rule; return its function without docstring, comments and annotations.

    Line numbers stay those of ``source``. Raises RuleError for anything outside the subset.
    """
    function = parse_function(source)
    _Checker(function).check()
    return function


def parse_function(source: str) -> ast.FunctionDef:
    """What ``parse_rule`` returns, for a source that it has checked before."""
    try:
        module = ast.parse(textwrap.dedent(source))
    except SyntaxError as error:
        raise RuleError(f"rule, line {error.lineno or 1}: {error.msg}; fix the Python syntax") from error
    except ValueError as error:  # a NUL byte
        raise RuleError(f"rule: {error}; fix the Python syntax") from error
    except (RecursionError, MemoryError):
        raise too_deep() from None
    if len(module.body) != 1 or not isinstance(module.body[0], ast.FunctionDef):
        line = module.body[1].lineno if len(module.body) > 1 else 1
        raise RuleError(f"rule, line {line}: a rule is exactly one function; start with `def name(arguments):`")
    function = module.body[0]
    if ast.get_docstring(function) is not None:
        del function.body[0]
    function.returns = None
    for argument in function.args.args:
        argument.annotation = None
    return function


def source_of(function: ast.FunctionDef, comment: Callable[[ast.While, int], str] | None = None) -> str:
    """The canonical source: one statement a line, single quotes, as the trace recites it.

    ``comment(loop, depth)`` is what a line ``# ...`` above each loop says, within ``depth`` others.
    """
    parameters = ", ".join(argument.arg for argument in function.args.args)
    return "\n".join([f"def {function.name}({parameters}):", *_block_lines(function.body, _INDENT, comment, 0)])


def recite(statement: ast.stmt) -> str:
    """The one line of source that a trace recites for ``statement`` (the header for ``while`` and ``if``)."""
    if isinstance(statement, ast.While):
        return f"while {unparse(statement.test)}:"
    if isinstance(statement, ast.If):
        return f"if {unparse(statement.test)}:"
    if isinstance(statement, ast.Assign):
        return f"{_bare(statement.targets[0])} = {_bare(statement.value)}"
    if isinstance(statement, ast.Return):
        return f"return {_bare(statement.value)}"
    return ast.unparse(statement)


def unparse(expression: ast.expr) -> str:
    """Source of an expression; without the needless parentheses that ast.unparse puts into ``a and b and c < d``."""
    if isinstance(expression, ast.BoolOp):
        operator = " and " if isinstance(expression.op, ast.And) else " or "
        parts = [f"({unparse(v)})" if isinstance(v, ast.BoolOp) else ast.unparse(v) for v in expression.values]
        return operator.join(parts)
    return ast.unparse(expression)


def chained_if(orelse: list[ast.stmt]) -> ast.If | None:
    """The ``if`` that an else branch consists of, which makes it an ``elif``; None for any other branch."""
    return orelse[0] if len(orelse) == 1 and isinstance(orelse[0], ast.If) else None


def base_name(target: ast.expr) -> str:
    """The variable that ``x``, ``x[i]`` or ``x[i][j]`` belongs to."""
    while isinstance(target, ast.Subscript):
        target = target.value
    return target.id


def target_names(statement: ast.stmt) -> list[str]:
    """Variables that the statement's own assignment changes, in order; a nested block's are not counted."""
    return list(dict.fromkeys(base_name(target) for target in assignment_targets(statement)))


def assignment_targets(statement: ast.stmt) -> list[ast.expr]:
    """The names and items that the statement's own assignment sets, none for other statements."""
    if isinstance(statement, ast.Assign):
        target = statement.targets[0]
        return target.elts if isinstance(target, ast.Tuple) else [target]
    return [statement.target] if isinstance(statement, ast.AugAssign) else []


def mutated_names(expression: ast.expr) -> list[str]:
    """Variables that the methods called in ``expression`` change, in order."""
    return list(dict.fromkeys(base_name(call.func.value) for call in in_order(expression) if is_mutation(call)))


def is_mutation(node: ast.AST) -> bool:
    """Whether the node calls a method that changes its list or dict."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATING_METHODS


def in_order(node: ast.AST) -> Iterator[ast.AST]:
    """The node and what is below it, in the order in which it is read.

    Tracing a fresh rule calls this hundreds of times; written out like this it takes a third of ast.walk's time.
    """
    pending = [node]
    while pending:
        node = pending.pop()
        yield node
        children: list[ast.AST] = []
        for name in node._fields:
            child = getattr(node, name, None)
            if isinstance(child, list):
                children += [item for item in child if isinstance(item, ast.AST)]
            elif isinstance(child, ast.AST) and not isinstance(child, ast.expr_context):
                children.append(child)
        pending += reversed(children)


def variable_names(expression: ast.expr) -> list[str]:
    """Variables that the expression reads, in order, without the names of called builtins."""
    called: set[int] = set()
    names: dict[str, None] = {}
    for node in in_order(expression):
        if isinstance(node, ast.Call):
            called.add(id(node.func))  # which is read after the call
        elif isinstance(node, ast.Name) and id(node) not in called:
            names[node.id] = None
    return list(names)


def names_read(statement: ast.stmt) -> list[str]:
    """Variables that the statement reads or changes, in order: for a loop or branch, those of its test."""
    if isinstance(statement, ast.While | ast.If):
        return variable_names(statement.test)
    if not hasattr(statement, "value") or is_literal_assignment(statement):
        return []
    own = [statement.target] if isinstance(statement, ast.AugAssign) else []
    places = [target for target in assignment_targets(statement) if isinstance(target, ast.Subscript)]
    return list(dict.fromkeys(name for part in (*own, statement.value, *places) for name in variable_names(part)))


def is_literal_assignment(statement: ast.stmt) -> bool:
    """Whether the line is ``name = literal``: it shows by itself what it does."""
    is_assignment = isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    return is_assignment and is_literal(statement.value)


def is_counter_step(statement: ast.stmt) -> bool:
    """Whether the line is ``name += 1`` or another step by a literal number: what the name holds is short, too."""
    match statement:
        case ast.AugAssign(ast.Name(), ast.Add() | ast.Sub(), ast.Constant(int())):
            return True
    return False


def is_literal(expression: ast.expr) -> bool:
    """Whether the source of the expression is already its value as Python prints it."""
    try:
        return repr(ast.literal_eval(expression)) == ast.unparse(expression)
    except (ValueError, TypeError):  # TypeError: a dict display with a list for a key
        return False


def _bare(expression: ast.expr) -> str:
    """Source of an assignment's side or a return value: a tuple of several without parentheses."""
    if isinstance(expression, ast.Tuple) and len(expression.elts) > 1:
        return ", ".join(unparse(element) for element in expression.elts)
    return unparse(expression)


def _block_lines(body: list[ast.stmt], indent: str, comment, depth: int) -> Iterator[str]:
    for statement in body:
        is_loop = isinstance(statement, ast.While)
        if is_loop and comment:
            yield f"{indent}# {comment(statement, depth)}"
        yield indent + recite(statement)
        if isinstance(statement, ast.While | ast.If):
            yield from _block_lines(statement.body, indent + _INDENT, comment, depth + is_loop)
        if isinstance(statement, ast.If) and statement.orelse:
            if chained_if(statement.orelse):
                first, *rest = _block_lines(statement.orelse, indent, comment, depth)
                yield from [f"{indent}el{first.strip()}", *rest]
            else:
                yield from [f"{indent}else:", *_block_lines(statement.orelse, indent + _INDENT, comment, depth)]


def refusal(function: ast.FunctionDef, node: ast.AST, what: str, fix: str) -> RuleError:
    """The error for ``what`` at ``node``."""
    line = getattr(node, "lineno", function.lineno)
    return RuleError(f"rule {function.name}, line {line}: {what} is outside the subset of rules; {fix}")


class _Checker:
    """Walks a rule and refuses, with line and fix, what the trace can't show."""

    def __init__(self, function: ast.FunctionDef) -> None:
        self.function = function
        stores = (node for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
        self.variables = {node.id for node in stores} | {argument.arg for argument in function.args.args}

    def refuse(self, node: ast.AST, what: str, fix: str) -> None:
        raise refusal(self.function, node, what, fix)

    def check(self) -> None:
        signature = self.function.args
        extra = signature.posonlyargs + signature.kwonlyargs + signature.defaults
        if extra or signature.vararg or signature.kwarg or not signature.args:
            self.refuse(self.function, "this signature", "name one or more plain arguments")
        if self.function.decorator_list:
            self.refuse(self.function.decorator_list[0], "a decorator", "leave it out")
        for node in ast.walk(self.function):
            name = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else ""
            if name.startswith("_") and name in self.variables:
                self.refuse(node, f"the name {name!r}", "start names with a letter")
        if not self.function.body or not isinstance(self.function.body[-1], ast.Return):
            last = self.function.body[-1] if self.function.body else self.function
            self.refuse(last, "a rule without a last return", "end the function in `return value`")
        self.block(self.function.body)

    def block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            if not isinstance(statement, _STATEMENTS):
                self.refuse_node(statement)
            self.statement(statement)
            if isinstance(statement, ast.While | ast.If):
                self.block(statement.body)
                self.block(statement.orelse)

    def statement(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Assign):
            if len(statement.targets) > 1:
                self.refuse(statement, "`a = b = value`", "assign on a line each")
            for target in assignment_targets(statement):
                self.target(target)
        elif isinstance(statement, ast.AugAssign):
            self.operator(statement)
            self.target(statement.target)
        elif isinstance(statement, ast.Expr):
            if isinstance(statement.value, ast.Call):
                self.expression(statement.value)
            if not is_mutation(statement.value):
                self.refuse_node(statement.value, ("an expression that changes nothing", "assign it, or leave it out"))
        elif isinstance(statement, ast.Return) and statement.value is None:
            self.refuse(statement, "return without a value", "return the answer")
        elif isinstance(statement, ast.While) and statement.orelse:
            self.refuse(statement.orelse[0], "else after while", "write these lines behind the loop")
        for expression in (getattr(statement, "value", None), getattr(statement, "test", None)):
            if expression is not None:
                self.expression(expression)
        self.indices(statement)

    def target(self, target: ast.expr) -> None:
        base = target
        while isinstance(base, ast.Subscript):
            if isinstance(base.slice, ast.Slice):
                self.refuse(target, "assigning to a slice", "assign the items one by one")
            if mutated_names(base.slice):
                self.refuse(target, "a changing call in an assignment's target", "call it on a line before")
            self.expression(base.slice)
            base = base.value
        if not isinstance(base, ast.Name):
            self.refuse(target, f"assigning to `{ast.unparse(target)}`", "assign to a name, or to an item of one")
        self.expression(base)

    def indices(self, statement: ast.stmt) -> None:
        """Refuse an index that the assignment itself may change: the place would depend on the order of evaluation."""
        targets = assignment_targets(statement)
        changed = set(target_names(statement)) if len(targets) > 1 else set()
        changed.update(mutated_names(statement.value) if targets else [])
        if isinstance(statement, ast.AugAssign) and base_name(statement.target) in changed:
            what = f"`{ast.unparse(statement)}`, which changes {base_name(statement.target)} twice,"
            self.refuse(statement, what, "call the method on a line before")
        for target in targets:
            while isinstance(target, ast.Subscript):
                if changed & set(variable_names(target.slice)):
                    what = f"an index of `{ast.unparse(target)}` that its own line changes"
                    self.refuse(target, what, "give it a name on a line before")
                target = target.value

    def expression(self, expression: ast.expr) -> None:
        if not isinstance(expression, _EXPRESSIONS):
            self.refuse_node(expression)
        if isinstance(expression, ast.Constant):
            if not isinstance(expression.value, int | float | str | None):
                self.refuse(expression, f"the constant {expression.value!r}", "use numbers, strings, True, False, None")
        elif isinstance(expression, ast.Name):
            if expression.id not in self.variables:
                fix = f"use an argument, a variable or a call of {', '.join(sorted(BUILTINS))}"
                self.refuse(expression, f"the name {expression.id!r}", fix)
        elif isinstance(expression, ast.Call):
            self.call(expression)
        elif isinstance(expression, ast.Compare) and len(expression.ops) > 1:
            self.refuse(expression, "a chained comparison", "write `a < b and b < c`")
        elif isinstance(expression, ast.Compare) and isinstance(expression.ops[0], ast.Is | ast.IsNot):
            self.refuse(expression, "the comparison `is`", "write `==` or `!=`: rules compare values")
        elif isinstance(expression, ast.Dict) and None in expression.keys:
            self.refuse(expression, "`**` in a dict", "name the items one by one")
        else:
            if isinstance(expression, ast.BinOp):
                self.operator(expression)
            for child in ast.iter_child_nodes(expression):
                if isinstance(child, ast.expr):
                    self.expression(child)

    def operator(self, node: ast.BinOp | ast.AugAssign) -> None:
        if isinstance(node.op, ast.Pow | ast.MatMult):
            self.refuse(node, "the operator `**` or `@`", "write a loop of multiplications")

    def call(self, call: ast.Call) -> None:
        if call.keywords:
            self.refuse(call, "a keyword argument", "give the arguments in order")
        for argument in call.args:
            self.expression(argument)
        if isinstance(call.func, ast.Attribute) and call.func.attr in METHODS:
            self.expression(call.func.value)
            receiver = call.func.value
            while isinstance(receiver, ast.Subscript) and not isinstance(receiver.slice, ast.Slice):
                receiver = receiver.value
            if is_mutation(call) and not isinstance(receiver, ast.Name):
                self.refuse(call, f"`{ast.unparse(call)}`", "give the list a name and call the method on it")
        elif not isinstance(call.func, ast.Name) or call.func.id in self.variables or call.func.id not in BUILTINS:
            known = ", ".join(sorted(BUILTINS) + sorted("." + name for name in METHODS))
            self.refuse(call, f"`{ast.unparse(call.func)}`", f"write the steps out; a rule may call {known}")
        elif call.func.id in ("max", "min"):
            if len(call.args) < 2:
                self.refuse(call, f"`{call.func.id}` of a list", f"{_LOOP} and compare two values at a time")
        elif len(call.args) != 1:
            self.refuse(call, f"`{call.func.id}` with {len(call.args)} arguments", "give it one")

    def refuse_node(self, node: ast.AST, otherwise: tuple[str, str] | None = None) -> None:
        plain = (f"`{type(node).__name__}`", "write it with assignments, if and while")
        self.refuse(node, *_FIXES.get(type(node), otherwise or plain))
