import type {
  AuthMode,
  CustomContainer,
  EndpointSpec,
  LivenessProbe,
  ResourceRequirements,
  RolloutPolicy,
  Scale,
} from './endpoint.ts';
import type { EnvironmentDefinition } from './environment.ts';
import type { Problem } from './problem.ts';

/** What the inference configuration and its flags come down to. Paths are absolute. */
export interface InferenceSpec {
  /** The folder that is packed; absent when only the entry script is (v1 packed that one file). */
  readonly sourceDirectory?: string;
  /** Relative to `sourceDirectory`, `/`-separated; without one, the script's absolute path. */
  readonly entryScript: string;
  readonly environment: EnvironmentSource;
  readonly description?: string;
  /** Every file that the configuration names inside the source directory, relative; a snapshot never drops them. */
  readonly namedFiles: readonly string[];
}

export type EnvironmentSource =
  | { readonly kind: 'inline'; readonly definition: EnvironmentDefinition }
  /** A registered environment; without a version, the latest. */
  | { readonly kind: 'registered'; readonly name: string; readonly version?: string };

/** What the deployment configuration and its flags come down to; absent members were not given, so that an update keeps what is there. */
export interface DeploymentSpec {
  /** `aci` is mapped to `aks` with a warning and leaves its mark here. */
  readonly computeType: 'aks' | 'aksendpoint' | 'local' | 'aci';
  readonly computeTargetName?: string;
  readonly namespace?: string;
  readonly authEnabled?: boolean;
  readonly tokenAuthEnabled?: boolean;
  readonly primaryKey?: string;
  readonly secondaryKey?: string;
  readonly appInsightsEnabled?: boolean;
  readonly collectModelData?: boolean;
  readonly autoscaleEnabled?: boolean;
  readonly minReplicas?: number;
  readonly maxReplicas?: number;
  readonly refreshPeriodInSeconds?: number;
  readonly targetUtilization?: number;
  readonly coldStartSeconds?: number;
  readonly numReplicas?: number;
  readonly cpu?: number;
  readonly memoryInGB?: number;
  readonly cpuLimit?: number;
  readonly memoryInGBLimit?: number;
  readonly gpuCores?: number;
  readonly scoringTimeoutMs?: number;
  readonly maxConcurrentRequestsPerContainer?: number;
  readonly maxQueueWaitMs?: number;
  readonly livenessProbe?: Partial<LivenessProbe>;
  readonly stickiness?: 'none' | 'session';
  /** 0: no limit. */
  readonly requestsPerSecond?: number;
  /** Empty: all. */
  readonly allowedAddresses?: readonly string[];
  /** `aksendpoint` only. */
  readonly versionName?: string;
  readonly trafficPercentile?: number;
  readonly mirrorPercentile?: number;
  /** Empty: all of the traffic at once. */
  readonly rolloutSteps?: readonly number[];
  readonly rolloutIntervalSeconds?: number;
  readonly rolloutMaxErrorPercent?: number;
  readonly rolloutMaxP99Ms?: number;
  /** `local` only. */
  readonly port?: number;
  readonly container?: CustomContainer;
  /** Packages that the container's command runs with, where it is run as a command. */
  readonly containerEnvironment?: EnvironmentSource;
  readonly environmentVariables?: Readonly<Record<string, string>>;
}

/** {@link DeploymentSpec} with v1's server defaults filled in: what a new version gets. */
export interface EffectiveSettings {
  readonly auth: AuthMode;
  readonly appInsightsEnabled: boolean;
  readonly dataCollection: boolean;
  readonly scale: Scale;
  readonly resources: ResourceRequirements;
  readonly scoringTimeoutMs: number;
  readonly maxConcurrentRequestsPerContainer: number;
  readonly maxQueueWaitMs: number;
  readonly livenessProbe: LivenessProbe;
  readonly rollout?: RolloutPolicy;
  /** Of the endpoint. */
  readonly frontEnd?: Pick<EndpointSpec, 'stickiness' | 'rateLimit' | 'allowedAddresses'>;
}

/** Defaults of v1's service. */
export const SERVICE_DEFAULTS = {
  cpu: 0.1,
  memoryInGB: 0.5,
  gpu: 0,
  scoringTimeoutMs: 60_000,
  maxConcurrentRequestsPerContainer: 1,
  maxQueueWaitMs: 500,
  livenessProbe: {
    periodSeconds: 10,
    initialDelaySeconds: 310,
    timeoutSeconds: 2,
    successThreshold: 1,
    failureThreshold: 3,
  },
  minReplicas: 1,
  maxReplicas: 10,
  targetUtilization: 70,
  refreshPeriodInSeconds: 1,
  coldStartSeconds: 60,
} as const;

/** What a deployment would do, and every problem that it would be refused for. Making it changes nothing. */
export interface DeploymentPlan {
  /** `add`: a further version of an endpoint. */
  readonly action: 'create' | 'replace' | 'add';
  readonly name: string;
  readonly target: string;
  readonly form: EndpointSpec['form'];
  readonly versionName: string;
  readonly models: readonly string[];
  readonly code: string;
  readonly environment: string;
  readonly settings: EffectiveSettings;
  readonly problems: readonly Problem[];
}
