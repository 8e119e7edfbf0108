"""The guide `reference`, made of the code: `python -m tests.guides.reference` writes it.

It reads the code as text, so that it is the same on each Python, and without any extra.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

from tests.guides.documents import FOLDER, ROOT

PUBLIC = ROOT / "tests" / "data" / "public.txt"

HEAD = """\
# Reference

All public names, with their parameters and first sentences. What is not here may change without
notice. `help()` of a name, or your editor, shows the rest. The names of `voipstudio_cmb` can also
be imported from the modules below it.
"""


@cache
def _module(name: str) -> ast.Module:
    path = ROOT.joinpath(*name.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text("utf-8"))


def _find(module: str, name: str) -> tuple[ast.stmt, str]:
    """Where `name` is defined, through imports, and the string below it."""
    bodies = [getattr(node, "body", None) for node in ast.walk(_module(module))]
    statements = [each for body in bodies if isinstance(body, list) for each in (*body, ast.Pass())]
    for node, below in pairwise(statements):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef() if node.name == name:
                return node, ast.get_docstring(node) or ""
            case (
                ast.Assign(targets=[ast.Name(id=target)])
                | ast.AnnAssign(target=ast.Name(id=target))
            ) if target == name:
                return node, ast.literal_eval(below.value) if isinstance(below, ast.Expr) else ""
    for node in ast.walk(_module(module)):
        if isinstance(node, ast.ImportFrom) and name in {a.asname or a.name for a in node.names}:
            is_package = ROOT.joinpath(*module.split(".")).is_dir()
            base = module.split(".")[: len(module.split(".")) - node.level + is_package]
            return _find(".".join([*(base if node.level else []), node.module or ""]), name)
    raise LookupError(f"{module}.{name}")


def _first(docstring: str) -> str:
    return " ".join(docstring.split("\n\n")[0].split())


def _default(node: ast.expr | None) -> str:
    return "" if node is None else f"={ast.unparse(node) if _is_plain(node) else '…'}"


def _is_plain(node: ast.expr) -> bool:
    return not isinstance(node, ast.Call) and len(ast.unparse(node)) <= 20


def _parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    parts = [f"{arg.arg}{_default(value)}" for arg, value in zip(positional, defaults, strict=True)]
    if parts and parts[0] in ("self", "cls"):
        del parts[0]
    if given.vararg:
        parts.append(f"*{given.vararg.arg}")
    elif given.kwonlyargs:
        parts.append("*")
    keywords = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    parts += [f"{arg.arg}{_default(value)}" for arg, value in keywords]
    if given.kwarg:
        parts.append(_options(given.kwarg))
    return f"({', '.join(parts)})"


@cache
def _classes() -> dict[str, ast.ClassDef]:
    return {
        node.name: node
        for file in sorted(FOLDER.parent.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
    }


def _options(arg: ast.arg) -> str:
    """`**options` by the names that they may have."""
    if isinstance(arg.annotation, ast.Subscript) and ast.unparse(arg.annotation.value) == "Unpack":
        options = _classes()[ast.unparse(arg.annotation.slice).strip("'\"")]
        return ", ".join(f"{name}=…" for name in _fields(options))
    return f"**{arg.arg}"


def _fields(node: ast.ClassDef) -> dict[str, ast.expr | None]:
    """The fields of a class, those of its bases first."""
    fields: dict[str, ast.expr | None] = {}
    for base in node.bases:
        if (name := ast.unparse(base)) in _classes():
            fields |= _fields(_classes()[name])
    for each in node.body:
        match each:
            case ast.AnnAssign(target=ast.Name(id=name)) if name[0] != "_":
                if "ClassVar" not in ast.unparse(each.annotation):
                    fields[name] = each.value
    return fields


def _made(node: ast.ClassDef) -> str:
    """How a class and its bases are made."""
    bases = (_classes().get(ast.unparse(base)) for base in node.bases)
    words = [*map(ast.unparse, [*node.decorator_list, *node.keywords])]
    return " ".join([*words, *(_made(base) for base in bases if base)])


def _signature(node: ast.stmt) -> str:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return _parameters(node)
    if not isinstance(node, ast.ClassDef):
        return ""
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            return _parameters(each)
    if any(word in _made(node) for word in ("define", "frozen", "kw_only")):
        own = sorted(_fields(node).items(), key=lambda field: field[1] is not None)
        fields = [f"{name}{_default(value)}" for name, value in own]
        return f"({', '.join(fields)})"
    return ""


def _methods(node: ast.stmt) -> Iterator[str]:
    if not isinstance(node, ast.ClassDef):
        return
    for base in map(ast.unparse, node.bases):
        if (base[0] == "_" or base in ("Frozen", "State")) and base in _classes():
            yield from _methods(_classes()[base])
    for each in node.body:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name[0] != "_":
            decorators = {ast.unparse(decorator) for decorator in each.decorator_list}
            if "overload" in decorators or not ast.get_docstring(each):
                continue
            is_property = any("property" in decorator for decorator in decorators)
            wait = "await " if isinstance(each, ast.AsyncFunctionDef) else ""
            shown = each.name if is_property else f"{wait}{each.name}{_parameters(each)}"
            yield f"  * `{shown}`: {_first(ast.get_docstring(each) or '')}"


def render() -> str:
    """The guide."""
    lines = [HEAD]
    names = [line for line in PUBLIC.read_text("utf-8").splitlines() if line[0] != "#"]
    at_root = {name.rpartition(".")[2] for name in names if name.count(".") == 1}
    last = ""
    for path in names:
        module, _, name = path.rpartition(".")
        if module != "voipstudio_cmb" and name in at_root:
            continue
        if module != last:
            lines.append(f"\n## {module}\n" if last else f"## {module}\n")
            last = module
        node, docstring = _find(module, name)
        wait = "await " if isinstance(node, ast.AsyncFunctionDef) else ""
        lines.append(f"* `{wait}{name}{_signature(node)}`: {_first(docstring)}")
        lines += _methods(node)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(FOLDER / "reference.md").write_text(render(), "utf-8")
