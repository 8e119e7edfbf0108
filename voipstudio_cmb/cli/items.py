"""What commands on single items share: each id in its turn, requests that are only shown."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from voipstudio_cmb.errors import CallMeBackError

from .arguments import Arguments
from .clients import open_client
from .exit_codes import DONE, FAILED, NOT_AUTHORISED, RESUMABLE, code_of
from .stdio import OutputError, print_text
from .terminal import escape_controls, print_json, print_message

if TYPE_CHECKING:
    from voipstudio_cmb.http import Request, Response

Operation = Callable[[Any], Awaitable[Any]]
"""Does something with a service, and returns a record or None."""


class _Shown(Exception):
    """A request was shown instead of sent."""


async def run_items(arguments: Arguments, operations: Sequence[tuple[str, Operation]]) -> int:
    """Does each of the operations, named in words, and prints the records; returns the exit code.

    One that fails does not keep the others from being tried, but for a token that is refused. With
    `--dry-run` the requests are shown and not sent.
    """
    if getattr(arguments, "dry_run", False):
        return await _show(arguments, operations)
    codes, records = [DONE], []
    async with open_client(arguments) as client:
        for name, operation in operations:
            try:
                record = await operation(getattr(client, arguments.resource))
            except CallMeBackError as error:
                print_message(f"error: {name}: {error}{_doubt(error, arguments)}")
                codes.append(_code(error))
                if codes[-1] == NOT_AUTHORISED:
                    break
            else:
                if record is None:
                    print_message(f"{name}: done")
                else:
                    records.append(record.to_dict())
    try:
        if records:
            await print_json(records[0] if len(operations) == 1 else records)
    except OutputError:
        if (names := ", ".join(f"id {record['id']}" for record in records)) and _writes(arguments):
            print_message(f"{arguments.command} was carried out: {arguments.resource} {names}")
        raise
    return max(codes)


def _writes(arguments: Arguments) -> bool:
    return str(arguments.command).endswith(("create", "update"))


def _doubt(error: CallMeBackError, arguments: Arguments) -> str:
    """What to do where it is not known whether the API has done it."""
    if error.sent != "maybe":
        return ""
    look = {"settings": "`voipstudio-cmb settings list`"}.get(
        arguments.resource, "the vendor's web pages"
    )
    return f". It may have been carried out: look into {look} before you run this again"


def _code(error: CallMeBackError) -> int:
    passes = code_of(error) == FAILED and (error.sent == "maybe" or error.retryable)
    return RESUMABLE if passes else code_of(error)


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
    print_message("nothing was sent")
    return DONE


def _indented(body: bytes) -> str:
    return escape_controls(json.dumps(json.loads(body), indent=2, ensure_ascii=False))
