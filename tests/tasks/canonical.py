"""The canonical form of a rule: the part that its answer depends on, under numbered names, in a fixed order.

Two rules with one form are the same rule under other names, with independent statements in another order or with
statements that don't matter between. It shares no code with what keeps random rules away from held-out tasks.
"""

import ast
import re

_WORD = re.compile(r"\bv\d+\b")


def canonical(source: str) -> str:
    """The canonical form of a rule's source."""
    function = ast.parse(source).body[0]
    function.body = _slice(function.body)
    names = [argument.arg for argument in function.args.args]
    stores = [n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    own = set(names) | set(stores)
    text = "\n".join(_lines(function.body, own, 0))
    order: dict[str, str] = {}  # names by their first place in the ordered text
    return re.sub(r"<(\w+)>", lambda match: order.setdefault(match.group(1), f"v{len(order)}"), text)


def _names(node: ast.AST, kinds: type = ast.expr_context) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, kinds)}


def _writes(node: ast.stmt) -> set[str]:
    written = _names(node, ast.Store)
    for part in ast.walk(node):
        if isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Store):
            written |= _names(part.value)
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
            written |= _names(part.func.value)
    return written


def _leaves(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Return | ast.Break | ast.Continue) for part in ast.walk(node))


def _slice(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements that the answer depends on."""
    needed: set[str] = set()
    while True:
        before = len(needed)
        _need(body, needed)
        if len(needed) == before:
            return _keep(body, needed)


def _need(body: list[ast.stmt], needed: set[str]) -> None:
    for statement in body:
        if isinstance(statement, ast.While):  # how often it runs decides what is written in it
            if _writes(statement) & needed or _leaves(statement):
                needed |= _names(statement.test)
                _need(statement.body, needed)
        elif isinstance(statement, ast.If):
            if _writes(statement) & needed or _leaves(statement):
                needed |= _names(statement.test)
                _need(statement.body + statement.orelse, needed)
        elif isinstance(statement, ast.Return) or _writes(statement) & needed:
            needed |= _names(statement)


def _keep(body: list[ast.stmt], needed: set[str]) -> list[ast.stmt]:
    kept = []
    for statement in body:
        if isinstance(statement, ast.Return | ast.Break | ast.Continue):
            kept.append(statement)
        elif _writes(statement) & needed or _leaves(statement):
            if isinstance(statement, ast.While | ast.If):
                statement.body = _keep(statement.body, needed) or [ast.Pass()]
            if isinstance(statement, ast.If):
                statement.orelse = _keep(statement.orelse, needed)
            kept.append(statement)
    return kept


def _lines(body: list[ast.stmt], own: set[str], depth: int) -> list[str]:
    """The statements as text, neighbours that may change places in an order that no name decides."""
    body, ordered = list(body), []
    while body:
        free = [
            statement
            for place, statement in enumerate(body)
            if not any(_depend(earlier, statement) for earlier in body[:place])
        ]
        chosen = min(free, key=lambda statement: _nameless(statement, own))
        body.remove(chosen)
        ordered.append(chosen)
    lines = []
    for statement in ordered:
        margin = " " * depth
        if isinstance(statement, ast.While | ast.If):
            word = "while" if isinstance(statement, ast.While) else "if"
            lines += [f"{margin}{word} {_marked(statement.test, own)}", *_lines(statement.body, own, depth + 1)]
            if statement.orelse:
                lines += [f"{margin}else", *_lines(statement.orelse, own, depth + 1)]
        else:
            lines.append(margin + _marked(_plain(statement), own))
    return lines


def _plain(statement: ast.stmt) -> ast.stmt:
    """``x += y`` as ``x = x + y``."""
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        value = ast.BinOp(ast.Name(statement.target.id, ast.Load()), statement.op, statement.value)
        return ast.copy_location(ast.Assign([statement.target], value, lineno=1), statement)
    return statement


def _depend(earlier: ast.stmt, later: ast.stmt) -> bool:
    if _leaves(earlier) or _leaves(later):
        return True
    one, other = _writes(earlier), _writes(later)
    return bool(one & _names(later) or other & _names(earlier))


def _marked(node: ast.AST, own: set[str]) -> str:
    return re.sub(r"\b[A-Za-z_]\w*\b", lambda m: f"<{m.group()}>" if m.group() in own else m.group(), ast.unparse(node))


def _nameless(statement: ast.stmt, own: set[str]) -> str:
    return re.sub(r"<\w+>", "<>", _marked(statement, own))
