"""The rooms of the house: what may import what, read from the source; every module says what it is, and has tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("operators", "connectors", "pipelines")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
every_module = pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))

FORBIDDEN = {
    "operators": {"connectors", "pipelines", "bytewax", "confluent_kafka"},
    "connectors": {"pipelines", "bytewax"},
    "pipelines": {"benchmarks", "tests"},
}
"""What a room must not import: operators <- connectors <- pipelines."""
KEPT = {
    "bytewax": ("pipelines/runtime.py",),
    "confluent_kafka": ("connectors/kafka/", "connectors/codec/registry.py", "pipelines/demo.py"),
}
"""Who alone may import a library."""


def imports(node: ast.AST, module: Path) -> Iterator[str]:
    """Give the full names of all that is imported at run time, at the top or inside a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            package = ".".join(module.relative_to(ROOT).parts[:-1][: -(child.level - 1) or None]) if child.level else ""
            yield ".".join(part for part in (package, child.module) if part)
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            for other in child.orelse:
                yield from imports(ast.Module([other], []), module)
        else:
            yield from imports(child, module)


def imported(module: Path) -> set[str]:
    """Give the packages that a module imports."""
    return {name.split(".")[0] for name in imports(ast.parse(module.read_text("utf-8")), module)}


def test_imports_are_seen_wherever_they_stand() -> None:
    source = """
import a.b, c
from d.e import f
from . import g
if TYPE_CHECKING:
    import unseen
else:
    import h
def function():
    try:
        import i
    finally:
        from ..x import y
"""
    found = set(imports(ast.parse(source), ROOT / "pipelines" / "inner" / "module.py"))
    assert found == {"a.b", "c", "d.e", "pipelines.inner", "h", "i", "pipelines.x"}


@every_module
def test_imports_point_one_way(module: Path) -> None:
    room = module.relative_to(ROOT).parts[0]
    assert not imported(module) & FORBIDDEN[room]


@every_module
def test_a_library_is_imported_only_where_it_is_kept(module: Path) -> None:
    name = module.relative_to(ROOT).as_posix()
    for library in imported(module) & set(KEPT):
        assert name.startswith(KEPT[library]), f"{library} is for {' and '.join(KEPT[library])}"


def test_those_who_may_import_a_library_do() -> None:
    for library, keepers in KEPT.items():
        users = [module.relative_to(ROOT).as_posix() for module in MODULES if library in imported(module)]
        for keeper in keepers:
            assert any(user.startswith(keeper) for user in users)


@every_module
def test_every_module_has_a_docstring(module: Path) -> None:
    text = ast.get_docstring(ast.parse(module.read_text("utf-8")))
    assert text
    first = text.splitlines()[0]
    assert first.endswith((".", ":", "`"))


@pytest.mark.parametrize(
    "module",
    [
        path
        for path in MODULES
        if path.relative_to(ROOT).parts[0] != "pipelines" and path.name not in {"__init__.py", "base.py"}
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_the_tests_of_a_module_stand_where_the_module_does(module: Path) -> None:
    inner = module.relative_to(ROOT)
    mirror = Path("tests") / inner.parent / f"test_{inner.name}"
    assert (ROOT / mirror).exists(), f"{inner} has no tests: write {mirror}"
