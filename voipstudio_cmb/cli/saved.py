"""Plans in files: `plan --out` writes them, `apply --plan` reads them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from voipstudio_cmb.boundary.files import decode_handwritten, read_regular
from voipstudio_cmb.desired import Plan, SavedPlan
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export.store.disk import Disk, write_atomic

from .desired import plans_json

_LARGEST = 64 * 1024 * 1024


def read_plans(path: str) -> list[SavedPlan]:
    """The plans in the file `path`.

    Raises:
        ClientMisuse: it can't be read, or holds something else.
    """
    try:
        found = json.loads(decode_handwritten(read_regular(path, _LARGEST)))
    except OSError as error:
        raise ClientMisuse(f"--plan can't be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        found = []
    plans = [
        SavedPlan.parse(json.dumps(each))
        for each in (found if isinstance(found, list) else [found])
    ]
    if not plans:
        raise ClientMisuse("--plan is no plan: write one by `settings plan FILE --out PLAN`")
    return plans


def check_out(path: str) -> Path:
    """Where to write plans: a new file, or one that holds a plan.

    Raises:
        ClientMisuse: there is no such directory, or another file.
    """
    out = Path(os.path.realpath(path))  # not a link, which would be replaced
    if not out.parent.is_dir():
        raise ClientMisuse(f"--out: {str(out)!r} is in no directory that exists: name a file")
    if out.exists():
        try:
            read_plans(path)
        except ClientMisuse:
            raise ClientMisuse(
                f"--out: {str(out)!r} exists and is no plan: name another file, or move it"
            ) from None
    return out


def write_plans(path: Path, plans: Mapping[str, Plan]) -> None:
    """Writes `plans` to `path`, whole or not at all.

    Raises:
        OSError: it can't be written.
    """
    text = json.dumps(plans_json(plans), indent=2, ensure_ascii=False)
    write_atomic(Disk(), path, f"{text}\n".encode("utf-8", "backslashreplace"))
