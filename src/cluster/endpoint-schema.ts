import { SERVICE_DEFAULTS } from '../contract/deployment.ts';
import {
  type Cause,
  type Condition,
  type CustomContainer,
  type EndpointSpec,
  type EndpointStatus,
  type EnvironmentSummary,
  type LivenessProbe,
  MAX_MODELS_PER_DEPLOYMENT,
  MAX_VERSIONS_PER_ENDPOINT,
  type Mirror,
  type RateLimit,
  type ReplicaStatus,
  type ResourceRequirements,
  type RolloutPolicy,
  type RolloutStatus,
  type Scale,
  type SecretVariable,
  type Toleration,
  type VersionSpec,
  type VersionStatus,
} from '../contract/endpoint.ts';
import { ADDRESS_BLOCK, SERVICE_NAME } from '../contract/names.ts';
import { flag, integer, list, listBy, number, object, type Rule, type Schema, text, texts } from './schema.ts';

/** The schema of the Endpoint resource. What a person who writes one by hand leaves out has v1's defaults. */
export function endpointSchema(): Schema {
  return {
    type: 'object',
    description: 'What has a scoring URI: 1 to 6 versions of a deployment, keys or tokens, traffic.',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: spec(),
      status: status(),
    },
    'x-kubernetes-validations': [
      {
        rule: `self.metadata.name.size() >= ${SERVICE_NAME.minLength} && self.metadata.name.size() <= ${SERVICE_NAME.maxLength} && self.metadata.name.matches('${SERVICE_NAME.pattern.source}')`,
        message: `the name of an endpoint has ${SERVICE_NAME.hint}`,
      },
    ],
  };
}

const DIGEST = '^sha256:[0-9a-f]{64}$';
/** Sums of decimal percentages are not exact in binary. */
const ROUNDING = 1e-6;

/** Those that a schema cannot say. They are given to the list of versions. */
export const VERSION_RULES: readonly Rule[] = [
  {
    rule: 'self.filter(v, v.isDefault).size() == 1',
    message: 'exactly one version has isDefault: true, it takes the traffic that no other version is given',
  },
  {
    rule: "self.filter(v, has(v.type) && v.type == 'Control').size() <= 1",
    message: 'at most one version has the type Control',
  },
  {
    rule: `self.map(v, !v.isDefault && has(v.trafficPercentile) ? double(v.trafficPercentile) : 0.0).sum() <= ${100 + ROUNDING}`,
    message: 'the traffic percentiles of the versions that are not the default add up to at most 100',
  },
];

function spec(): Schema {
  return object<EndpointSpec>(
    {
      form: text({
        enum: ['service', 'endpoint'],
        default: 'service',
        description: 'A service has one version, an endpoint up to six. Decides the form of the scoring URI.',
        'x-kubernetes-validations': [
          { rule: 'self == oldSelf', message: 'a service stays a service, an endpoint stays an endpoint' },
        ],
      }),
      computeType: text({ enum: ['aks'], default: 'aks' }),
      // Only of v1's LocalWebservice, which no cluster has.
      port: integer({ minimum: 1, maximum: 65535 }),
      description: text({ maxLength: 4096 }),
      tags: texts({ default: {} }),
      properties: texts({
        default: {},
        'x-kubernetes-validations': [
          {
            rule: 'oldSelf.all(key, key in self && self[key] == oldSelf[key])',
            message: 'a property stays as it was set; others can be added',
            reason: 'FieldValueForbidden',
          },
        ],
      }),
      auth: text({
        enum: ['key', 'token', 'none'],
        default: 'key',
        description: 'How those who score prove who they are.',
      }),
      appInsightsEnabled: flag({ default: false }),
      corsAllowedOrigins: list(text({ maxLength: 256 }), { default: [], maxItems: 64 }),
      stickiness: text({
        enum: ['session'],
        description: 'Requests with the same value of the header or cookie aksml-session stay with one version.',
      }),
      mirror: object<Mirror>(
        { version: text({ maxLength: SERVICE_NAME.maxLength }), percentile: number({ minimum: 0, maximum: 100 }) },
        {
          required: ['version', 'percentile'],
          description: 'A share of the traffic is copied to a version, whose answers nobody gets.',
        },
      ),
      rateLimit: object<RateLimit>(
        { requestsPerSecond: integer({ minimum: 1, maximum: 1_000_000, description: 'Of each client address.' }) },
        { required: ['requestsPerSecond'] },
      ),
      allowedAddresses: list(text({ maxLength: 49, pattern: ADDRESS_BLOCK.source }), {
        minItems: 1,
        maxItems: 256,
        description: 'Addresses and CIDR blocks whose clients may ask. Absent: all.',
      }),
      versions: listBy('name', version(), {
        minItems: 1,
        maxItems: MAX_VERSIONS_PER_ENDPOINT,
        'x-kubernetes-validations': VERSION_RULES,
      }),
    },
    {
      required: ['versions'],
      'x-kubernetes-validations': [
        {
          rule: "self.form != 'service' || self.versions.size() == 1",
          message: 'a service has one version; form: endpoint has up to six',
        },
        {
          rule: '!has(self.mirror) || self.versions.exists(v, v.name == self.mirror.version)',
          message: 'mirror.version is one of the versions',
        },
      ],
    },
  );
}

