// A caller and a callee that are instrumented with OpenTelemetry's SDK for Node.
//
// send.mjs grpc|http/json|http/protobuf ENDPOINT NAME: NAME-web calls NAME-db five times, the last
// call fails. Packages are taken from the folder that CLIENTS names.

import { createRequire } from 'node:module';

const need = createRequire(`${process.env.CLIENTS}/`);
const { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } = need('@opentelemetry/api');
const { SeverityNumber } = need('@opentelemetry/api-logs');
const { resourceFromAttributes } = need('@opentelemetry/resources');
const { LoggerProvider, SimpleLogRecordProcessor } = need('@opentelemetry/sdk-logs');
const { MeterProvider, PeriodicExportingMetricReader } = need('@opentelemetry/sdk-metrics');
const { BasicTracerProvider, BatchSpanProcessor } = need('@opentelemetry/sdk-trace-base');

const [protocol, endpoint, name] = process.argv.slice(2);
const form = { grpc: 'grpc', 'http/json': 'http', 'http/protobuf': 'proto' }[protocol];
const exporter = (signal, made) => {
  const url = form === 'grpc' ? endpoint : `${endpoint}/v1/${signal === 'trace' ? 'traces' : signal}`;
  return new (need(`@opentelemetry/exporter-${signal}-otlp-${form}`)[made])({ url, compression: 'gzip' });
};
const resource = (part) => resourceFromAttributes({ 'service.name': `${name}-${part}` });
const tracing = (part) => new BasicTracerProvider({
  resource: resource(part),
  spanProcessors: [new BatchSpanProcessor(exporter('trace', 'OTLPTraceExporter'))],
});
const [web, db] = [tracing('web'), tracing('db')];
const meters = new MeterProvider({
  resource: resource('db'),
  readers: [new PeriodicExportingMetricReader({ exporter: exporter('metrics', 'OTLPMetricExporter') })],
});
const logs = new LoggerProvider({
  resource: resource('db'),
  processors: [new SimpleLogRecordProcessor(exporter('logs', 'OTLPLogExporter'))],
});

const duration = meters.getMeter('test').createHistogram('http.server.request.duration', { unit: 's' });
const log = logs.getLogger('db');
for (let call = 0; call < 5; call += 1) {
  const asking = web.getTracer('test').startSpan('query', { kind: SpanKind.CLIENT }, ROOT_CONTEXT);
  const within = trace.setSpan(ROOT_CONTEXT, asking);
  const answering = db.getTracer('test').startSpan('answer', { kind: SpanKind.SERVER }, within);
  const inside = trace.setSpan(within, answering);
  await new Promise((resolve) => { setTimeout(resolve, 10); });
  duration.record(0.01, { 'http.request.method': 'GET', 'http.route': '/rows' }, inside);
  const failed = call === 4;
  if (failed) for (const span of [asking, answering]) span.setStatus({ code: SpanStatusCode.ERROR });
  log.emit({
    context: inside,
    severityNumber: failed ? SeverityNumber.ERROR : SeverityNumber.INFO,
    body: failed ? `no connection to shard ${call}` : `answered in ${10 + call} ms`,
  });
  answering.end();
  asking.end();
}
for (const provider of [web, db, meters, logs]) await provider.shutdown();
