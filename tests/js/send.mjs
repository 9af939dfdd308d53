// Sends two spans and two log records with the JavaScript SDK, and three lines with pino-loki.
// node send.mjs MAIN_URL SERVICE
import { SpanStatusCode, trace, context } from '@opentelemetry/api';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import pino from 'pino';

const [url, service] = process.argv.slice(2);
const resource = resourceFromAttributes({ 'service.name': service, 'service.version': '2.1' });

const tracing = new BasicTracerProvider({
  resource,
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: `${url}/v1/traces` }))],
});
const tracer = tracing.getTracer('shop', '1.2');
const root = tracer.startSpan('checkout', { attributes: { 'cart.items': 3, 'cart.total': 12.5, gift: true } });
const child = tracer.startSpan('charge', { attributes: { tags: ['a', 'b'] } }, trace.setSpan(context.active(), root));
child.recordException(new Error('card declined'));
child.setStatus({ code: SpanStatusCode.ERROR, message: 'declined' });
child.end();
root.end();

const logging = new LoggerProvider({
  resource,
  processors: [new BatchLogRecordProcessor(new OTLPLogExporter({ url: `${url}/v1/logs` }))],
});
const logger = logging.getLogger('shop', '1.2');
const inTrace = trace.setSpan(context.active(), root);
logger.emit({ severityNumber: 17, severityText: 'ERROR', body: 'charge failed: «declined»', attributes: { order: 42 }, context: inTrace });
logger.emit({ severityNumber: 9, body: { nested: { deep: [1, 'two'] } } });

await tracing.shutdown();
await logging.shutdown();

const loki = pino.transport({
  target: 'pino-loki',
  options: { host: url, batching: { interval: 1 }, labels: { app: `${service}-loki`, env: 'test' } },
});
const lines = pino({ level: 'debug' }, loki);
lines.info({ user: 'ada' }, 'signed in');
lines.warn('slow answer');
lines.error({ code: 7 }, 'gave up');
await new Promise((resolve) => lines.flush(resolve));
await new Promise((resolve) => setTimeout(resolve, 2500));
loki.end();

const ids = root.spanContext();
console.log(JSON.stringify({ trace_id: ids.traceId, root: ids.spanId, child: child.spanContext().spanId }));