function version(): Schema {
  const defaults = SERVICE_DEFAULTS;
  return object<VersionSpec>(
    {
      name: text({
        pattern: SERVICE_NAME.pattern.source,
        minLength: SERVICE_NAME.minLength,
        maxLength: SERVICE_NAME.maxLength,
      }),
      isDefault: flag({
        default: false,
        description: 'Takes all traffic that no percentile assigns. Exactly one version does.',
      }),
      type: text({ enum: ['Control', 'Treatment'] }),
      trafficPercentile: number({
        minimum: 0,
        maximum: 100,
        description: 'Ignored on the default version: it takes the remainder.',
      }),
      description: text({ maxLength: 4096 }),
      tags: texts({ default: {} }),
      properties: texts({ default: {} }),
      revision: text({ default: '', description: 'Digest of the revision manifest: who deployed what.' }),
      image: text({ pattern: DIGEST, description: 'Digest of the image. Replicas are replaced when it changes.' }),
      imageRepository: text({ description: 'HOST[:PORT]/PATH that the image is pulled from.' }),
      imagePullSecret: text({
        maxLength: 253,
        description: 'Secret, in the same namespace, that the image is pulled with.',
      }),
      revisionNumber: integer({ minimum: 1, default: 1 }),
      models: list(text({ maxLength: 300 }), { default: [], maxItems: MAX_MODELS_PER_DEPLOYMENT }),
      environment: object<EnvironmentSummary>(
        { name: text(), version: text(), hash: text({ default: '' }) },
        { default: {} },
      ),
      resources: resources(),
      scale: scale(),
      rollout: rollout(),
      maxConcurrentRequestsPerContainer: integer({
        minimum: 1,
        maximum: 10_000,
        default: defaults.maxConcurrentRequestsPerContainer,
      }),
      maxQueueWaitMs: integer({ minimum: 1, default: defaults.maxQueueWaitMs }),
      scoringTimeoutMs: integer({ minimum: 1, maximum: 86_400_000, default: defaults.scoringTimeoutMs }),
      livenessProbe: livenessProbe(),
      dataCollection: flag({ default: false }),
      container: container(),
      secretVariables: listBy('name', secretVariable(), { maxItems: 256 }),
      variablesRevision: text({
        maxLength: 64,
        description:
          'Replicas are replaced when it changes: it changes with the Secrets that they have variables from.',
      }),
      nodeSelector: texts({ maxProperties: 32 }, text({ maxLength: 63 })),
      tolerations: list(toleration(), { maxItems: 32 }),
      createdTime: text(),
      updatedTime: text(),
    },
    {
      required: ['name', 'image'],
      'x-kubernetes-validations': [
        {
          rule: 'has(self.imageRepository) || (has(self.container) && has(self.container.image))',
          message: 'imageRepository says where the image is pulled from',
        },
      ],
    },
  );
}

