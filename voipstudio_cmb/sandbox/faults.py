"""Scripted faults: which requests go wrong, how, and how often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import attrs
import msgspec

from .data import Data
from .journal import Received

Drop = Literal["before", "after", "mid-body"]


@attrs.frozen(kw_only=True)
class Fault:
    """Something that goes wrong with the requests that it matches; without conditions, with all.

    Which requests: those of a `method`, whose `path` begins so, for a `page` of a collection, or
    for which `when` says so; `times` of them (None: all), `after` so many that are spared.

    What happens: a `status` or a `body` replaces the response, and the request then has no effect;
    `headers` are added; `raw` bytes are written instead; the connection is closed (`drop`:
    "before" or "after" the effect, or "mid-body"); a `delay` before and a `response_delay` after
    the effect, in seconds; `change` changes the data before the response is made.

    Raises:
        ValueError: a `drop` that is none, or a `path` that no request has.
    """

    method: str | None = None
    """Of the request, in any case; `None` is any."""
    path: str = ""
    """How the path below the base URL begins."""
    page: int | None = None
    """The page of a collection; 1 matches requests that name none."""
    when: Callable[[Received], bool] | None = None
    """A test of the whole request."""
    times: int | None = 1
    """How many matching requests are hit; `None` is all."""
    after: int = 0
    """How many matching requests are spared first."""

    status: int | None = None
    """Of the response."""
    body: Any = None
    """Bytes are sent as they are, anything else as JSON."""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    """Added to the response, whether it is replaced or not."""
    raw: bytes | None = None
    """Written to the socket in place of a response; then the connection is closed."""
    drop: Drop | None = None
    """Closes the connection before the request has an effect, after its effect without a response,
    or in the middle of the response."""
    delay: float = 0.0
    """Seconds to wait first."""
    response_delay: float = 0.0
    """Seconds to wait between the effect and the response."""
    change: Callable[[Data], object] | None = None
    """Changes the data right before the response is made."""

    def __attrs_post_init__(self) -> None:
        if self.drop is not None and self.drop not in get_args(Drop):
            kinds = ", ".join(map(repr, get_args(Drop)))
            raise ValueError(f"drop is none of {kinds}: {self.drop!r}")
        if self.path and not self.path.startswith("/"):
            raise ValueError(f"path does not begin with /, as each does: {self.path!r}")

    def matches(self, received: Received) -> bool:
        return (
            (self.method is None or self.method.upper() == received.method)
            and received.path.startswith(self.path)
            and (self.page is None or self.page == received.page)
            and (self.when is None or self.when(received))
        )

    def response(self) -> tuple[int, bytes, str] | None:
        """Returns status, body and content type if the response is replaced."""
        if self.status is None and self.body is None:
            return None
        status = 200 if self.status is None else self.status
        if isinstance(self.body, bytes):
            html = self.body.lstrip().startswith(b"<")
            return status, self.body, "text/html" if html else "application/json"
        content = {"message": f"Scripted {status}"} if self.body is None else self.body
        return status, msgspec.json.encode(content), "application/json"


@attrs.define
class Scripted:
    """A scripted fault, and how often it was met."""

    fault: Fault
    seen: int = 0
    """The requests that it matched."""
    applied: int = 0
    """The requests that it hit."""

    @property
    def spent(self) -> bool:
        """Whether it has hit as many requests as it should."""
        return self.fault.times is not None and self.applied >= self.fault.times

    def takes(self, received: Received) -> bool:
        """Counts `received` if it matches, and tells whether it is hit."""
        if self.spent or not self.fault.matches(received):
            return False
        self.seen += 1
        if self.seen <= self.fault.after:
            return False
        self.applied += 1
        return True
