/**
 * The `Endpoint` resource: the one truth about what has a scoring URI. On a cluster it is a custom resource,
 * on `local` the supervisor keeps it; both read and write this shape.
 */
export const ENDPOINT_API_VERSION = 'aksml.dev/v1';
export const MAX_VERSIONS_PER_ENDPOINT = 6;
export const MAX_MODELS_PER_DEPLOYMENT = 1000;

export interface Endpoint {
  readonly apiVersion: typeof ENDPOINT_API_VERSION;
  readonly kind: 'Endpoint';
  readonly metadata: EndpointMetadata;
  readonly spec: EndpointSpec;
  readonly status?: EndpointStatus;
}

export interface EndpointMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  /** Opaque; changes with every write. A write that carries an old one is refused with `endpoint.conflict`. */
  readonly resourceVersion?: string;
  /** Grows with every change of `spec`. */
  readonly generation?: number;
  /** ISO 8601, UTC. */
  readonly creationTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface EndpointSpec {
  /** v1's word for it: a `service` (webservice) has one version, an `endpoint` (AksEndpoint) up to six. Decides the URL form. */
  readonly form: 'service' | 'endpoint';
  /** `aks` is honoured in full on every compute target; `local` is v1's LocalWebservice: its own port, no authentication. */
  readonly computeType: 'aks' | 'local';
  /** Only with `computeType: local`: the loopback port of `http://localhost:PORT/score`; chosen when absent. */
  readonly port?: number;
  readonly description?: string;
  readonly tags: Readonly<Record<string, string>>;
  /** Keys never change once set. */
  readonly properties: Readonly<Record<string, string>>;
  readonly auth: AuthMode;
  readonly appInsightsEnabled: boolean;
  /** Origins allowed by CORS; `*` allows all; empty switches it off. */
  readonly corsAllowedOrigins: readonly string[];
  /** `session`: requests that say who they are (by the header or cookie `aksml-session`) stay with one version. */
  readonly stickiness?: 'session';
  readonly mirror?: Mirror;
  readonly rateLimit?: RateLimit;
  /** Addresses and CIDR blocks whose clients may ask; others get 403. Absent: all. */
  readonly allowedAddresses?: readonly string[];
  readonly versions: readonly VersionSpec[];
}

/** A share of the traffic is copied to a version, whose answers nobody gets. */
export interface Mirror {
  readonly version: string;
  /** 0 to 100. */
  readonly percentile: number;
}

/** More get 429. */
export interface RateLimit {
  /** Of each client address. */
  readonly requestsPerSecond: number;
}

export type AuthMode = 'key' | 'token' | 'none';

export interface VersionSpec {
  readonly name: string;
  /** Exactly one version is the default: it takes all traffic that no percentile assigns. */
  readonly isDefault: boolean;
  /** At most one version is the control. */
  readonly type?: 'Control' | 'Treatment';
  /** 0 to 100, fractions allowed; the default version's own figure is ignored, it takes the remainder. */
  readonly trafficPercentile?: number;
  readonly description?: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly properties: Readonly<Record<string, string>>;
  /** Digest (`sha256:…`) of the {@link Revision} manifest: who deployed what. Changes with every deploy. */
  readonly revision: string;
  /**
   * Digest of what a replica runs: code, models, environment, worker count and time-out. Replicas are replaced when it changes, and only then.
   * On `local` it names the {@link Bundle}, on a cluster the deployment image.
   */
  readonly image: string;
  /** `HOST[:PORT]/PATH` that a cluster pulls `image` from; absent on `local`. */
  readonly imageRepository?: string;
  /** Name of the Secret, in the endpoint's namespace, that the cluster pulls `image` with; absent where none is needed. */
  readonly imagePullSecret?: string;
  /** Counts from 1 within the version's history. */
  readonly revisionNumber: number;
  /** Model ids, `name:version`. */
  readonly models: readonly string[];
  readonly environment: EnvironmentSummary;
  readonly resources: ResourceRequirements;
  readonly scale: Scale;
  /** How the version comes to its traffic; absent: at once. */
  readonly rollout?: RolloutPolicy;
  readonly maxConcurrentRequestsPerContainer: number;
  /** Milliseconds in the queue before 503. */
  readonly maxQueueWaitMs: number;
  /** Milliseconds before 504. */
  readonly scoringTimeoutMs: number;
  readonly livenessProbe: LivenessProbe;
  readonly dataCollection: boolean;
  /** A server of the user's own instead of a scoring script. */
  readonly container?: CustomContainer;
  /** Environment variables whose values are in Secrets of the user's, in the endpoint's namespace. */
  readonly secretVariables?: readonly SecretVariable[];
  /** On a cluster: changes with what the version's Secrets say, whose values replicas read only when they start. */
  readonly variablesRevision?: string;
  /** Labels of the nodes that replicas may run on. */
  readonly nodeSelector?: Readonly<Record<string, string>>;
  /** Taints of nodes that replicas may run on all the same. */
  readonly tolerations?: readonly Toleration[];
  /** ISO 8601, UTC. */
  readonly createdTime: string;
  readonly updatedTime: string;
}

