"""Imports point one way: what each module may import of the package is written here."""

from __future__ import annotations

import ast
from pathlib import Path

import voipstudio_cmb

ROOT = Path(voipstudio_cmb.__file__).parent

ALLOWED: dict[str, set[str]] = {
    "__init__": {"client", "config", "errors", "filters", "limits", "models", "walk"},
    "__main__": {"cli"},
    "cli": {"__init__", "codec", "connecting", "errors", "exporting", "filters", "output",
            "progress", "report", "sandbox"},
    "exporting": {"client", "connecting", "errors", "export", "export.ahead", "export.stream",
                  "filters", "output", "progress", "report"},
    "connecting": {"client", "errors", "limits", "sandbox"},
    "progress": {"export", "ext.rich", "output", "report"},
    "report": {"errors", "export", "ext.rich", "output"},
    "output": {"codec", "export.sinks", "ext.rich", "models"},
    "ext": set(),
    "ext.otel": {"observe"},
    "ext.rich": set(),
    "export": {"export.accounts", "export.ahead", "export.job", "export.many", "export.plan",
               "export.runner", "export.sinks"},
    "export.job": {"errors"},
    "export.runner": {"client", "errors", "export.checkpoint", "export.disk", "export.job",
                      "export.manifest", "export.plan", "export.sources", "export.work", "models",
                      "raw"},
    "export.plan": {"arguments", "errors", "export.checkpoint", "export.disk", "export.manifest",
                    "export.sinks", "export.sources", "filters", "models"},
    "export.work": {"errors", "export.checkpoint", "export.disk", "export.job", "export.manifest",
                    "export.plan", "export.rejects", "export.sinks", "export.sources",
                    "export.spool", "models", "raw"},
    "export.manifest": {"errors", "export.disk"},
    "export.many": {"arguments", "client", "config", "errors", "export.accounts",
                    "export.ahead", "export.plan", "export.runner", "limits"},
    "export.ahead": {"client", "errors", "export.checkpoint", "export.plan", "export.runner"},
    "export.stream": {"client", "errors", "export.job", "export.plan", "export.runner",
                      "export.sources", "models"},
    "export.accounts": {"config", "errors"},
    "export.sources": {"client", "errors", "filters", "models", "raw", "services"},
    "export.rejects": {"export.disk", "models"},
    "export.spool": {"export.disk"},
    "export.checkpoint": set(),
    "export.disk": {"errors"},
    "export.sinks": {"errors", "export.sinks.compression", "export.sinks.csv", "export.sinks.jsonl",
                     "export.sinks.parquet", "export.sinks.sqlite", "models"},
    "export.sinks.csv": {"errors", "export.columns", "export.sinks.compression", "models", "raw"},
    "export.sinks.jsonl": {"export.sinks.compression", "models"},
    "export.sinks.sqlite": {"errors", "export.columns", "models"},
    "export.sinks.parquet": {"export.columns", "models"},
    "export.sinks.compression": {"errors"},
    "export.columns": {"codec", "errors", "models", "raw"},
    "client": {"answers", "auth", "bounds", "config", "errors", "http", "limits", "middleware",
               "observe", "proof", "retry", "services", "session", "walk"},
    "services": {"answers", "arguments", "errors", "filters", "http", "models", "payloads",
                 "proof", "strategy", "walk"},
    "strategy": {"arguments", "audit", "errors", "filters", "keyset", "models", "paging", "proof",
                 "source", "walk"},
    "arguments": {"codec", "errors", "filters"},
    "keyset": {"errors", "models", "proof", "walk"},
    "proof": {"audit", "errors", "models", "walk"},
    "paging": {"audit", "models", "source", "walk"},
    "source": {"audit", "errors", "models", "walk"},
    "audit": {"models", "walk"},
    "bounds": {"errors"},
    "walk": {"errors", "models"},
    "payloads": {"codec", "errors"},
    "middleware": {"auth", "bounds", "errors", "http", "limits", "observe", "raising", "retry"},
    "auth": {"answers", "codec", "config", "errors", "http", "raising"},
    "raising": {"answers", "errors", "http", "observe", "retry"},
    "observe": {"errors", "http"},
    "session": {"bounds", "config", "errors", "http"},
    "answers": {"codec", "errors", "http", "models", "raw"},
    "raw": {"codec", "http"},
    "codec": {"errors", "http", "models"},
    "config": {"errors", "retry"},
    "filters": {"errors"},
    "limits": {"errors"},
    "retry": {"errors", "http"},
    "errors": {"http"},
    "models": set(),
    "http": set(),
}  # fmt: skip

ONLY_IN = {
    "aiohttp": {"session"},
    "cattrs": {"codec"},
    "msgspec": {"codec", "raw"},
    "opentelemetry": {"ext.otel"},
    "pyarrow": {"export.sinks.parquet"},
    "rich": {"ext.rich"},
    "sqlite3": {"export.sinks.sqlite"},
    "zstandard": {"export.sinks.compression"},
}
"""Which module of the client's side may import a package that is not ours."""


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {_name(path): path for path in ROOT.rglob("*.py")}


def _imports(module: str) -> set[str]:
    """All that *module* imports, lazily and for type checkers too, our own without the prefix."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    package = "" if module in ("__init__",) else package
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join(["voipstudio_cmb", *filter(None, up), *filter(None, [base])])
            if base == "voipstudio_cmb" and {a.name for a in node.names} == {"__version__"}:
                base = "voipstudio_cmb.__init__"
            for alias in node.names:
                whole = f"{base}.{alias.name}".removeprefix("voipstudio_cmb.")
                found.add(f"voipstudio_cmb.{whole}" if whole in MODULES else base)
    return found


def _own(module: str) -> set[str]:
    ours = {i.removeprefix("voipstudio_cmb.") for i in _imports(module) if "voipstudio_cmb" in i}
    return ours - {module}


def test_every_module_imports_what_it_may_and_all_that_is_listed_is_real() -> None:
    found = {m: _own(m) for m in MODULES if not m.startswith("sandbox")}
    assert found == ALLOWED


def test_the_sandbox_imports_nothing_else_of_the_package() -> None:
    for module in MODULES:
        if module.startswith("sandbox"):
            assert all(other.startswith("sandbox") for other in _own(module)), module


def test_no_module_needs_a_module_that_needs_it() -> None:
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        if module == "__init__":  # a table of contents, lazily filled
            return
        assert module not in path, f"a circle: {' -> '.join((*path, module))}"
        if module not in done:
            for other in _own(module):
                visit(other, (*path, module))
            done.add(module)

    for module in MODULES:
        if module != "sandbox":  # a table of contents too
            visit(module, ())


def test_each_outside_package_is_known_to_one_module() -> None:
    for module in MODULES:
        if not module.startswith("sandbox"):
            for name in {name.partition(".")[0] for name in _imports(module)} & set(ONLY_IN):
                assert module in ONLY_IN[name], f"{module} imports {name}"
