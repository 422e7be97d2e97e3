import type { Endpoint, VersionSpec, VersionStatus } from '../../contract/endpoint.ts';
import type { Engine } from '../engine.ts';

/** JSON as v1's `serialize()` of a web service printed it, with our own members after v1's. */
export type SerializedService = Readonly<Record<string, unknown>>;

type ServingEngine = Pick<Engine, 'workspace'> & { readonly target: Pick<Engine['target'], 'name'> };

/** The resource as it can be applied to another cluster: what this one has given it is left out. */
export function portableEndpoint({ apiVersion, kind, metadata, spec }: Endpoint): Endpoint {
  const { name, labels, annotations } = metadata;
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
    },
    spec,
  };
}

/** A service, or an endpoint with its versions below it. */
export function serializeEndpoint(engine: ServingEngine, endpoint: Endpoint): SerializedService {
  if (endpoint.spec.form === 'endpoint') return serializeVersions(engine, endpoint);
  const [version] = endpoint.spec.versions;
  return { ...common(engine, endpoint), ...(version === undefined ? {} : serializeVersion(endpoint, version)) };
}

function serializeVersions(engine: ServingEngine, endpoint: Endpoint): SerializedService {
  return {
    ...common(engine, endpoint),
    versions: Object.fromEntries(
      endpoint.spec.versions.map((version) => [
        version.name,
        {
          name: version.name,
          description: version.description ?? null,
          tags: version.tags,
          properties: version.properties,
          createdTime: version.createdTime,
          updatedTime: version.updatedTime,
          ...serializeVersion(endpoint, version),
          state: statusOf(endpoint, version)?.state ?? 'Transitioning',
          isDefault: version.isDefault,
          trafficPercentile: version.trafficPercentile ?? null,
          effectiveTrafficPercentile: statusOf(endpoint, version)?.effectiveTraffic ?? null,
          versionType: version.type ?? null,
        },
      ]),
    ),
  };
}

function common({ workspace, target }: ServingEngine, { metadata, spec, status }: Endpoint): SerializedService {
  const updated = spec.versions
    .map(({ updatedTime }) => updatedTime)
    .sort()
    .at(-1);
  return {
    name: metadata.name,
    description: spec.description ?? null,
    tags: spec.tags,
    properties: spec.properties,
    state: status?.state ?? 'Transitioning',
    createdTime: metadata.creationTimestamp ?? null,
    updatedTime: updated ?? null,
    error: status?.error ?? null,
    computeType: spec.computeType === 'local' ? 'Local' : spec.form === 'endpoint' ? 'AKSENDPOINT' : 'AKS',
    workspaceName: workspace.name,
    computeName: target.name,
    scoringUri: status?.scoringUri ?? null,
    swaggerUri: status?.swaggerUri ?? null,
    authEnabled: spec.auth === 'key',
    aadAuthEnabled: spec.auth === 'token',
    appInsightsEnabled: spec.appInsightsEnabled,
  };
}

function serializeVersion(endpoint: Endpoint, version: VersionSpec): SerializedService {
  const { resources, scale, livenessProbe } = version;
  const status = statusOf(endpoint, version);
  return {
    autoScaler: {
      autoscaleEnabled: scale.kind === 'auto',
      minReplicas: scale.kind === 'auto' ? scale.minReplicas : null,
      maxReplicas: scale.kind === 'auto' ? scale.maxReplicas : null,
      refreshPeriodInSeconds: scale.kind === 'auto' ? scale.refreshPeriodInSeconds : null,
      targetUtilization: scale.kind === 'auto' ? scale.targetUtilization : null,
    },
    numReplicas: scale.kind === 'fixed' ? scale.replicas : null,
    containerResourceRequirements: {
      cpu: resources.cpu,
      cpuLimit: resources.cpuLimit ?? null,
      memoryInGB: resources.memoryInGB,
      memoryInGBLimit: resources.memoryInGBLimit ?? null,
      gpu: resources.gpu,
    },
    dataCollection: { eventHubEnabled: false, storageEnabled: version.dataCollection },
    livenessProbeRequirements: livenessProbe,
    maxConcurrentRequestsPerContainer: version.maxConcurrentRequestsPerContainer,
    maxQueueWaitMs: version.maxQueueWaitMs,
    scoringTimeoutMs: version.scoringTimeoutMs,
    imageId: version.image,
    models: version.models,
    environment: version.environment,
    revision: version.revisionNumber,
    deploymentStatus: {
      desiredReplicas: status?.desiredReplicas ?? null,
      updatedReplicas: status?.updatedReplicas ?? null,
      availableReplicas: status?.availableReplicas ?? null,
      error: status?.error ?? null,
    },
    utilization: status?.utilization ?? null,
    rollout: status?.rollout ?? null,
    replicas: status?.replicas ?? [],
  };
}

function statusOf(endpoint: Endpoint, version: VersionSpec): VersionStatus | undefined {
  return endpoint.status?.versions.find(({ name }) => name === version.name);
}