export interface EnvironmentSummary {
  readonly name?: string;
  readonly version?: string;
  /** Hash of everything that was installed. */
  readonly hash: string;
}

export interface ResourceRequirements {
  /** vCPU. */
  readonly cpu: number;
  /** GiB. */
  readonly memoryInGB: number;
  readonly cpuLimit?: number;
  readonly memoryInGBLimit?: number;
  readonly gpu: number;
  /** What the cluster calls a GPU; default `nvidia.com/gpu`. */
  readonly gpuResource?: string;
}

export interface SecretVariable {
  /** Of the environment variable. */
  readonly name: string;
  readonly secret: string;
  readonly key: string;
}

/** As Kubernetes has it. */
export interface Toleration {
  readonly key?: string;
  readonly operator?: 'Equal' | 'Exists';
  readonly value?: string;
  readonly effect?: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
  readonly tolerationSeconds?: number;
}

export type Scale =
  | { readonly kind: 'fixed'; readonly replicas: number }
  | {
      readonly kind: 'auto';
      /** 0: a version without requests has no replica. */
      readonly minReplicas: number;
      readonly maxReplicas: number;
      /** Percent. */
      readonly targetUtilization: number;
      readonly refreshPeriodInSeconds: number;
      /** With `minReplicas: 0`: how long a request waits for the first replica until it gets 503; default 60. */
      readonly coldStartSeconds?: number;
    };

/**
 * The share of the traffic that the spec gives a version is reached in steps, as long as its requests go well; when they do not, it is left
 * with none.
 */
export interface RolloutPolicy {
  /** Percent of the endpoint's traffic, ascending, each above 0; after the last one the version gets what the spec gives it. */
  readonly steps: readonly number[];
  /** Each step lasts at least so long. */
  readonly intervalSeconds: number;
  /** Percent of the version's requests that may fail: 5xx, or no answer. */
  readonly maxErrorPercent: number;
  readonly maxP99Ms?: number;
}

export interface LivenessProbe {
  readonly periodSeconds: number;
  readonly initialDelaySeconds: number;
  readonly timeoutSeconds: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
}

/** v2's `inference_config` with an image or, on `local`, a command. */
export interface CustomContainer {
  readonly image?: string;
  /**
   * Executable and arguments, never a shell line, run in the app root. `{port}` in an argument becomes the port to listen on; a command that
   * does not say it has one replica at a time, on `port`.
   */
  readonly command?: readonly string[];
  readonly port: number;
  readonly scoringRoute: string;
  readonly livenessRoute: string;
  readonly readinessRoute: string;
  /** Absolute: where it finds the models in its image, instead of below the app root. Nothing on `local`. */
  readonly modelMountPath?: string;
  /** Numeric user that it runs as on a cluster, not 0; default 1000. */
  readonly user?: number;
  /** It speaks HTTP/2 without TLS, as gRPC does. */
  readonly http2?: boolean;
}

