"""What kind of value each variable of a rule holds, as far as the syntax tree tells: it decides how sentences word it.

Not type checking: a variable is taken to hold one kind. What the tree leaves open stays open (SEQUENCE, CONTAINER,
UNKNOWN), and the wording for that is right for every kind that it may be.
"""

import ast
from collections.abc import Iterator

from megatron_rfft.rules.subset import assignment_targets

LIST, STRING, DICT, NUMBER, BOOL = "list", "string", "dict", "number", "bool"
SEQUENCE = "sequence"  # a list or a string
CONTAINER = "container"  # a list, a string or a dict
UNKNOWN = "unknown"

_WIDER = {LIST: (SEQUENCE, CONTAINER), STRING: (SEQUENCE, CONTAINER), DICT: (CONTAINER,), SEQUENCE: (CONTAINER,)}
_BUILTINS = {"abs": NUMBER, "bool": BOOL, "chr": STRING, "int": NUMBER, "len": NUMBER, "ord": NUMBER, "str": STRING}
_LIST_METHODS = {"append", "extend", "insert", "remove", "reverse", "sort"}
_ROUNDS = 20  # kinds settle after two or three; a bound, because a use may also take a kind back


class Kinds:
    """The kinds of the variables of ``function``, and of every expression in it."""

    def __init__(self, function: ast.FunctionDef) -> None:
        self.names: dict[str, str | None] = {}
        self._definitions = list(_definitions(function))
        self._uses = [node for node in ast.walk(function) if isinstance(node, ast.expr | ast.AugAssign)]
        for _ in range(_ROUNDS):
            found = self._round()
            if found == self.names:
                break
            self.names = found

    def of(self, expression: ast.expr) -> str:
        """The kind of the expression's value."""
        return self._of(expression) or UNKNOWN

    def _round(self) -> dict[str, str | None]:
        """Kinds from what is assigned to a variable; where that is open, from what is done with it."""
        uses: dict[str, str] = {}
        for node in self._uses:
            for name, kind in self._evidence(node):
                uses[name] = _narrower(uses.get(name, kind), kind)
        found: dict[str, str | None] = {}
        for name, value in self._definitions:
            kind = UNKNOWN if value is None else self._of(value)
            if kind in (UNKNOWN, SEQUENCE, CONTAINER) and name in uses:
                kind = uses[name] if kind == UNKNOWN else _narrower(kind, uses[name])
            found[name] = _either(found.get(name), kind)
        return found

    def _evidence(self, node: ast.AST) -> Iterator[tuple[str, str]]:
        """What a use of variables tells about their kinds."""
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method), args=arguments):
                places = all(_is_place(argument) for argument in arguments)
                if method in _LIST_METHODS or (method == "pop" and places):
                    yield name, LIST
                elif method == "get":
                    yield name, DICT
                elif method in ("pop", "copy", "clear"):
                    yield name, CONTAINER
                else:
                    yield name, STRING
            case ast.Call(func=ast.Name(id="len"), args=[ast.Name(id=name)]):
                yield name, CONTAINER
            case ast.Call(func=ast.Name(id="chr" | "abs"), args=[ast.Name(id=name)]):
                yield name, NUMBER
            case ast.Call(func=ast.Name(id="ord"), args=[ast.Name(id=name)]):
                yield name, STRING
            case ast.Subscript(value=ast.Name(id=name), slice=place):
                yield name, SEQUENCE if isinstance(place, ast.Slice) or _is_place(place) else CONTAINER
            case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[ast.Name(id=name)]):
                yield name, CONTAINER
            case ast.BinOp(left=left, op=operator, right=right):
                yield from self._operands(left, operator, right)
            case ast.AugAssign(target=left, op=operator, value=right):
                yield from self._operands(left, operator, right)

    def _operands(self, left: ast.expr, operator: ast.operator, right: ast.expr) -> Iterator[tuple[str, str]]:
        is_format = isinstance(operator, ast.Mod) and self._of(left) == STRING
        for operand, other in ((left, right), (right, left)):
            if isinstance(operand, ast.Name):
                kind = self._of(other)
                if isinstance(operator, ast.Sub | ast.Div | ast.FloorDiv | ast.Mod) and not is_format:
                    yield operand.id, NUMBER
                elif isinstance(operator, ast.Add) and kind in (LIST, STRING, NUMBER, SEQUENCE):
                    yield operand.id, kind

    def _of(self, expression: ast.expr) -> str | None:
        """None as long as nothing is known about a variable in it."""
        match expression:
            case ast.Name(id=name):
                return self.names.get(name)
            case ast.Constant(value=bool()) | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                return BOOL
            case ast.Constant(value=str()):
                return STRING
            case ast.Constant(value=int() | float()) | ast.UnaryOp():
                return NUMBER
            case ast.List():
                return LIST
            case ast.Dict():
                return DICT
            case ast.Tuple():
                return SEQUENCE
            case ast.BoolOp(values=values):
                return self._any(values)
            case ast.BinOp(left=left, op=operator, right=right):
                return self._arithmetic(left, operator, right)
            case ast.Subscript(value=value, slice=ast.Slice()):
                kind = self._of(value)
                return SEQUENCE if kind in (UNKNOWN, CONTAINER) else kind
            case ast.Subscript(value=value):
                return STRING if self._of(value) == STRING else UNKNOWN
            case ast.Call(func=ast.Name(id="max" | "min"), args=arguments):
                return self._any(arguments)
            case ast.Call(func=ast.Name(id=name)):
                return _BUILTINS[name]
            case ast.Call(func=ast.Attribute(value=value, attr=method)):
                kinds = {"get": UNKNOWN, "pop": UNKNOWN, "lower": STRING, "upper": STRING}
                return self._of(value) if method == "copy" else kinds.get(method, BOOL)
        return UNKNOWN

    def _arithmetic(self, left: ast.expr, operator: ast.operator, right: ast.expr) -> str | None:
        kinds = {self._of(left), self._of(right)}
        if isinstance(operator, ast.Add | ast.Mult):
            return next((kind for kind in (STRING, LIST, SEQUENCE) if kind in kinds), self._numbers(operator, kinds))
        return STRING if isinstance(operator, ast.Mod) and self._of(left) == STRING else NUMBER

    def _numbers(self, operator: ast.operator, kinds: set[str | None]) -> str | None:
        if kinds <= {NUMBER, BOOL} or (isinstance(operator, ast.Add) and NUMBER in kinds):
            return NUMBER
        return None if None in kinds else UNKNOWN

    def _any(self, values: list[ast.expr]) -> str | None:
        kind = None
        for value in values:
            kind = _either(kind, self._of(value))
        return kind


