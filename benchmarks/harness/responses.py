"""A response of the package as a function may return it in place of the network."""

from __future__ import annotations

import json
from typing import Any

from voipstudio_cmb.http import Response


def json_response(value: Any, status: int = 200, **headers: str) -> Response:
    """Returns a response whose body is `value` as JSON; `retry_after="1"` is a header."""
    names = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(status=status, body=json.dumps(value).encode(), headers=names)
