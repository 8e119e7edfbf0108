"""Imports point one way: what each room (a folder, or a module of the root) may import."""

from __future__ import annotations

import ast
from pathlib import Path

import voipstudio_cmb

ROOT = Path(voipstudio_cmb.__file__).parent

FOR_ALL = {"boundary", "errors", "http", "models", "resources"}
"""Rooms that every other may import: they say what numbers, errors, requests and records are."""

LAW = {
    "__main__": "cli",
    "cli": (
        "auth client codec columns config desired events exit_codes export export.accounts "
        "export.run export.sinks export.store ext filters guides limits patience query sandbox "
        "services"
    ),
    "desired": "client codec",
    "ext": (
        "auth client columns config events exit_codes export export.accounts export.plan "
        "export.run export.store filters limits timeouts"
    ),
    "export": "export.accounts export.plan export.run export.shard export.sinks",
    "export.accounts": "auth config export.split export.token_source limits",
    "export.split": "auth",
    "export.token_source": "auth",
    "export.shard": "auth config export.accounts export.plan filters limits",
    "export.run": (
        "auth client columns config exit_codes export.accounts export.plan export.shard "
        "export.source export.split export.store limits services"
    ),
    "export.source": "client codec export.plan export.store filters services walk",
    "export.plan": "columns export.sinks export.store filters query",
    "export.store": "codec",
    "export.sinks": "columns",
    "columns": "codec walk",
    "client": "auth codec config events limits middleware retry services timeouts transport walk",
    "services": "codec columns filters query walk",
    "walk": "codec filters query",
    "query": "codec filters",
    "middleware": "auth codec events limits retry timeouts",
    "auth": "codec config",
    "transport": "config timeouts",
    "codec": "",
    "config": "patience retry",
    "events": "",
    "exit_codes": "retry",
    "filters": "codec",
    "guides": "",
    "limits": "timeouts",
    "patience": "timeouts",
    "retry": "",
    "timeouts": "",
    "boundary": "",
    "models": "",
    "errors": "",
    "http": "",
    "resources": "",
}
"""What each room may import beside those for all. Lazy and type-only imports count."""

ONLY_IN = {
    "aiohttp": "transport",
    "cattrs": "codec",
    "msgspec": "boundary codec columns",
    "click": "cli",
    "obstore": "ext",
    "cloudpickle": "ext",
    "dask": "ext",
    "distributed": "ext",
    "opentelemetry": "ext",
    "plotly": "ext",
    "redis": "ext",
    "pyarrow": "columns export.sinks",
    "rich": "ext",
    "tomlkit": "desired",
    "sqlite3": "export.sinks",
    "zstandard": "export.sinks",
}
"""Which rooms of the client's side may import a package that is not ours."""


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {_name(path): path for path in ROOT.rglob("*.py")}


def _room(module: str) -> str:
    """The folder that *module* lies in, or the module itself if it lies in the root."""
    return ".".join(module.split(".")[: 2 if module.startswith("export.") else 1])


def _imports(module: str) -> set[str]:
    """All that *module* imports, lazily and for type checkers too, our own without the prefix."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    package = "" if module == "__init__" else package
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join(["voipstudio_cmb", *filter(None, up), *filter(None, [base])])
            for alias in node.names:
                whole = f"{base}.{alias.name}".removeprefix("voipstudio_cmb.")
                found.add(f"voipstudio_cmb.{whole}" if whole in MODULES else base)
    return found


def _own(module: str) -> set[str]:
    ours = {name for name in _imports(module) if name.partition(".")[0] == "voipstudio_cmb"}
    return {name.removeprefix("voipstudio_cmb.") for name in ours} - {module, "voipstudio_cmb"}


CLIENT_SIDE = [name for name in MODULES if not name.startswith("sandbox") and name != "__init__"]


def test_every_room_imports_what_the_law_allows_and_the_law_names_nothing_else() -> None:
    found: dict[str, set[str]] = {_room(module): set() for module in CLIENT_SIDE}
    for module in CLIENT_SIDE:
        found[_room(module)] |= {_room(other) for other in _own(module)} - {_room(module)}
    allowed = {room: set(others.split()) for room, others in LAW.items()}
    assert {room: others - FOR_ALL for room, others in found.items()} == allowed


def test_no_room_needs_a_room_that_needs_it() -> None:
    def visit(room: str, path: tuple[str, ...]) -> None:
        assert room not in path, f"a circle: {' -> '.join((*path, room))}"
        for other in LAW.get(room, "").split():
            visit(other, (*path, room))

    for room in LAW:
        visit(room, ())


def test_no_module_needs_a_module_that_needs_it() -> None:
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"a circle: {' -> '.join((*path, module))}"
        if module not in done:
            for other in _own(module):
                visit(other, (*path, module))
            done.add(module)

    for module in MODULES:
        if module not in ("__init__", "sandbox"):  # tables of contents, lazily filled
            visit(module, ())


def test_the_sandbox_imports_nothing_else_of_the_package() -> None:
    for module in MODULES:
        if module.startswith("sandbox"):
            assert all(other.startswith("sandbox") for other in _own(module)), module


def test_each_outside_package_is_known_to_one_room() -> None:
    for module in CLIENT_SIDE:
        for name in {name.partition(".")[0] for name in _imports(module)} & set(ONLY_IN):
            assert _room(module) in ONLY_IN[name].split(), f"{module} imports {name}"
