import type { FlagName } from './flags.ts';

export type ComputeType = 'aks' | 'aksendpoint' | 'local' | 'aci';
export const COMPUTE_TYPES: readonly ComputeType[] = ['aks', 'aksendpoint', 'local', 'aci'];

/** One key of `deploymentconfig.json`: validators, schema, forms and documents are made from this table alone. */
export interface ConfigurationKey {
  /** `section.key`, or a key of the top level. Its last part begins the codes of its problems. */
  readonly path: string;
  readonly flag?: FlagName;
  readonly type: 'boolean' | 'integer' | 'number' | 'text' | 'path' | 'object';
  /** What v1 refused: `positive` is > 0, `notNegative` is >= 0. */
  readonly rule?: 'positive' | 'notNegative';
  readonly minimum?: number;
  readonly maximum?: number;
  readonly values?: readonly string[];
  /** The default of v1's service, for people; absent: none. */
  readonly default?: string | number | boolean;
  readonly unit?: string;
  readonly help: string;
}

export interface DeploymentKey extends ConfigurationKey {
  /** Where v1 read it. */
  readonly computeTypes: readonly ComputeType[];
}

const AKS: readonly ComputeType[] = ['aks', 'aksendpoint'];
const AKS_AND_ACI: readonly ComputeType[] = ['aks', 'aksendpoint', 'aci'];
const ACI: readonly ComputeType[] = ['aci'];