function resources(): Schema {
  const { cpu, memoryInGB, gpu } = SERVICE_DEFAULTS;
  const amount = { minimum: 0, exclusiveMinimum: true, maximum: 100_000 };
  return object<ResourceRequirements>(
    {
      cpu: number({ ...amount, default: cpu, description: 'vCPU that each replica is given.' }),
      memoryInGB: number({ ...amount, default: memoryInGB, description: 'GiB that each replica is given.' }),
      cpuLimit: number({ ...amount, description: 'Most vCPU that a replica may use.' }),
      memoryInGBLimit: number({ ...amount, description: 'Most GiB that a replica may use.' }),
      gpu: integer({ minimum: 0, maximum: 1000, default: gpu }),
      gpuResource: text({ maxLength: 253, description: 'What the cluster calls a GPU; nvidia.com/gpu where absent.' }),
    },
    {
      default: {},
      'x-kubernetes-validations': [
        {
          rule: '!has(self.cpuLimit) || double(self.cpuLimit) >= double(self.cpu)',
          message: 'cpuLimit is not below cpu',
        },
        {
          rule: '!has(self.memoryInGBLimit) || double(self.memoryInGBLimit) >= double(self.memoryInGB)',
          message: 'memoryInGBLimit is not below memoryInGB',
        },
      ],
    },
  );
}

function scale(): Schema {
  const { minReplicas, maxReplicas, targetUtilization, refreshPeriodInSeconds } = SERVICE_DEFAULTS;
  const count = { minimum: 1, maximum: 10_000 };
  return object<Scale>(
    {
      kind: text({ enum: ['fixed', 'auto'] }),
      replicas: integer(count),
      minReplicas: integer({ ...count, minimum: 0, description: '0: without requests there is no replica.' }),
      maxReplicas: integer(count),
      targetUtilization: integer({ minimum: 1, maximum: 100 }),
      refreshPeriodInSeconds: integer({ minimum: 1, maximum: 86_400 }),
      coldStartSeconds: integer({
        minimum: 1,
        maximum: 3600,
        description: 'How long a request waits for the first replica; 60 where absent.',
      }),
    },
    {
      required: ['kind'],
      default: { kind: 'auto', minReplicas, maxReplicas, targetUtilization, refreshPeriodInSeconds },
      'x-kubernetes-validations': [
        { rule: "self.kind != 'fixed' || has(self.replicas)", message: 'kind fixed needs replicas' },
        {
          rule: "self.kind != 'auto' || (has(self.minReplicas) && has(self.maxReplicas) && has(self.targetUtilization) && has(self.refreshPeriodInSeconds))",
          message: 'kind auto needs minReplicas, maxReplicas, targetUtilization and refreshPeriodInSeconds',
        },
        {
          rule: '!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas',
          message: 'minReplicas is not above maxReplicas',
        },
      ],
    },
  );
}

function rollout(): Schema {
  const share = { minimum: 0, exclusiveMinimum: true, maximum: 100 };
  return object<RolloutPolicy>(
    {
      steps: list(number(share), { minItems: 1, maxItems: 20, description: "Percent of the endpoint's traffic." }),
      intervalSeconds: integer({ minimum: 1, maximum: 86_400 }),
      maxErrorPercent: number({ minimum: 0, maximum: 100 }),
      maxP99Ms: integer({ minimum: 1, maximum: 86_400_000 }),
    },
    {
      required: ['steps', 'intervalSeconds', 'maxErrorPercent'],
      description: 'The version comes to its traffic in steps, as long as its requests go well.',
      'x-kubernetes-validations': [
        {
          rule: 'self.steps.isSorted()',
          message: 'the steps ascend',
        },
      ],
    },
  );
}

function livenessProbe(): Schema {
  const { livenessProbe: defaults } = SERVICE_DEFAULTS;
  const seconds = { minimum: 1, maximum: 1_000_000 };
  return object<LivenessProbe>(
    {
      periodSeconds: integer({ ...seconds, default: defaults.periodSeconds }),
      initialDelaySeconds: integer({ ...seconds, minimum: 0, default: defaults.initialDelaySeconds }),
      timeoutSeconds: integer({ ...seconds, default: defaults.timeoutSeconds }),
      successThreshold: integer({ ...seconds, default: defaults.successThreshold }),
      failureThreshold: integer({ ...seconds, default: defaults.failureThreshold }),
    },
    { default: {} },
  );
}

