"""Logs as JSON without personal data, and W3C trace context that travels in message headers from the request to the last event."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator = TraceContextTextMapPropagator()


def configure(service: str, level: str = "INFO", otlp_endpoint: str = "") -> None:
    """Set up logging and tracing for a process. Spans leave the process only where an OTLP endpoint is set."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True),
            _add_trace, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr), cache_logger_on_first_use=True,
    )  # fmt: skip
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format='{"level":"%(levelname)s","logger":"%(name)s","event":"%(message)s"}'
    )
    provider = TracerProvider(resource=Resource.create({"service.name": f"waybill-{service}"}))
    if otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=otlp_endpoint)))
    trace.set_tracer_provider(provider)


def _add_trace(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = f"{context.trace_id:032x}"
    return event


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
