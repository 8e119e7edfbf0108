"""OpenTelemetry: a span a call, an event an attempt, and nothing imported unless asked for."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from voipstudio_cmb import CallMeBackClient, ClientConfig
from voipstudio_cmb.errors import NotFound
from voipstudio_cmb.ext import otel
from voipstudio_cmb.sandbox import Fault, Sandbox


async def test_a_call_is_a_span_and_an_attempt_an_event_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = asyncio.get_running_loop().time  # the one clock for what began and what it took
    monkeypatch.setattr("time.time", lambda: 1.7e9 + clock())
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    config = ClientConfig(
        on_event=otel.spans(provider), retry=lambda e, r, n: 0.0 if e.retryable else None
    )
    async with Sandbox(rows=30, token="canary-not-a-token") as api:
        api.script(Fault(path="/callmeback/settings", status=503, headers={"Retry-After": "0"}))
        async with CallMeBackClient(api.token, base_url=api.base_url, config=config) as cmb:
            with provider.get_tracer("test").start_as_current_span("job") as job:
                with pytest.raises(NotFound):
                    await cmb.settings.get(999_999_999)
                await cmb.cdrs.list(page_size=10, walk="page").collect()
    get, *pages, parent = exporter.get_finished_spans()
    assert parent.name == "job"
    assert get.name == "GET /callmeback/settings/{id}"
    assert get.kind is SpanKind.CLIENT
    assert get.attributes is not None
    attributes = dict(get.attributes)
    waited = attributes.pop("voipstudio_cmb.waited")
    assert isinstance(waited, float)
    assert waited < 1
    assert attributes == {
        "http.request.method": "GET",
        "http.request.resend_count": 1,
        "http.response.status_code": 404,
        "url.path": "/callmeback/settings/999999999",
        "url.template": "/callmeback/settings/{id}",
        "error.type": "NotFound",
        "voipstudio_cmb.operation": "settings.get",
    }
    assert get.status.status_code is StatusCode.ERROR
    statuses = [(event.attributes or {})["http.response.status_code"] for event in get.events]
    assert statuses == [503, 404]
    assert (get.events[0].attributes or {})["http.response.header.retry-after"] == "0"
    assert get.start_time is not None
    assert get.end_time is not None
    assert get.start_time <= get.events[0].timestamp <= get.events[1].timestamp <= get.end_time
    assert len(pages) >= 4
    for span in (get, *pages):
        assert span.parent is not None
        assert span.parent.span_id == job.get_span_context().span_id
        assert "canary" not in span.to_json()
    assert all(span.status.status_code is StatusCode.UNSET for span in pages)


def test_nothing_of_it_is_imported_unless_asked_for() -> None:
    code = (
        "import sys, voipstudio_cmb.client, voipstudio_cmb.export, voipstudio_cmb.cli\n"
        "print('opentelemetry' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


async def test_an_attempt_is_within_its_call_though_the_clock_is_set_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hours = itertools.count(1.7e9, 3600)
    monkeypatch.setattr("time.time", lambda: next(hours))
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    config = ClientConfig(on_event=otel.spans(provider))
    async with Sandbox(rows=1) as api:
        async with CallMeBackClient(api.token, base_url=api.base_url, config=config) as cmb:
            await cmb.ping()
    (span,) = exporter.get_finished_spans()
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.start_time <= span.events[0].timestamp <= span.end_time
