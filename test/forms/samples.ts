import type { Endpoint, VersionSpec, VersionStatus } from '../../src/contract/endpoint.ts';
import type { MetricsSample } from '../../src/contract/metrics.ts';

const NOW = '2026-11-26T12:00:00.000Z';

export function version(name: string, changes: Partial<VersionSpec> = {}): VersionSpec {
  return {
    name,
    isDefault: false,
    tags: {},
    properties: {},
    revision: 'sha256:4f1d',
    image: 'sha256:9a2b',
    revisionNumber: 1,
    models: ['diabetes:3'],
    environment: { name: 'diabetes-env', hash: 'c0ffee' },
    resources: { cpu: 0.5, memoryInGB: 1, gpu: 0 },
    scale: { kind: 'auto', minReplicas: 1, maxReplicas: 10, targetUtilization: 70, refreshPeriodInSeconds: 1 },
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
    createdTime: NOW,
    updatedTime: NOW,
    ...changes,
  };
}

export function versionStatus(name: string, changes: Partial<VersionStatus> = {}): VersionStatus {
  return {
    name,
    state: 'Healthy',
    desiredReplicas: 2,
    updatedReplicas: 2,
    availableReplicas: 2,
    effectiveTraffic: 0,
    utilization: 0.42,
    replicas: [
      { id: `${name}-1`, image: 'sha256:9a2b', state: 'ready', startedTime: NOW, restarts: 0, pid: 4711 },
      { id: `${name}-2`, image: 'sha256:9a2b', state: 'ready', startedTime: NOW, restarts: 1, pid: 4712 },
    ],
    ...changes,
  };
}

export function endpoint(changes: Partial<Endpoint['spec']> = {}, status: Partial<Endpoint['status']> = {}): Endpoint {
  const versions = changes.versions ?? [
    version('stable', { isDefault: true, type: 'Control', revisionNumber: 7 }),
    version('canary', { type: 'Treatment', trafficPercentile: 20, models: ['diabetes:4'] }),
  ];
  return {
    apiVersion: 'aksml.dev/v1',
    kind: 'Endpoint',
    metadata: { name: 'diabetes', resourceVersion: '12', generation: 4, creationTimestamp: NOW },
    spec: {
      form: 'endpoint',
      computeType: 'aks',
      tags: {},
      properties: {},
      auth: 'key',
      appInsightsEnabled: false,
      corsAllowedOrigins: [],
      ...changes,
      versions,
    },
    status: {
      observedGeneration: 4,
      state: 'Healthy',
      scoringUri: 'http://127.0.0.1:31780/api/v1/endpoint/diabetes/score',
      swaggerUri: 'http://127.0.0.1:31780/api/v1/endpoint/diabetes/swagger.json',
      versions: versions.map(({ name }) => versionStatus(name)),
      updatedTime: NOW,
      ...status,
    },
  };
}

function byStatus(rate: number): Record<string, number> {
  return rate > 5 ? { 200: rate * 0.97, 503: rate * 0.03 } : { 200: rate };
}

/** Requests a second by version, with a plausible rest. */
export function metrics(rates: Readonly<Record<string, number>>, second = 0): MetricsSample {
  const total = Object.values(rates).reduce((sum, rate) => sum + rate, 0);
  return {
    time: new Date(Date.parse(NOW) + second * 1000).toISOString(),
    seconds: 1,
    versions: Object.entries(rates).map(([name, rate], index) => ({
      version: name,
      requestsPerSecond: byStatus(rate),
      latencyMs: {
        p50: 12 + index * 3 + Math.sin(second / 5),
        p95: 31 + index * 6,
        p99: 58 + 9 * Math.sin(second / 3),
      },
      busy: 1,
      queued: second % 4 === 0 ? 1 : 0,
      readyReplicas: 2,
      utilization: 0.4 + 0.2 * Math.sin(second / 9),
      ...(total === 0 ? {} : { measuredTraffic: (rate / total) * 100 }),
    })),
  };
}