function container(): Schema {
  const route = text({ pattern: '^/', default: '/' });
  return object<CustomContainer>(
    {
      image: text({ description: 'Where imageRepository is absent: what is run, as it is.' }),
      command: list(text({ maxLength: 32_768 }), { maxItems: 256 }),
      port: integer({ minimum: 1, maximum: 65535 }),
      scoringRoute: route,
      livenessRoute: route,
      readinessRoute: route,
      modelMountPath: text({ pattern: '^/', maxLength: 4096, description: 'Where the image has the models.' }),
      user: integer({ minimum: 1, maximum: 4_294_967_295 }),
      http2: flag({ description: 'It speaks HTTP/2 without TLS, as gRPC does.' }),
    },
    { required: ['port'], description: 'A server of your own instead of a scoring script.' },
  );
}

function secretVariable(): Schema {
  return object<SecretVariable>(
    {
      name: text({ pattern: '^[-._a-zA-Z][-._a-zA-Z0-9]*$' }),
      secret: text({ maxLength: 253 }),
      key: text({ maxLength: 253 }),
    },
    { required: ['name', 'secret', 'key'] },
  );
}

function toleration(): Schema {
  return object<Toleration>({
    key: text({ maxLength: 316 }),
    operator: text({ enum: ['Equal', 'Exists'] }),
    value: text({ maxLength: 63 }),
    effect: text({ enum: ['NoSchedule', 'PreferNoSchedule', 'NoExecute'] }),
    tolerationSeconds: integer(),
  });
}

function status(): Schema {
  return object<EndpointStatus>({
    observedGeneration: integer(),
    state: state(),
    scoringUri: text(),
    swaggerUri: text(),
    error: cause(),
    versions: listBy(
      'name',
      object<VersionStatus>(
        {
          name: text(),
          state: state(),
          desiredReplicas: integer(),
          updatedReplicas: integer(),
          availableReplicas: integer(),
          effectiveTraffic: number({ description: 'The share of traffic that this version gets now, 0 to 100.' }),
          utilization: number(),
          rollout: object<RolloutStatus>({
            key: text(),
            phase: text({ description: 'Progressing, Promoted or RolledBack.' }),
            step: integer(),
            since: text(),
            message: text({ maxLength: 4096 }),
          }),
          servingImage: text(),
          error: cause(),
          replicas: list(replica()),
        },
        { required: ['name'] },
      ),
    ),
    defaultVersion: text(),
    replicas: text(),
    versionNames: text(),
    conditions: listBy('type', condition()),
    updatedTime: text(),
  });
}

/** Not an enumeration: a controller that is newer than the schema must be able to say what it sees. */
function state(): Schema {
  return text({ description: 'Transitioning, Healthy, Unhealthy, Failed, Unschedulable or Deleting.' });
}

function replica(): Schema {
  return object<ReplicaStatus>({
    id: text(),
    image: text(),
    state: text(),
    startedTime: text(),
    restarts: integer(),
    pid: integer(),
    message: text({ maxLength: 32_768 }),
    error: cause(),
  });
}

function cause(): Schema {
  return object<Cause>({
    code: text(),
    message: text({ maxLength: 32_768 }),
    remedy: text({ maxLength: 32_768 }),
    logTail: list(text({ maxLength: 32_768 })),
    exitCode: integer(),
  });
}

function condition(): Schema {
  return object<Condition>(
    {
      type: text({ maxLength: 316 }),
      status: text({ enum: ['True', 'False', 'Unknown'] }),
      reason: text(),
      message: text({ maxLength: 32_768 }),
      observedGeneration: integer(),
      lastTransitionTime: text({ format: 'date-time' }),
    },
    { required: ['type', 'status', 'reason', 'message', 'lastTransitionTime'] },
  );
}
