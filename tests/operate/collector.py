"""What a collector of spans does first: take OTLP over HTTP and decode it by OpenTelemetry's own messages."""

from dataclasses import dataclass

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.receiver import Answer, Receiver

PATH = "/v1/traces"


@dataclass(frozen=True)
class Span:
    """One span as it came. `parent` empty: the first of its trace."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent: str


class Collector:
    """Listens from the start."""

    def __init__(self) -> None:
        self._receiver = Receiver()
        self._receiver.decide = lambda path, before: Answer(200, {"Content-Type": "application/x-protobuf"})
        self.url = self._receiver.url(PATH)

    def trace(self, trace_id: str) -> list[Span]:
        """The spans of a trace that have come so far."""
        found = []
        for received in self._receiver.at(PATH):
            for resource in ExportTraceServiceRequest.FromString(received.body).resource_spans:
                service = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
                spans = [span for scope in resource.scope_spans for span in scope.spans if span.trace_id.hex() == trace_id]
                found += [Span(service, each.name, trace_id, each.span_id.hex(), each.parent_span_id.hex()) for each in spans]
        return found

    def close(self) -> None:
        self._receiver.close()