def _is_place(node: ast.expr) -> bool:
    """Whether an index is a plain number: taken to count places, not to be the key of a dict."""
    while isinstance(node, ast.UnaryOp):
        node = node.operand
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


def _definitions(function: ast.FunctionDef) -> Iterator[tuple[str, ast.expr | None]]:
    """Each variable with what it is set to; None for what the tree does not show."""
    for argument in function.args.args:
        yield argument.arg, None
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                pairs = zip(targets, values if len(values) == len(targets) else [None] * len(targets), strict=True)
            case ast.Assign(targets=[target], value=value) if isinstance(target, ast.Name):
                pairs = [(target, value)]
            case ast.AugAssign(target=ast.Name(id=name), op=operator, value=value):
                yield name, ast.BinOp(ast.Name(name, ast.Load()), operator, value)
                continue
            case ast.Assign():
                pairs = [(target, None) for target in assignment_targets(node)]
            case _:
                continue
        yield from ((target.id, value) for target, value in pairs if isinstance(target, ast.Name))


def _either(one: str | None, other: str | None) -> str | None:
    """The kind of a value that is of one kind or the other."""
    if one is None or other is None or one == other:
        return one or other
    common = [kind for kind in (one, *_WIDER.get(one, ())) if kind in (other, *_WIDER.get(other, ()))]
    return common[0] if common else UNKNOWN


def _narrower(one: str, other: str) -> str:
    """The kind of a value that is of both kinds; UNKNOWN if they exclude each other."""
    if one == other or one in _WIDER.get(other, ()):
        return other
    return one if other in _WIDER.get(one, ()) else UNKNOWN
