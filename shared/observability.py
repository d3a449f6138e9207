"""Logs as JSON without personal data, and W3C trace context that travels in message headers from the request to the last event."""

import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import structlog
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator = TraceContextTextMapPropagator()
FRAMES_MAX = 40
# Libraries whose log lines name brokers, topics and groups, never what a message holds. Of all others the line's template is logged, without its values.
_SAYS_NO_CONTENT = ("aiokafka", "uvicorn", "sse_starlette")


def configure(service: str, level: str = "INFO", otlp_endpoint: str = "") -> None:
    """Set up logging and tracing for a process. Spans leave the process only where an OTLP endpoint is set."""
    structlog.configure(
        processors=[
            _named(service), structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True),
            _add_trace, _where_it_failed, structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr), cache_logger_on_first_use=True,
    )  # fmt: skip
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(service))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    provider = TracerProvider(resource=Resource.create({"service.name": f"waybill-{service}"}))
    if otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=otlp_endpoint)))
    trace.set_tracer_provider(provider)


def _named(service: str) -> structlog.types.Processor:
    def add(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        return {"service": service, **event}

    return add


def _add_trace(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = f"{context.trace_id:032x}"
    return event


def flush() -> None:
    """Send the spans that are still here; waits a second at most."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.force_flush(1000)


def where_it_failed(error: BaseException) -> list[dict[str, Any]]:
    """An exception and its causes as kinds and places in the code, the newest first. Messages stay out: a library's may quote what it was given."""
    found: list[dict[str, Any]] = []
    cause: BaseException | None = error
    while cause is not None and len(found) < 5:
        frames = traceback.extract_tb(cause.__traceback__)[-FRAMES_MAX:]
        found.append({"kind": _kind(cause), "at": [f"{_module(f.filename)}:{f.lineno} {f.name}" for f in frames]})
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return found


def _kind(error: BaseException) -> str:
    """The class, and the SQLSTATE where it is PostgreSQL's."""
    state = getattr(error, "sqlstate", None)
    return f"{type(error).__module__}.{type(error).__qualname__}" + (f" {state}" if isinstance(state, str) else "")


def _module(path: str) -> str:
    """The last parts of a file's path: enough to find it."""
    return "/".join(path.split("/")[-3:])


def _where_it_failed(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["failed"] = where_it_failed(error)
    return event


class JsonLines(logging.Formatter):
    """Lines of libraries, which log by the standard library, in the shape of our own."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        says = record.getMessage() if record.name.startswith(_SAYS_NO_CONTENT) else str(record.msg)
        at = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        line: dict[str, Any] = {
            "service": self._service, "level": record.levelname.lower(), "logger": record.name, "event": says.splitlines()[0][:500] if says else "",
            "timestamp": at,
        }  # fmt: skip
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = f"{context.trace_id:032x}"
        if record.exc_info and record.exc_info[1] is not None:
            line["failed"] = where_it_failed(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def current_traceparent() -> str:
    """The current span as a `traceparent` header; empty where there is none."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent", "")


@contextmanager
def span(name: str, headers: Mapping[str, str] | None = None) -> Iterator[None]:
    """A span that goes on from the `traceparent` in `headers` where there is one."""
    context = _propagator.extract(dict(headers)) if headers else None
    with trace.get_tracer("waybill").start_as_current_span(name, context=context):
        yield


def rename_span(name: str) -> None:
    """Call the current span by what is known now, such as the route that a request took."""
    trace.get_current_span().update_name(name)
