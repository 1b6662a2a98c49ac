"""What Python itself would refuse when the rule is compiled, called or nested too deep, said of the rule's own line."""

import ast

from megatron_rfft.rules.subset import refusal

MOST_LOOPS = 20  # within each other: CPython compiles no more
MOST_PARTS = 100  # of an expression within each other: more would exhaust the stack where it is written as text

_ARGUMENTS = {  # of methods: at least, at most; the others take none
    **dict.fromkeys(("append", "extend", "remove"), (1, 1)),
    **dict.fromkeys(("endswith", "startswith"), (1, 3)),
    "get": (1, 2),
    "insert": (2, 2),
    "pop": (0, 2),
}


def check_limits(function: ast.FunctionDef) -> None:
    """Raise RuleError, with the line and the fix, for what would only fail later, and without a line of the rule."""
    names = [argument.arg for argument in function.args.args]
    for name in names:
        if names.count(name) > 1:
            raise refusal(function, function, f"two arguments called {name!r}", "give each a name of its own")
    pending: list[tuple[ast.AST, int, int]] = [(statement, 0, 0) for statement in function.body]
    while pending:
        node, num_loops, num_parts = pending.pop()
        match node:
            case ast.While():
                num_loops += 1
                if num_loops > MOST_LOOPS:
                    what = f"a loop within {MOST_LOOPS} others"
                    raise refusal(function, node, what, "write some of the loops one behind the other")
            case ast.Break() | ast.Continue() if not num_loops:
                raise refusal(function, node, f"`{ast.unparse(node)}` outside a loop", "write it in a loop's body")
            case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id="now"), *_])]):
                what = "`now` as the first of several variables"  # a trace's new values begin with `now, `
                raise refusal(function, node, what, "give it another name")
            case ast.Call(func=ast.Attribute(attr=name), args=arguments):
                least, most = _ARGUMENTS.get(name, (0, 0))
                if not least <= len(arguments) <= most:
                    counts = str(least) if least == most else f"{least} to {most}"
                    what = f"`{name}` with {len(arguments)} arguments"
                    raise refusal(function, node, what, f"give it {counts}")
        if isinstance(node, ast.expr):
            num_parts += 1
            if num_parts > MOST_PARTS:
                what = f"an expression with {MOST_PARTS} parts within each other"
                raise refusal(function, node, what, "give parts of it names on lines before")
        pending += ((child, num_loops, num_parts) for child in ast.iter_child_nodes(node))
