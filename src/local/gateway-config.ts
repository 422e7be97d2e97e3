import * as v from 'valibot';
import { AksmlError } from '../contract/error.ts';
import type { GatewayConfiguration } from './gateway-protocol.ts';

const Port = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535));
const Milliseconds = v.pipe(v.number(), v.minValue(0), v.maxValue(2 ** 31 - 1));

const Replica = v.object({ id: v.string(), port: Port, state: v.picklist(['ready', 'draining']) });

const Version = v.object({
  name: v.string(),
  isDefault: v.boolean(),
  trafficPercentile: v.optional(v.number()),
  maxConcurrentRequestsPerContainer: v.pipe(v.number(), v.integer(), v.minValue(1)),
  maxQueueWaitMs: Milliseconds,
  scoringTimeoutMs: Milliseconds,
  scoringRoute: v.pipe(v.string(), v.startsWith('/')),
  swaggerRoute: v.optional(v.pipe(v.string(), v.startsWith('/'))),
  replicas: v.array(Replica),
});

const Auth = v.variant('mode', [
  v.object({ mode: v.literal('none') }),
  v.object({ mode: v.literal('key'), keyHashes: v.array(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))) }),
  v.object({
    mode: v.literal('token'),
    issuer: v.string(),
    audience: v.string(),
    keys: v.array(v.record(v.string(), v.unknown())),
  }),
]);

const Configuration = v.object({
  port: Port,
  endpoints: v.array(
    v.object({
      name: v.string(),
      ownPort: v.optional(Port),
      auth: Auth,
      corsAllowedOrigins: v.array(v.string()),
      maxBodyBytes: v.pipe(v.number(), v.integer(), v.minValue(0)),
      versions: v.array(Version),
    }),
  ),
});

/** A configuration that came over the wire. @throws AksmlError `gateway.configuration` */
export function parseConfiguration(json: unknown): GatewayConfiguration {
  const result = v.safeParse(Configuration, json);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new AksmlError('gateway.configuration', `${v.getDotPath(issue) ?? 'configuration'}: ${issue.message}`, {
    fault: 'input',
  });
}
