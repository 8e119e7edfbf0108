"""The refusal: the one exception with which any part of the stand-in turns a request down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs


@attrs.frozen
class Complaint:
    """One invalid *field* of a request, and what is wrong with it."""

    field: str
    message: str


class Refusal(Exception):
    """Carries what the error answer will be: *status*, *message*, *complaints* and *headers*."""

    def __init__(
        self,
        status: int,
        message: str,
        complaints: Sequence[Complaint] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.complaints = tuple(complaints)
        self.headers = headers or {}

    @property
    def body(self) -> dict[str, object]:
        """The documented error body: the message, and the invalid fields when there are any."""
        if not self.complaints:
            return {"message": self.message}
        errors = [{"field": each.field, "message": each.message} for each in self.complaints]
        return {"errors": errors, "message": self.message}
