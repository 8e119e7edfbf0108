"""The attributes of settings and buttons, as options, as `--set NAME=VALUE` and as JSON."""

from __future__ import annotations

import errno
import json
import re
import sys
from decimal import Decimal
from typing import Any, get_type_hints

import click

from voipstudio_cmb.boundary.text import nearest
from voipstudio_cmb.models.payloads import ButtonFields, SettingFields

from .arguments import Arguments
from .parser import INTEGER, Value, option

MOST = 1024 * 1024
"""The most bytes of `--json`."""

_FIELDS: dict[str, type] = {"settings": SettingFields, "buttons": ButtonFields}
_PREFIX = "attribute_"
_DECIMAL = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?", re.ASCII)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
_WORDS: dict[object, str] = {
    int: "an integer", bool: "true or false", str: "a text", float: "a number",
    list[str]: "a list of texts",
}  # fmt: skip


def _decimal(text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text):
        raise ValueError("it must be a number")
    return Decimal(text)


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("it must be true or false")
    return text == "true"


_READERS: dict[str, Value] = {
    "int": INTEGER,
    "bool": Value("boolean", _truth),
    "decimal": Value("number", _decimal),
    "str": Value("text", str),
}


def _kinds(resource: str) -> dict[str, str]:
    """How the text of each attribute is read."""
    kinds = {}
    for name, hint in get_type_hints(_FIELDS[resource]).items():
        types = hint.__args__
        kinds[name] = next(
            word
            for word, kind in (("decimal", Decimal), ("str", str), ("bool", bool), ("int", int))
            if kind in types
        )
    return kinds


def attribute_options(resource: str) -> list[click.Parameter]:
    """An option for each documented attribute of `resource`, `--set` and `--json`."""
    options: list[click.Parameter] = []
    for name, kind in _kinds(resource).items():
        flag = name.replace("_", "-")
        if kind == "bool":
            options.append(option(f"--{flag}/--no-{flag}", _PREFIX + name, default=None))
        else:
            reader = _READERS[kind]
            options.append(
                option(f"--{flag}", _PREFIX + name, type=reader, metavar=reader.name.upper())
            )
    null = "Like the options above; null stands for no value. Repeatable."
    json = "Attributes from a file with a JSON object, or from standard input (-)."
    options.append(option("--set", "assigned", multiple=True, metavar="NAME=VALUE", help=null))
    options.append(option("--json", metavar="FILE", help=json, completes="file"))
    return options


def attributes(arguments: Arguments) -> dict[str, Any]:
    """What `--json` has, under what the options say, under what `--set` says.

    Raises:
        ClientMisuse: an attribute that the API does not document, or a text that is no value of it.
    """
    kinds = _kinds(arguments.resource)
    found = {} if arguments.json is None else _read_json(arguments.json)
    if unknown := [name for name in found if name not in kinds]:
        raise _misuse(_unknown(unknown, arguments.resource, kinds))
    for name, value in found.items():
        _check_type(name, value, _FIELDS[arguments.resource])
    for name in kinds:
        if (value := getattr(arguments, _PREFIX + name)) is not None:
            found[name] = value
    for each in arguments.assigned:
        name, equals, text = each.partition("=")
        _check(name if equals else "", kinds, "--set")
        try:
            found[name] = None if text == "null" else _READERS[kinds[name]].read(text)
        except ValueError as error:
            raise _misuse(f"--set {name}: {error}") from None
    return found


def _check(name: str, kinds: dict[str, str], source: str) -> None:
    if not name:
        raise _misuse(f"{source} takes NAME=VALUE, where NAME is of {', '.join(kinds)}")
    if name not in kinds:
        known = ", ".join(kinds)
        raise _misuse(
            f"{source}: the API knows no such attribute{nearest(name, kinds)} (known: {known})"
        )


def _unknown(names: list[str], resource: str, kinds: dict[str, str]) -> str:
    """What is wrong with the `names` in `--json`, perhaps what `get` has printed."""
    import attrs

    from voipstudio_cmb.models import RECORDS

    sent = {field.name for field in attrs.fields(RECORDS[resource])}
    read_only = [name for name in names if name in sent]
    others = [name for name in names if name not in sent]
    wrong = []
    if read_only:
        wrong.append(f"{', '.join(read_only)} can't be written: leave that out")
    if others:
        # No other text, which may be a token.
        what = ", ".join(others) if all(map(_NAME.fullmatch, others)) else "such attribute"
        near = nearest(others[0], kinds) if len(others) == 1 else ""
        wrong.append(f"the API knows no {what}{near}")
    return f"--json: {'; '.join(wrong)} (known: {', '.join(kinds)})"


def _check_type(name: str, value: object, fields: type) -> None:
    from voipstudio_cmb.codec.payloads import write_payload
    from voipstudio_cmb.errors import ClientMisuse

    try:
        write_payload({name: value}, fields)
    except ClientMisuse as error:
        if not error.message.startswith(f"{name} must be "):
            raise _misuse(f"--json: {error.message}") from None
        known = get_type_hints(fields)[name].__args__
        words = [text for kind, text in _WORDS.items() if kind in known]
        raise _misuse(f"--json: {name} must be {', '.join(words)} or null") from None


def _read_json(path: str) -> dict[str, Any]:
    """The object in the file `path`, with its numbers as they stand."""
    try:
        if path == "-":
            if sys.stdin is None:
                raise OSError(errno.EBADF, "standard input is closed")
            text = sys.stdin.buffer.read(MOST + 1)
        else:
            from voipstudio_cmb.boundary.files import check_regular

            check_regular(path, MOST)
            with open(path, "rb") as file:
                text = file.read(MOST + 1)
    except OSError as error:
        raise _misuse(f"--json can't be read: {error.strerror}") from None
    if len(text) > MOST:
        raise _misuse(f"--json is larger than {MOST} bytes")
    try:
        found = json.loads(text, parse_float=Decimal, parse_int=_integer, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise _misuse(f"--json is no JSON: fix it at {_place(error)}") from None
    except UnicodeDecodeError:
        raise _misuse("--json is no text: save it as UTF-8") from None
    except ValueError as error:
        raise _misuse(f"--json can't be used: {error}") from None
    except RecursionError:
        raise _misuse("--json is nested too deeply: write attributes alone into it") from None
    if not isinstance(found, dict):
        raise _misuse('--json is not a JSON object: write one like {"name": "Shop"}')
    return found


def _place(error: json.JSONDecodeError) -> str:
    return f"line {error.lineno}, column {error.colno}"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("a name stands in it twice: leave one out")
    return found


def _integer(text: str) -> int:
    if len(text) > 40:  # no attribute has so many, and Python reads some thousand only
        raise ValueError("a number has too many digits: shorten it")
    return int(text)


def _misuse(message: str) -> Exception:
    from voipstudio_cmb.errors import ClientMisuse

    return ClientMisuse(message)
