import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CancellationToken,
  createMessageConnection,
  ProgressType,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-jsonrpc/node';
import { ENDPOINT_API_VERSION, type Endpoint, type VersionSpec } from '../../../src/contract/endpoint.ts';
import { type Envelope, READY, type Ready } from '../../../src/contract/engine-api.ts';

/**
 * Takes the place of the engine's program: one compute target with a thousand endpoints of ten replicas each, of which a hundred change
 * every second. No machine could run them; the extension sees no difference.
 */
const ENDPOINTS = 1000;
const REPLICAS = 10;
const CHANGES_PER_SECOND = 100;

const EVENTS = new ProgressType<unknown>();
const connection = createMessageConnection(
  new StreamMessageReader(process.stdin),
  new StreamMessageWriter(process.stdout),
);
type Emit = (event: unknown) => Promise<void>;
type Stream = (emit: Emit, token: CancellationToken) => Promise<void>;

const TARGETS = [
  {
    listing: { name: 'local', kind: 'local', location: 'this machine', isDefault: true },
    status: { reachable: true, version: '0.1.0' },
    stopped: false,
  },
];

const answers: Readonly<Record<string, unknown>> = {
  'workspace.open': {
    name: 'crowded',
    content: '/tmp/crowded',
    isRemote: false,
    origin: { kind: 'default' },
    notices: [],
  },
  'target.list': TARGETS,
};

const streams: Readonly<Record<string, Stream>> = {
  'target.watch': (emit, token) => once(emit, TARGETS, token),
  'model.watch': (emit, token) => once(emit, [], token),
  'environment.watch': (emit, token) => once(emit, [], token),
  'endpoint.watch': watchEndpoints,
};

connection.onRequest(async (method, params, token) => {
  const { progress } = params as Envelope;
  const emit: Emit = async (event) => {
    if (progress !== undefined) await connection.sendProgress(EVENTS, progress, event);
  };
  await streams[method]?.(emit, token);
  return answers[method] ?? (method.endsWith('.list') ? [] : null);
});
connection.onClose(() => process.exit(0));
connection.listen();
await connection.sendNotification(READY, { version: '0.1.0', pid: process.pid, home: '/tmp/crowded' } satisfies Ready);

async function once(emit: Emit, event: unknown, token: CancellationToken): Promise<void> {
  await emit(event);
  await new Promise<void>((resolve) => token.onCancellationRequested(() => resolve()));
}

async function watchEndpoints(emit: Emit, token: CancellationToken): Promise<void> {
  await emit([
    ...Array.from({ length: ENDPOINTS }, (_, index) => ({ type: 'present', endpoint: endpoint(index, 0) })),
    { type: 'synced' },
  ]);
  for (let tick = 1; !token.isCancellationRequested; tick += 1) {
    await sleep(100);
    const some = Array.from({ length: CHANGES_PER_SECOND / 10 }, (_, n) => (tick * 7 + n * 101) % ENDPOINTS);
    await emit(some.map((index) => ({ type: 'changed', endpoint: endpoint(index, tick) })));
  }
}

function endpoint(index: number, tick: number): Endpoint {
  const name = `endpoint-${String(index).padStart(4, '0')}`;
  const state = index % 50 === 49 ? 'Unhealthy' : 'Healthy';
  const image = `sha256:${'0'.repeat(64)}`;
  return {
    apiVersion: ENDPOINT_API_VERSION,
    kind: 'Endpoint',
    metadata: {
      name,
      uid: name,
      resourceVersion: String(tick),
      generation: 1,
      creationTimestamp: '2026-01-01T00:00:00.000Z',
    },
    spec: {
      form: 'service',
      computeType: 'aks',
      tags: {},
      properties: {},
      auth: 'key',
      appInsightsEnabled: false,
      corsAllowedOrigins: [],
      versions: [version(image)],
    },
    status: {
      observedGeneration: 1,
      state,
      scoringUri: `http://127.0.0.1:6789/api/v1/service/${name}/score`,
      updatedTime: '2026-01-01T00:00:00.000Z',
      versions: [
        {
          name: 'default',
          state,
          desiredReplicas: REPLICAS,
          updatedReplicas: REPLICAS,
          availableReplicas: REPLICAS,
          effectiveTraffic: 100,
          utilization: ((index + tick) % 100) / 100,
          replicas: Array.from({ length: REPLICAS }, (_, n) => ({
            id: `${name}-${n}`,
            image,
            state: 'ready',
            startedTime: '2026-01-01T00:00:00.000Z',
            restarts: 0,
          })),
        },
      ],
    },
  };
}

function version(image: string): VersionSpec {
  return {
    name: 'default',
    isDefault: true,
    tags: {},
    properties: {},
    revision: image,
    image,
    revisionNumber: 1,
    models: ['weights:1'],
    environment: { name: 'bare', hash: 'bare' },
    resources: { cpu: 0.1, memoryInGB: 0.5, gpu: 0 },
    scale: { kind: 'fixed', replicas: REPLICAS },
    maxConcurrentRequestsPerContainer: 1,
    maxQueueWaitMs: 500,
    scoringTimeoutMs: 60_000,
    livenessProbe: {
      periodSeconds: 10,
      initialDelaySeconds: 310,
      timeoutSeconds: 2,
      successThreshold: 1,
      failureThreshold: 3,
    },
    dataCollection: false,
    createdTime: '2026-01-01T00:00:00.000Z',
    updatedTime: '2026-01-01T00:00:00.000Z',
  };
}
