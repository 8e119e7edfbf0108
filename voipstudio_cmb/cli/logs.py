"""`-v`, `-vv` and `VOIPSTUDIO_LOG`: what the client does, a line for each step, without secrets."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from voipstudio_cmb.errors import ConfigError
from voipstudio_cmb.events import AttemptEvent, CallEvent, log

from .stdio import log_is_behind
from .terminal import print_event, print_message

VARIABLE = "VOIPSTUDIO_LOG"
_LEVELS = {"info": logging.INFO, "debug": logging.DEBUG}


def level_of(verbosity: int, given: str | None) -> int | None:
    """The level of so many `-v`, or without one of what `VARIABLE` has `given`; None: no logs.

    Raises:
        ConfigError: `given` is no level.
    """
    if verbosity:
        return logging.INFO if verbosity == 1 else logging.DEBUG
    if not given:
        return None
    if given.lower() not in _LEVELS:
        raise ConfigError(f"{VARIABLE} is none of {', '.join(_LEVELS)}: use one of them")
    return _LEVELS[given.lower()]


@contextlib.contextmanager
def shown_logs(level: int | None, *, as_events: bool = False) -> Iterator[None]:
    """Shows logs from `level` on standard error, as messages or as the event `log`.

    INFO is what is waited for and tried again, DEBUG every attempt with its status and request id.
    """
    if level is None:
        yield
        return
    handler = _Handler(_print_event if as_events else _print_line)
    before, propagated = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(level)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
        log.propagate = propagated


class _Handler(logging.Handler):
    """Prints records with `show`, unless nobody reads: they would fill the memory."""

    def __init__(self, show: Callable[[logging.LogRecord, str], None]) -> None:
        super().__init__()
        self._show = show
        self._unread = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Prints what `record` says, if that is worth a line."""
        text = _text(record)
        if text is None:
            return
        if log_is_behind():
            self._unread += 1
            return
        if self._unread:
            text = f"{text} ({self._unread:,} lines before this one were not read, and left out)"
            self._unread = 0
        self._show(record, text)


def _text(record: logging.LogRecord) -> str | None:
    event = getattr(record, "event", None)
    if isinstance(event, AttemptEvent):
        outcome = " ".join(str(each) for each in (event.status, event.error) if each is not None)
        request_id = event.headers.get("x-request-id")
        named = f", request id {request_id}" if request_id else ""
        return f"{event.where}: attempt {event.number}: {outcome} in {event.elapsed:.3f} s{named}"
    if isinstance(event, CallEvent) and event.attempts == 1 and event.waited < 0.001:
        return None  # its attempt has said all
    return record.getMessage()


def _print_line(record: logging.LogRecord, text: str) -> None:
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    print_message(f"{at} {record.levelname.lower()}: {text}")


def _print_event(record: logging.LogRecord, text: str) -> None:
    print_event("log", level=record.levelname.lower(), message=text)