/** In the order in which v1 judged them. */
export const DEPLOYMENT_KEYS: readonly DeploymentKey[] = [
  {
    path: 'computeType',
    flag: 'computeType',
    type: 'text',
    values: COMPUTE_TYPES,
    computeTypes: COMPUTE_TYPES,
    help: 'What kind of deployment this is. Case does not matter. "aksendpoint" has versions and traffic; "aci" is mapped to "aks".',
  },
  {
    path: 'computeTargetName',
    flag: 'computeTarget',
    type: 'text',
    computeTypes: ['aks'],
    help: 'The compute target to deploy to, if the command names none.',
  },
  {
    path: 'containerResourceRequirements.cpu',
    flag: 'cpuCores',
    type: 'number',
    rule: 'positive',
    default: 0.1,
    unit: 'vCPU',
    computeTypes: AKS_AND_ACI,
    help: 'vCPU that each replica is given.',
  },
  {
    path: 'containerResourceRequirements.cpuLimit',
    flag: 'cpuCoresLimit',
    type: 'number',
    unit: 'vCPU',
    computeTypes: AKS,
    help: 'Most vCPU that a replica may use; not below cpu.',
  },
  {
    path: 'containerResourceRequirements.memoryInGB',
    flag: 'memoryGb',
    type: 'number',
    rule: 'positive',
    default: 0.5,
    unit: 'GiB',
    computeTypes: AKS_AND_ACI,
    help: 'Memory that each replica is given.',
  },
  {
    path: 'containerResourceRequirements.memoryInGBLimit',
    flag: 'memoryGbLimit',
    type: 'number',
    unit: 'GiB',
    computeTypes: AKS,
    help: 'Most memory that a replica may use; not below memoryInGB.',
  },
  {
    path: 'gpuCores',
    flag: 'gpuCores',
    type: 'integer',
    rule: 'notNegative',
    default: 0,
    unit: 'GPU',
    computeTypes: AKS,
    help: 'GPUs that each replica is given.',
  },
  {
    path: 'livenessProbeRequirements.periodSeconds',
    flag: 'periodSeconds',
    type: 'integer',
    rule: 'positive',
    default: 10,
    unit: 's',
    computeTypes: AKS,
    help: 'How often a replica is probed.',
  },
  {
    path: 'livenessProbeRequirements.initialDelaySeconds',
    flag: 'initialDelaySeconds',
    type: 'integer',
    rule: 'positive',
    default: 310,
    unit: 's',
    computeTypes: AKS,
    help: 'How long a starting replica is left alone.',
  },
  {
    path: 'livenessProbeRequirements.timeoutSeconds',
    flag: 'timeoutSeconds',
    type: 'integer',
    rule: 'positive',
    default: 2,
    unit: 's',
    computeTypes: AKS,
    help: 'How long a probe may take.',
  },
  {
    path: 'livenessProbeRequirements.successThreshold',
    flag: 'successThreshold',
    type: 'integer',
    rule: 'positive',
    default: 1,
    computeTypes: AKS,
    help: 'Successful probes after a failure until a replica counts as alive.',
  },
  {
    path: 'livenessProbeRequirements.failureThreshold',
    flag: 'failureThreshold',
    type: 'integer',
    rule: 'positive',
    default: 3,
    computeTypes: AKS,
    help: 'Failed probes until a replica is restarted.',
  },
  {
    path: 'namespace',
    flag: 'namespace',
    type: 'text',
    computeTypes: AKS,
    help: 'Kubernetes namespace: 1 to 63 lower-case letters, digits or "-".',
  },
  {
    path: 'scoringTimeoutMs',
    flag: 'scoringTimeoutMs',
    type: 'integer',
    rule: 'positive',
    default: 60000,
    unit: 'ms',
    computeTypes: AKS,
    help: 'How long a scoring call may take until it is answered with 504.',
  },
  {
    path: 'maxConcurrentRequestsPerContainer',
    flag: 'replicaMaxConcurrentRequests',
    type: 'integer',
    rule: 'positive',
    default: 1,
    computeTypes: AKS,
    help: 'Scoring calls that one replica works on at the same time.',
  },
  {
    path: 'maxQueueWaitMs',
    flag: 'maxRequestWaitTime',
    type: 'integer',
    rule: 'positive',
    default: 500,
    unit: 'ms',
    computeTypes: AKS,
    help: 'How long a call may wait for a replica until it is answered with 503.',
  },
  {
    path: 'numReplicas',
    flag: 'numReplicas',
    type: 'integer',
    rule: 'positive',
    computeTypes: AKS,
    help: 'A fixed number of replicas; without it, autoscaling is on.',
  },
  {
    path: 'autoScaler.autoscaleEnabled',
    flag: 'autoscaleEnabled',
    type: 'boolean',
    default: true,
    computeTypes: AKS,
    help: 'Whether the number of replicas follows the load. On by default when numReplicas is absent; must be written to set its other keys.',
  },
  {
    path: 'autoScaler.minReplicas',
    flag: 'autoscaleMinReplicas',
    type: 'integer',
    minimum: 1,
    default: 1,
    computeTypes: AKS,
    help: 'Fewest replicas while autoscaling.',
  },
  {
    path: 'autoScaler.maxReplicas',
    flag: 'autoscaleMaxReplicas',
    type: 'integer',
    minimum: 1,
    default: 10,
    computeTypes: AKS,
    help: 'Most replicas while autoscaling.',
  },
  {
    path: 'autoScaler.refreshPeriodInSeconds',
    flag: 'autoscaleRefreshSeconds',
    type: 'integer',
    minimum: 1,
    default: 1,
    unit: 's',
    computeTypes: AKS,
    help: 'How often the autoscaler decides.',
  },
  {
    path: 'autoScaler.targetUtilization',
    flag: 'autoscaleTargetUtilization',
    type: 'integer',
    minimum: 1,
    default: 70,
    unit: '%',
    computeTypes: AKS,
    help: 'How busy the replicas should be.',
  },
  {
    path: 'authEnabled',
    flag: 'authEnabled',
    type: 'boolean',
    default: true,
    computeTypes: AKS_AND_ACI,
    help: 'Whether calls need a key. On by default, except with computeType aci.',
  },
  {
    path: 'tokenAuthEnabled',
    flag: 'tokenAuthEnabled',
    type: 'boolean',
    default: false,
    computeTypes: AKS,
    help: 'Whether calls need a token instead of a key.',
  },
  {
    path: 'keys.primaryKey',
    flag: 'primaryKey',
    type: 'text',
    computeTypes: AKS_AND_ACI,
    help: 'The primary key; made up when absent.',
  },
  {
    path: 'keys.secondaryKey',
    flag: 'secondaryKey',
    type: 'text',
    computeTypes: AKS_AND_ACI,
    help: 'The secondary key; only used together with primaryKey.',
  },
  {
    path: 'appInsightsEnabled',
    flag: 'enableAppInsights',
    type: 'boolean',
    default: false,
    computeTypes: AKS_AND_ACI,
    help: 'Whether requests and logs go to Application Insights.',
  },
  {
    path: 'dataCollection.storageEnabled',
    flag: 'collectModelData',
    type: 'boolean',
    default: false,
    computeTypes: AKS,
    help: 'Whether what the script collects from its inputs and outputs is stored.',
  },
  {
    path: 'versionName',
    flag: 'versionName',
    type: 'text',
    computeTypes: ['aksendpoint'],
    help: 'Name of the first version; the endpoint\'s name by default. 3 to 32 lower-case letters, digits or "-".',
  },
  {
    path: 'trafficPercentile',
    flag: 'trafficPercentile',
    type: 'number',
    minimum: 0,
    maximum: 100,
    unit: '%',
    computeTypes: ['aksendpoint'],
    help: 'Share of the traffic that this version takes; fractions are allowed.',
  },
  {
    path: 'port',
    flag: 'port',
    type: 'integer',
    minimum: 1,
    maximum: 65535,
    computeTypes: ['local'],
    help: 'Port on this machine; a free one by default.',
  },
  {
    path: 'location',
    flag: 'location',
    type: 'text',
    computeTypes: ACI,
    help: 'Azure region of a container instance.',
  },
  {
    path: 'dnsNameLabel',
    flag: 'dnsNameLabel',
    type: 'text',
    computeTypes: ACI,
    help: 'DNS name of a container instance.',
  },
  {
    path: 'sslEnabled',
    flag: 'sslEnabled',
    type: 'boolean',
    computeTypes: ACI,
    help: 'TLS of a container instance. On a cluster, TLS belongs to the compute target.',
  },
  { path: 'cname', flag: 'sslCname', type: 'text', computeTypes: ACI, help: 'Host name of the certificate.' },
  {
    path: 'sslCertificate',
    flag: 'sslCertPemFile',
    type: 'path',
    computeTypes: ACI,
    help: 'Path of the certificate, PEM.',
  },
  {
    path: 'sslKey',
    flag: 'sslKeyPemFile',
    type: 'path',
    computeTypes: ACI,
    help: "Path of the certificate's key, PEM.",
  },
  {
    path: 'vaultBaseUrl',
    flag: 'vaultBaseUrl',
    type: 'text',
    computeTypes: ACI,
    help: 'Key vault of the customer-managed key.',
  },
  { path: 'keyName', flag: 'keyName', type: 'text', computeTypes: ACI, help: 'Name of the customer-managed key.' },
  {
    path: 'keyVersion',
    flag: 'keyVersion',
    type: 'text',
    computeTypes: ACI,
    help: 'Version of the customer-managed key.',
  },
  {
    path: 'vnetName',
    flag: 'vnetName',
    type: 'text',
    computeTypes: ACI,
    help: 'Virtual network of a container instance.',
  },
  { path: 'subnetName', flag: 'subnetName', type: 'text', computeTypes: ACI, help: 'Subnet of a container instance.' },
];

/** What people write instead of a key, apart from its case and its SDK argument name. */
export const DEPLOYMENT_KEY_MISTAKES: Readonly<Record<string, string>> = {
  ComputeTarget: 'computeTargetName',
  computeTarget: 'computeTargetName',
  computeName: 'computeTargetName',
  enableAppInsights: 'appInsightsEnabled',
  refreshPeriodSeconds: 'autoScaler.refreshPeriodInSeconds',
  refreshSeconds: 'autoScaler.refreshPeriodInSeconds',
  gpu: 'gpuCores',
  aadAuthEnabled: 'tokenAuthEnabled',
  description: '--description',
  tags: '--tag',
  properties: '--property',
  name: '--name',
  overwrite: '--overwrite',
  isDefault: '--is-default',
  isControlVersionType: '--is-control-version-type',
};

/** `a.b.c` -> `c` */
export function leafOf(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}
