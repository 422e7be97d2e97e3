/**
 * Every flag, of v1 or of our own, that overrides a key of the two files: the long option in camel case.
 * `--environment-directory` is given to {@link ConfigurationInput} directly.
 */
export interface ConfigurationFlags {
  readonly entryScript?: string;
  readonly sourceDirectory?: string;
  readonly runtime?: string;
  readonly condaFile?: string;
  readonly extraDockerFileSteps?: string;
  readonly enableGpu?: boolean;
  readonly cudaVersion?: string;
  readonly baseImage?: string;
  readonly baseImageRegistry?: string;
  readonly description?: string;
  readonly environmentName?: string;
  readonly environmentVersion?: string;

  readonly computeType?: string;
  readonly computeTarget?: string;
  readonly namespace?: string;
  readonly authEnabled?: boolean;
  readonly tokenAuthEnabled?: boolean;
  readonly primaryKey?: string;
  readonly secondaryKey?: string;
  readonly enableAppInsights?: boolean;
  readonly collectModelData?: boolean;
  readonly autoscaleEnabled?: boolean;
  readonly autoscaleMinReplicas?: number;
  readonly autoscaleMaxReplicas?: number;
  readonly autoscaleRefreshSeconds?: number;
  readonly autoscaleTargetUtilization?: number;
  readonly coldStartSeconds?: number;
  readonly numReplicas?: number;
  readonly cpuCores?: number;
  readonly cpuCoresLimit?: number;
  readonly memoryGb?: number;
  readonly memoryGbLimit?: number;
  readonly gpuCores?: number;
  readonly scoringTimeoutMs?: number;
  readonly replicaMaxConcurrentRequests?: number;
  readonly maxRequestWaitTime?: number;
  readonly periodSeconds?: number;
  readonly initialDelaySeconds?: number;
  readonly timeoutSeconds?: number;
  readonly successThreshold?: number;
  readonly failureThreshold?: number;
  readonly versionName?: string;
  readonly trafficPercentile?: number;
  readonly mirrorPercentile?: number;
  readonly autoRollout?: string;
  readonly rolloutIntervalSeconds?: number;
  readonly rolloutMaxErrorPercent?: number;
  readonly rolloutMaxP99Ms?: number;
  readonly stickiness?: string;
  readonly requestsPerSecond?: number;
  readonly allowedAddresses?: string;
  readonly port?: number;

  readonly location?: string;
  readonly dnsNameLabel?: string;
  readonly sslEnabled?: boolean;
  readonly sslCname?: string;
  readonly sslCertPemFile?: string;
  readonly sslKeyPemFile?: string;
  readonly vaultBaseUrl?: string;
  readonly keyName?: string;
  readonly keyVersion?: string;
  readonly vnetName?: string;
  readonly subnetName?: string;
}

export type FlagName = keyof ConfigurationFlags;

/** `autoscaleMinReplicas` -> `--autoscale-min-replicas` */
export function flagOption(name: FlagName): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
