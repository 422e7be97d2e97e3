import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { GatewayEndpoint, GatewayVersion } from '../../src/local/gateway-protocol.ts';
import { type Answer, echo, FakeReplica } from './fake-replica.ts';
import { call } from './http-client.ts';

/** Whatever carries scoring requests: the local gateway, the cluster's front end. */
export interface DataPlane {
  /** Resolves once the configuration is in force. */
  configure(endpoints: readonly GatewayEndpoint[]): Promise<void>;
  /** `…/api/v1/service/NAME`, without a slash at the end. */
  url(endpoint: string): string;
  /** Resolves once nothing is at these replicas any more, as the data plane sees it. */
  drained(replicaIds: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

export const KEY = 'primary-key-of-the-test';
export const MEGABYTE = 1024 * 1024;

export type Setup = Omit<Partial<GatewayEndpoint>, 'versions'> & Omit<Partial<GatewayVersion>, 'replicas' | 'name'>;

/** One endpoint `svc` with fake replicas, and what a test does with it. */
export class World {
  readonly plane: DataPlane;

  constructor(plane: DataPlane) {
    this.plane = plane;
  }

  async replicas(t: TestContext, count: number, answer: Answer = echo): Promise<FakeReplica[]> {
    const replicas = await Promise.all(Array.from({ length: count }, () => FakeReplica.start(randomUUID(), answer)));
    t.after(() => Promise.all(replicas.map((replica) => replica.kill())));
    return replicas;
  }

  async serve(replicas: readonly FakeReplica[], setup: Setup = {}): Promise<string> {
    await this.plane.configure([endpoint('svc', [version('main', replicas, { isDefault: true, ...setup })], setup)]);
    return this.plane.url('svc');
  }
}

export function version(
  name: string,
  replicas: readonly FakeReplica[],
  setup: Partial<GatewayVersion> = {},
): GatewayVersion {
  return {
    name,
    isDefault: setup.isDefault ?? false,
    ...(setup.trafficPercentile === undefined ? {} : { trafficPercentile: setup.trafficPercentile }),
    maxConcurrentRequestsPerContainer: setup.maxConcurrentRequestsPerContainer ?? 1,
    maxQueueWaitMs: setup.maxQueueWaitMs ?? 10_000,
    scoringTimeoutMs: setup.scoringTimeoutMs ?? 60_000,
    scoringRoute: setup.scoringRoute ?? '/score',
    ...(setup.swaggerRoute === undefined ? {} : { swaggerRoute: setup.swaggerRoute }),
    replicas: replicas.map((replica) => replica.facts),
  };
}

export function endpoint(
  name: string,
  versions: readonly GatewayVersion[],
  setup: Partial<GatewayEndpoint> = {},
): GatewayEndpoint {
  return {
    name,
    auth: setup.auth ?? { mode: 'none' },
    corsAllowedOrigins: setup.corsAllowedOrigins ?? [],
    maxBodyBytes: setup.maxBodyBytes ?? 100 * MEGABYTE,
    versions,
    ...(setup.ownPort === undefined ? {} : { ownPort: setup.ownPort }),
  };
}

export function sha256(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex');
}

/** A request sent just now has been taken in, because a later one on another connection is answered. */
export async function arrived(service: string): Promise<void> {
  for (let i = 0; i < 3; i += 1) await call(service);
}

/** Sends bytes as they are; what came back when the other side closes, or as soon as it matches. */
export async function raw(port: number, host: string, bytes: string, enough?: RegExp): Promise<string> {
  const socket = await open(port, host, bytes);
  let text = '';
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.on('data', (chunk: Buffer) => {
    text += chunk;
    if (enough?.test(text)) resolve();
  });
  socket.on('close', () => resolve());
  await promise;
  socket.destroy();
  return text;
}

export async function open(port: number, host: string, bytes: string): Promise<Socket> {
  const socket = connect(port, host);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(bytes, 'latin1');
  return socket;
}

export function chunked(url: string, chunk: Buffer, times: number): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
  const request = httpRequest(url, { method: 'POST' }, async (response) => {
    let text = '';
    for await (const part of response) text += part;
    resolve({ status: response.statusCode ?? 0, text });
  });
  request.on('error', reject);
  for (let i = 0; i < times; i += 1) request.write(chunk);
  request.end();
  return promise;
}
