"""OpenTelemetry: a span for each call and an event in it for each attempt. Extra: `otel`.

    CallMeBackClient(token, config=ClientConfig(on_event=otel.spans()))

Names follow OpenTelemetry's semantic conventions for HTTP clients. Neither the query (it may hold
what somebody searched for) nor any header but those of `events.LOGGED_HEADERS` is recorded.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider

from voipstudio_cmb.events import AttemptEvent, CallEvent, Event, OnEvent

_ID = re.compile(r"/[0-9]+")
_Attributes: TypeAlias = dict[str, str | int | float | bool]


def spans(provider: TracerProvider | None = None) -> OnEvent:
    """A listener for `ClientConfig(on_event=…)` that turns each call into a span.

    Spans go to `provider`, or without one to the global tracer provider. A span's parent is the
    span that is current where the call was made; its times are those of the call.
    """
    tracer = trace.get_tracer("voipstudio_cmb", tracer_provider=provider)

    def listen(event: Event) -> None:
        if not isinstance(event, CallEvent):
            return  # a call brings its attempts along
        template = _ID.sub("/{id}", event.path)
        begins = _nanoseconds(event.began)
        ends = max(begins, _nanoseconds(event.began + event.elapsed))
        span = tracer.start_span(
            f"{event.method} {template}",
            kind=SpanKind.CLIENT,
            start_time=begins,
            attributes=_call_attributes(event, template),
        )
        for attempt in event.tries:
            at = _nanoseconds(attempt.began + attempt.elapsed)
            span.add_event(
                "attempt",
                attributes=_attempt_attributes(attempt),
                # Within the call, though floats are rounded and clocks are set.
                timestamp=min(max(begins, at), ends),
            )
        if event.error is not None:
            span.set_status(Status(StatusCode.ERROR, event.error))
        span.end(end_time=ends)

    return listen


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def _call_attributes(call: CallEvent, template: str) -> _Attributes:
    resent = {"http.request.resend_count": call.attempts - 1} if call.attempts > 1 else {}
    return {
        "http.request.method": call.method,
        "url.template": template,
        "url.path": call.path,
        "voipstudio_cmb.operation": call.operation,
        "voipstudio_cmb.waited": call.waited,
        **resent,
        **_outcome(call),
    }


def _attempt_attributes(attempt: AttemptEvent) -> _Attributes:
    return {
        "voipstudio_cmb.attempt": attempt.number,
        "voipstudio_cmb.sent": attempt.sent,
        **{f"http.response.header.{name}": value for name, value in attempt.headers.items()},
        **_outcome(attempt),
    }


def _outcome(event: Event) -> _Attributes:
    known = {"http.response.status_code": event.status, "error.type": event.error}
    return {name: value for name, value in known.items() if value is not None}
