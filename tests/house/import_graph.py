"""Which module imports which, read from the source: nothing is imported for it."""

from __future__ import annotations

import ast
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

Graph = dict[str, set[str]]

FOLDERS = {"minidl_dist": "dist"}  # package -> folder, where the names differ


@dataclass
class Imports:
    """The imports of one module from the trees that are read.

    at_load: those that run when the module is loaded.
    inside: those that run when one of its functions is called.

    Imports under `if TYPE_CHECKING:` never run and are in neither.
    """

    at_load: set[str] = field(default_factory=set)
    inside: set[str] = field(default_factory=set)


def read_imports(root: Path, trees: tuple[str, ...]) -> dict[str, Imports]:
    """Dotted name -> Imports of every module of some packages in the folder root."""
    parsed: dict[str, ast.Module] = {}
    for tree in trees:
        folder = root / FOLDERS.get(tree, tree)
        for path in sorted(folder.rglob("*.py")):
            parts = (tree, *path.relative_to(folder).with_suffix("").parts)
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            parsed[name] = ast.parse(path.read_text(encoding="utf-8"))
    bound = {name: bound_by(tree, name) for name, tree in parsed.items()}
    return {name: imports_of(tree, bound) for name, tree in parsed.items()}


def bound_by(tree: ast.Module, name: str) -> set[str]:
    """The names that a module imports from elsewhere; of a package, than from itself."""
    statements = [s for s in tree.body if isinstance(s, ast.ImportFrom) and s.module != name]
    return {alias.asname or alias.name for s in statements for alias in s.names}


def imports_of(tree: ast.Module, bound: dict[str, set[str]]) -> Imports:
    """The Imports of one module. `bound`: the modules that count, and what each binds."""
    found = Imports()

    def visit(node: ast.AST, into: set[str]) -> None:
        if isinstance(node, ast.expr):
            return  # no import stands in an expression
        below = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            below = node.orelse
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            into = found.inside
        into.update(targets(node, bound))
        for child in below:
            visit(child, into)

    visit(tree, found.at_load)
    return found


def targets(node: ast.AST, bound: dict[str, set[str]]) -> set[str]:
    """The modules that an import statement names; nothing for other statements.

    `from minidl.ops import flip` names the package: its function flip hides the module flip.
    """
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names if alias.name in bound}
    if not isinstance(node, ast.ImportFrom) or node.module not in bound:
        return set()
    found = set()
    for alias in node.names:
        full = f"{node.module}.{alias.name}"
        is_module = full in bound and alias.name not in bound[node.module]
        found.add(full if is_module else node.module)
    return found


def circles(graph: Graph) -> list[list[str]]:
    """A shortest circle for each module that is on one and not on a circle shown before."""
    shown: set[str] = set()
    found = []
    for start in sorted(graph):
        path = None if start in shown else shortest_way(graph, start, start)
        if path:
            found.append(path)
            shown.update(path)
    return found


def shortest_way(graph: Graph, start: str, end: str) -> list[str] | None:
    """start, ..., end along at least one import; None where there is no way."""
    came_from: dict[str, str] = {}
    queue = deque([start])
    while queue:
        module = queue.popleft()
        for target in sorted(graph[module]):
            if target not in came_from:
                came_from[target] = module
                queue.append(target)
        if end in came_from:
            path = [end, came_from[end]]
            while path[-1] != start:
                path.append(came_from[path[-1]])
            return path[::-1]
    return None
