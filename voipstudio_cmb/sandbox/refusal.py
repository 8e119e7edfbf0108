"""The one exception with which any part of the sandbox refuses a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs


@attrs.frozen
class FieldError:
    """One invalid field of a request, and what is wrong with it."""

    field: str
    message: str


class Refusal(Exception):
    """An error response: its status, its message, the invalid fields and additional headers."""

    def __init__(
        self,
        status: int,
        message: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, object] = {"message": message}
        """The documented error body; it lists the invalid fields, if there are any."""
        if errors:
            self.body = {"errors": [attrs.asdict(each) for each in errors], "message": message}
        self.headers: Mapping[str, str] = headers or {}
