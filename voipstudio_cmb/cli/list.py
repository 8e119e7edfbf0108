"""The command `list`."""

from __future__ import annotations

import argparse
import sys

from .exit_codes import DONE
from .terminal import say


async def _list(arguments: argparse.Namespace) -> int:
    from voipstudio_cmb.errors import ClientMisuse
    from voipstudio_cmb.filters import parse
    from voipstudio_cmb.models import COLLECTIONS

    from .clients import opened
    from .printers import PRINTERS

    if arguments.resource not in COLLECTIONS:
        hint = (
            "; the API has no collection of buttons: use `get buttons ID`"
            if arguments.resource == "buttons"
            else ""
        )
        known = ", ".join(COLLECTIONS)
        raise ClientMisuse(f"unknown collection {arguments.resource!r} (known: {known}){hint}")
    wanted = None if arguments.all else arguments.limit
    if wanted is not None and wanted < 1:
        raise ClientMisuse(f"--limit must be at least 1, not {wanted}")
    form = arguments.format or ("table" if sys.stdout.isatty() else "jsonl")
    filters = [parse(text) for text in arguments.filter]
    async with opened(arguments) as client:
        service = getattr(client, arguments.resource)
        walk = service.list(
            filters=filters,
            sort=arguments.sort,
            descending=arguments.desc,
            limit=None if wanted is None else wanted + 1,  # whether there are more
            page_size=arguments.page_size,
            concurrency=arguments.concurrency,
        )
        printer = PRINTERS[form](service.record, sys.stdout)
        shown, note = 0, ""
        async with walk:
            async for record in walk:
                if shown == wanted:
                    note = f"only the first {wanted} printed; --limit N or --all for more"
                    break
                printer.add(record)
                shown += 1
        printer.finish()
        sys.stdout.flush()
        if not shown:
            note = "no rows"
        if note:
            say(note)
    return DONE
