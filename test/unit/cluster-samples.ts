import type { FrontEndSettings } from '../../src/cluster/manifests.ts';
import { DEFAULT_ROUTER_SETTINGS } from '../../src/cluster/router/router-settings.ts';
import type { EndpointSpec, VersionSpec } from '../../src/contract/endpoint.ts';
import type { Pod, StoredEndpoint } from '../../src/kube/resource.ts';

/** An endpoint as the API server would hand it out. */
export function clusterEndpoint(spec: Partial<EndpointSpec> = {}, rest: Partial<StoredEndpoint> = {}): StoredEndpoint {
  return {
    apiVersion: 'aksml.dev/v1',
    kind: 'Endpoint',
    metadata: { name: 'web', namespace: 'team', uid: 'uid-of-web', generation: 1, resourceVersion: '1' },
    spec: {
      form: 'endpoint',
      computeType: 'aks',
      tags: {},
      properties: {},
      auth: 'key',
      appInsightsEnabled: false,
      corsAllowedOrigins: [],
      versions: [clusterVersion()],
      ...spec,
    },
    ...rest,
  };
}

export function clusterVersion(version: Partial<VersionSpec> = {}): VersionSpec {
  return {
    name: 'main',
    isDefault: true,
    tags: {},
    properties: {},
    revision: '',
    image: `sha256:${'0'.repeat(64)}`,
    imageRepository: 'registry.example/team',
    revisionNumber: 1,
    models: [],
    environment: { hash: '' },
    resources: { cpu: 0.1, memoryInGB: 0.5, gpu: 0 },
    scale: { kind: 'fixed', replicas: 1 },
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
    createdTime: '2026-01-01T00:00:00Z',
    updatedTime: '2026-01-01T00:00:00Z',
    ...version,
  };
}

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number];

/** A pod of a version: `container` is what the kubelet says of its container, `conditions` what else is said. */
export function clusterPod(
  name: string,
  template: string,
  container: Partial<ContainerStatus> = {},
  status: Partial<NonNullable<Pod['status']>> = {},
): Pod {
  const ready = container.ready ?? false;
  return {
    metadata: {
      name,
      namespace: 'team',
      uid: `uid-of-${name}`,
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { 'aksml.dev/endpoint': 'web', 'aksml.dev/version': 'main' },
      annotations: { 'aksml.dev/template': template, 'aksml.dev/image': `sha256:${template}` },
    },
    spec: { nodeName: 'node', containers: [{ name: 'scoring' }] },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      containerStatuses: [
        { name: 'scoring', image: 'registry.example/team', imageID: '', ready, restartCount: 0, ...container },
      ],
      ...status,
    },
  };
}

export function frontEndSettings(settings: Partial<FrontEndSettings> = {}): FrontEndSettings {
  return {
    routers: 3,
    service: { type: 'LoadBalancer', internal: false },
    routing: DEFAULT_ROUTER_SETTINGS,
    ...settings,
  };
}