/** v1's service states; `Deleting` once deletion has begun. */
export type EndpointState = 'Transitioning' | 'Healthy' | 'Unhealthy' | 'Failed' | 'Unschedulable' | 'Deleting';

export interface EndpointStatus {
  readonly observedGeneration: number;
  readonly state: EndpointState;
  readonly scoringUri?: string;
  readonly swaggerUri?: string;
  readonly error?: Cause;
  readonly versions: readonly VersionStatus[];
  /** On a cluster: the version that takes the remainder of the traffic now; not the one that shall, until that has served. */
  readonly defaultVersion?: string;
  /** Replicas that take requests, of those that shall: `2/3`. On a cluster, for its tables. */
  readonly replicas?: string;
  /** Names of the versions, for the same tables. */
  readonly versionNames?: string;
  /** On a cluster: what `state` is made of, as its tools expect it. */
  readonly conditions?: readonly Condition[];
  /** ISO 8601, UTC. */
  readonly updatedTime: string;
}

/** A Kubernetes condition (`metav1.Condition`). */
export interface Condition {
  readonly type: ConditionType;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number;
  /** ISO 8601, UTC, without fractions: when `status` changed. */
  readonly lastTransitionTime: string;
}

export type ConditionType =
  /** All versions are Healthy. */
  | 'Ready'
  /** Everything that the spec asks for is there, in the cluster's own objects. */
  | 'Reconciled'
  /** Another namespace has an endpoint of this name, which was there first. */
  | 'NameConflict'
  /** The versions with a rollout policy have all the traffic that the spec gives them; absent where none has one. */
  | 'RolledOut';

export interface VersionStatus {
  readonly name: string;
  readonly state: EndpointState;
  readonly desiredReplicas: number;
  /** Replicas of the newest image that are ready. */
  readonly updatedReplicas: number;
  /** Replicas that take requests, of any image. */
  readonly availableReplicas: number;
  /** The share of traffic this version gets now, 0 to 100. */
  readonly effectiveTraffic: number;
  /** (busy + queued requests) / (replicas × maxConcurrentRequestsPerContainer); absent without replicas. */
  readonly utilization?: number;
  readonly rollout?: RolloutStatus;
  /** The image that answers requests; differs from the spec's during a rollout and after a failed one. */
  readonly servingImage?: string;
  readonly error?: Cause;
  readonly replicas: readonly ReplicaStatus[];
}

/** How far a version with a {@link RolloutPolicy} is. */
export interface RolloutStatus {
  /** Of what is rolled out: another image, policy or share of the traffic is another rollout. */
  readonly key: string;
  readonly phase: 'Progressing' | 'Promoted' | 'RolledBack';
  /** Of the policy's steps, the one that is reached. */
  readonly step: number;
  /** ISO 8601, UTC: when the step or the phase began. */
  readonly since: string;
  readonly message: string;
}

export interface ReplicaStatus {
  readonly id: string;
  readonly image: string;
  readonly state: 'starting' | 'ready' | 'draining' | 'failed';
  /** ISO 8601, UTC. */
  readonly startedTime: string;
  readonly restarts: number;
  readonly pid?: number;
  /** What it is at, such as how long `init()` has been running. */
  readonly message?: string;
  readonly error?: Cause;
}

/** Why something is not healthy, in v1's and v2's error names. */
export interface Cause {
  readonly code: CauseCode;
  readonly message: string;
  readonly remedy?: string;
  /** The last lines of the log that show it, oldest first; a Python traceback whole. */
  readonly logTail?: readonly string[];
  readonly exitCode?: number;
}

export type CauseCode =
  | 'UserScriptInitFailed'
  | 'UserScriptImportError'
  | 'UserScriptFunctionNotFound'
  | 'DeploymentCrashLoopBackOff'
  | 'ImagePullLoopBackOff'
  | 'PodOutOfMemory'
  | 'PodUnschedulable'
  | 'PortInUse'
  | 'EnvironmentMissing'
  | 'ReadinessTimeout'
  | 'InvalidDeploymentSpec'
  /** The local compute target was stopped on request. */
  | 'Stopped';
