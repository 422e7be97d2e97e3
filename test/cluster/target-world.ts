import { endpointDefinition } from '../../src/cluster/crd.ts';
import type { PullCredentials } from '../../src/cluster/target/pull-secret.ts';
import { openClusterTarget } from '../../src/cluster/target/target.ts';
import type { ComputeTargetRecord } from '../../src/contract/compute-record.ts';
import type { ComputeTarget } from '../../src/contract/compute-target.ts';
import {
  ENDPOINT_API_VERSION,
  type Endpoint,
  type EndpointSpec,
  type VersionSpec,
} from '../../src/contract/endpoint.ts';
import { type KubeClient, openKube } from '../../src/kube/kube.ts';
import { CUSTOM_RESOURCE_DEFINITIONS } from '../../src/kube/resource.ts';
import { type ClusterWorld, eventually } from './world.ts';

/** What a process of aksml has of a cluster: a connection, and the compute target on the world's namespace. */
export interface TargetWorld {
  readonly kube: KubeClient;
  readonly target: ComputeTarget;
}

export interface TargetWorldOptions {
  readonly kubeconfig?: string;
  readonly pullCredentials?: (host: string) => Promise<PullCredentials | undefined>;
}

export async function openTargetWorld(
  t: { after(work: () => Promise<void>): void },
  world: ClusterWorld,
  options: TargetWorldOptions = {},
): Promise<TargetWorld> {
  await installResource(world);
  const kube = await openKube(
    { paths: [options.kubeconfig ?? world.kubeconfig] },
    { variables: {}, consent: async () => false, untrustedFolders: [] },
  );
  t.after(() => kube.close());
  const record: ComputeTargetRecord = {
    name: 'west',
    kind: 'kubernetes',
    purpose: 'DevTest',
    clusterId: '',
    server: kube.server,
    namespace: world.namespace,
    attachedTime: NOW,
    attachedBy: 'nobody',
    aksmlVersion: '0.0.0-test',
  };
  const pullCredentials = options.pullCredentials ?? (async () => undefined);
  return { kube, target: openClusterTarget({ kube, record, pullCredentials, clock: () => new Date() }) };
}

/** The Endpoint resource, as another test may have installed it already. */
async function installResource(world: ClusterWorld): Promise<void> {
  const kube = await openKube(
    { paths: [world.kubeconfig] },
    { variables: {}, consent: async () => false, untrustedFolders: [] },
  );
  try {
    const definition = endpointDefinition('0.0.0-test');
    await kube.apply(CUSTOM_RESOURCE_DEFINITIONS, definition, { fieldManager: 'aksml', force: true });
    await eventually('the API server serves endpoints', async () => {
      const { status } = await kube.get(CUSTOM_RESOURCE_DEFINITIONS, definition.metadata);
      return status?.conditions?.some((condition) => condition.type === 'Established' && condition.status === 'True');
    });
  } finally {
    await kube.close();
  }
}

const NOW = '2026-11-26T12:00:00Z';

export function version(name: string, changes: Partial<VersionSpec> = {}): VersionSpec {
  return {
    name,
    isDefault: true,
    tags: {},
    properties: {},
    revision: `sha256:${'a'.repeat(64)}`,
    image: `sha256:${'b'.repeat(64)}`,
    imageRepository: 'registry.example/team/deployments',
    revisionNumber: 1,
    models: ['diabetes:1'],
    environment: { hash: 'h' },
    resources: { cpu: 0.01, memoryInGB: 0.05, gpu: 0 },
    scale: { kind: 'fixed', replicas: 1 },
    maxConcurrentRequestsPerContainer: 1,
    maxQueueWaitMs: 500,
    scoringTimeoutMs: 60_000,
    livenessProbe: {
      periodSeconds: 10,
      initialDelaySeconds: 1,
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

export function endpoint(name: string, changes: Partial<EndpointSpec> = {}): Endpoint {
  return {
    apiVersion: ENDPOINT_API_VERSION,
    kind: 'Endpoint',
    metadata: { name },
    spec: {
      form: 'service',
      computeType: 'aks',
      tags: {},
      properties: {},
      auth: 'key',
      appInsightsEnabled: false,
      corsAllowedOrigins: [],
      versions: [version(name)],
      ...changes,
    },
  };
}
