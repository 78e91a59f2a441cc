"""Imports point one way: no circles, and the layers of the house.

    apps -> models, minidl_dist -> minidl        benchmarks -> all

A circle makes its modules one: none can be read, moved or loaded without the others. Imports inside
functions are held to the same rules, because they show the same knot, only later.
"""

import functools
from pathlib import Path

import pytest

from tests.house.import_graph import Graph, Imports, circles, read_imports, shortest_way

ROOT = Path(__file__).parents[2]

# A tree -> the others that it may import from.
TREES = {
    "minidl": [],
    "models": ["minidl"],
    "minidl_dist": ["minidl"],
    "apps": ["minidl", "models", "minidl_dist"],
    "benchmarks": ["minidl", "models", "minidl_dist", "apps"],
}

# minidl from the ground up. A module imports from the lines above its own, not from its neighbours
# in a line; a package may also import from itself. minidl/__init__.py comes last.
LAYERS = [
    ["errors", "version"],
    ["device", "dtypes", "random", "shapes"],
    ["kernels", "tensor"],
    ["arrays", "checks"],
    ["function"],
    ["graph"],
    ["backward", "creation"],
    ["ops"],
    ["tensor_methods"],
    ["nn"],
    ["optim"],
    ["debug", "io"],
    ["data"],
    ["training"],
    ["callbacks", "metrics"],
]

# Rooms of apps that belong to no application. What is not named here is an application: it imports
# no other application, and shared imports none. The command line, on top, imports them all.
SHARED, COMMAND_LINE = "shared", ("cli",)

# Imports inside functions that make a circle for a good reason: "importer -> imported": reason.
INSIDE: dict[str, str] = {}


@functools.cache
def imports() -> dict[str, Imports]:
    return read_imports(ROOT, tuple(TREES))


@functools.cache
def edges(inside: bool = True) -> frozenset[str]:
    """ "importer -> imported" of all modules, with or without imports inside functions."""
    return frozenset(
        f"{module} -> {target}"
        for module, found in imports().items()
        for target in found.at_load | (found.inside if inside else set())
    )


def graph_without(left_out: set[str], inside: bool) -> Graph:
    graph: Graph = {module: set() for module in imports()}
    for edge in edges(inside) - left_out:
        module, target = edge.split(" -> ")
        graph[module].add(target)
    return graph


def shown(found: list[list[str]]) -> str:
    return "\n".join(["these imports make a circle:", *(" -> ".join(path) for path in found)])


def test_no_circle_when_modules_load():
    found = circles(graph_without(set(), inside=False))
    assert not found, shown(found)


def test_no_circle_through_imports_inside_functions():
    found = circles(graph_without(set(INSIDE), inside=True))
    assert not found, shown(found)


def test_layers_hold():
    wrong = sorted(edge for edge in edges() - INSIDE.keys() if not allowed(edge))
    assert not wrong, "these imports point the wrong way:\n" + "\n".join(wrong)


@pytest.mark.parametrize("edge", sorted(INSIDE))
def test_no_exception_is_kept_without_need(edge):
    assert edge in edges(), "there is no such import any more: take it out of the list"
    importer, imported = edge.split(" -> ")
    others = set(INSIDE) - {edge}
    way_back = shortest_way(graph_without(others, inside=True), imported, importer)
    assert way_back or not allowed(edge), "this import is allowed by now: take it out of the list"


def allowed(edge: str) -> bool:
    """Whether an import points downwards."""
    importer, imported = (name.split(".") for name in edge.split(" -> "))
    if importer[0] != imported[0]:
        return imported[0] in TREES[importer[0]]
    if importer[0] == "minidl":
        return importer[1:2] == imported[1:2] or height(importer) > height(imported)
    if importer[0] == "apps" and importer[1] not in COMMAND_LINE:
        return imported[1:2] in ([importer[1]], [SHARED])
    return True


def height(name: list[str]) -> int:
    """The number of a module's line in LAYERS; minidl itself is above all."""
    if len(name) == 1:
        return len(LAYERS)
    return next(i for i, line in enumerate(LAYERS) if name[1] in line)


def test_every_module_of_minidl_has_a_layer():
    rooms = {name.split(".")[1] for name in imports() if name.startswith("minidl.")}
    assert rooms <= {room for line in LAYERS for room in line}


# --- the reader of imports itself ---------------------------------------------------------------


@pytest.fixture
def tree(tmp_path):
    """write({"a": source, ...}) makes a package p of these modules and reads it."""

    def write(modules):
        (tmp_path / "p").mkdir()
        for name, source in ({"__init__": ""} | modules).items():
            (tmp_path / "p" / f"{name}.py").write_text(source)
        return read_imports(tmp_path, ("p",))

    return write


def test_imports_inside_functions_are_counted_apart(tree):
    found = tree({
        "a": "import p.b\ndef f():\n    from p.c import x\nclass C:\n    from p import d\n",
        "b": "", "c": "", "d": "",
    })  # fmt: skip
    assert found["p.a"].at_load == {"p.b", "p.d"} and found["p.a"].inside == {"p.c"}


def test_imports_for_type_checkers_never_run(tree):
    found = tree({
        "a": "if TYPE_CHECKING:\n    import p.b\nelse:\n    import p.c\n", "b": "", "c": "",
    })  # fmt: skip
    assert found["p.a"].at_load == {"p.c"}


def test_a_function_hides_the_module_of_its_name(tree):
    found = tree({"__init__": "from p.b import b", "a": "from p import b", "b": ""})
    assert found["p.a"].at_load == {"p"}


def test_the_shortest_circle_is_shown():
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"c"}, "e": {"e"}, "f": {"a"}}
    assert circles(graph) == [["a", "b", "c", "a"], ["d", "c", "a", "b", "d"], ["e", "e"]]
    assert shown([["a", "b", "a"]]).endswith("\na -> b -> a")
