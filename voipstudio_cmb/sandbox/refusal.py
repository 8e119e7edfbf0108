"""The one exception with which any part of the sandbox refuses a request."""

from __future__ import annotations

from collections.abc import Mapping

Errors = Mapping[str, str]
"""The invalid fields of a request, and what is wrong with each."""


class Refusal(Exception):
    """An error response: its status, its message, the invalid fields and a `Retry-After`."""

    def __init__(
        self, status: int, message: str, errors: Errors | None = None, *, retry_after: int = 0
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, object] = {"message": message}
        """The documented error body; it lists the invalid fields, if there are any."""
        if errors:
            listed = [{"field": field, "message": text} for field, text in errors.items()]
            self.body = {"errors": listed, "message": message}
        self.headers = {"Retry-After": str(retry_after)} if retry_after else {}
