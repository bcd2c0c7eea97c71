"""A caller and a callee that are instrumented with OpenTelemetry's Python SDK.

send.py grpc|http/protobuf ENDPOINT NAME: NAME-web calls NAME-db five times, the last call fails.
"""

import logging
import sys
import time

from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

protocol, endpoint, name = sys.argv[1:]
if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc import _log_exporter, metric_exporter, trace_exporter

    def at(signal):
        return {"endpoint": endpoint, "insecure": True}
else:
    from opentelemetry.exporter.otlp.proto.http import _log_exporter, metric_exporter, trace_exporter

    def at(signal):
        return {"endpoint": f"{endpoint}/v1/{signal}"}


def tracing(service):
    provider = TracerProvider(resource=service)
    provider.add_span_processor(BatchSpanProcessor(trace_exporter.OTLPSpanExporter(**at("traces"))))
    return provider


web, db = (Resource.create({"service.name": f"{name}-{part}"}) for part in ("web", "db"))
traces = tracing(web), tracing(db)
caller, callee = (provider.get_tracer("test") for provider in traces)
reader = PeriodicExportingMetricReader(metric_exporter.OTLPMetricExporter(**at("metrics")))
meters = MeterProvider(resource=db, metric_readers=[reader])
duration = meters.get_meter("test").create_histogram("http.server.request.duration", unit="s")
logs = LoggerProvider(resource=db)
logs.add_log_record_processor(SimpleLogRecordProcessor(_log_exporter.OTLPLogExporter(**at("logs"))))
set_logger_provider(logs)
log = logging.getLogger("db")
log.addHandler(LoggingHandler(logger_provider=logs))
log.setLevel(logging.INFO)

for call in range(5):
    with caller.start_as_current_span("query", kind=SpanKind.CLIENT) as asking:
        with callee.start_as_current_span("answer", kind=SpanKind.SERVER) as span:
            time.sleep(0.01)
            duration.record(0.01, {"http.request.method": "GET", "http.route": "/rows"})
            if call == 4:
                span.set_status(StatusCode.ERROR)
                asking.set_status(StatusCode.ERROR)
                log.error("no connection to shard %d", call)
            else:
                log.info("answered in %d ms", 10 + call)

for provider in (*traces, meters, logs):
    provider.shutdown()
