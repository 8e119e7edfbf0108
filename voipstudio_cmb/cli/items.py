"""What commands on single items share: each id in its turn, requests that are only shown."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from textwrap import indent
from typing import TYPE_CHECKING, Any

from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.exit_codes import DONE, NOT_AUTHORISED, code_of, combined, is_doubtful

from .arguments import Arguments
from .clients import open_client
from .stdio import OutputError, print_data, print_text
from .terminal import escape_controls, json_text, note, print_message

if TYPE_CHECKING:
    from voipstudio_cmb.http import Request, Response

Operation = Callable[[Any], Awaitable[Any]]
"""Does something with a service, and returns a record or None."""


class _Shown(Exception):
    """A request was shown instead of sent."""


class _Records:
    """Prints records as they come: alone, or in one array if there may be several."""

    def __init__(self, arguments: Arguments, *, several: bool) -> None:
        self._arguments, self._several = arguments, several
        self._begun = False
        self._failure: OutputError | None = None

    async def add(self, record: dict[str, Any]) -> None:
        """Prints `record`, or says that it was changed though it can't be printed.

        What else is to be changed is not left out for want of a reader.
        """
        text = json_text(record)
        if self._several:
            text = (",\n" if self._begun else "[\n") + indent(text, "  ")
        try:
            if self._failure is None:
                self._begun = True
                await print_data(text.encode() + b"\n" * (not self._several))
        except OutputError as error:
            self._failure = error
            if not _changes(self._arguments):
                raise
        if self._failure is not None:
            where = f"{self._arguments.resource} id {record['id']}"
            print_message(f"{self._arguments.command} was carried out: {where}")

    async def end(self) -> None:
        """Closes the array, and raises what adding to it has met."""
        if self._failure is not None:
            raise self._failure
        if self._begun and self._several:
            await print_data(b"\n]\n")


async def run_items(arguments: Arguments, operations: Sequence[tuple[str, Operation]]) -> int:
    """Does each of the operations, named in words, and prints each record when it has come.

    One that fails does not keep the others from being tried, but for a token that is refused. With
    `--dry-run` the requests are shown and not sent. Returns the exit code.
    """
    if getattr(arguments, "dry_run", False):
        return await _show(arguments, operations)
    codes, records = list[int](), _Records(arguments, several=len(operations) > 1)
    async with open_client(arguments) as client:
        try:
            for name, operation in operations:
                codes.append(await _one(arguments, name, operation, client, records))
                if codes[-1] == NOT_AUTHORISED:
                    break
        finally:
            await records.end()
    return combined(codes)


async def _one(
    arguments: Arguments, name: str, operation: Operation, client: Any, records: _Records
) -> int:
    if _changes(arguments):
        arguments.pending = f"{name}: {_LOOK.format(_where_to_look(arguments, name))}"
    try:
        record = await operation(getattr(client, arguments.resource))
    except CallMeBackError as error:
        arguments.pending = ""
        look = _LOOK.format(_where_to_look(arguments, name))
        print_message(f"error: {name}: {error}" + (f". {look}" if is_doubtful(error) else ""))
        return code_of(error)
    arguments.pending = ""
    if record is None:
        note(arguments, f"{name}: done")
    else:
        await records.add(record.to_dict())
    return DONE


def _changes(arguments: Arguments) -> bool:
    return not str(arguments.command).endswith("get")


_LOOK = "It may have been carried out: look into {} before you run this again"


def _where_to_look(arguments: Arguments, name: str) -> str:
    """What shows whether an operation was carried out."""
    if name != "create":
        return f"`voipstudio-cmb get {name}`"
    if arguments.resource == "settings":
        return "`voipstudio-cmb settings list`"
    return "the vendor's web pages"


async def _show(arguments: Arguments, operations: Sequence[tuple[str, Operation]]) -> int:
    from voipstudio_cmb import services

    shown: list[str] = []

    async def show(request: Request) -> Response:
        body = "" if request.body is None else f"\n{_indented(request.body)}"
        shown.append(f"{request.method} {request.path}{body}\n")
        raise _Shown

    service = {"settings": services.Settings, "buttons": services.Buttons}[arguments.resource]
    for _, operation in operations:
        try:
            await operation(service(show))
        except _Shown:
            pass
    await print_text("".join(shown))
    note(arguments, "nothing was sent")
    return DONE


def _indented(body: bytes) -> str:
    return escape_controls(json.dumps(json.loads(body), indent=2, ensure_ascii=False))
