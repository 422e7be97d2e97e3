import { boolean, choice, type Effect, flag, integer, number, pairs, text, texts, underHeading } from './option.ts';

const CONTAINER_INSTANCES: Effect = {
  kind: 'noEffect',
  reason: 'there are no Azure Container Instances here',
};

/** v1 named none, and none is needed where a name is on one compute target only. */
export const TARGET = {
  computeTarget: text({
    aliases: ['ct'],
    placeholder: 'NAME',
    completes: 'computeTarget',
    help: 'Compute target that it is on. Needed where several have one of this name.',
  }),
};

export const NAME = {
  name: text({
    aliases: ['n'],
    required: true,
    placeholder: 'NAME',
    completes: 'service',
    help: 'Name of the service.',
  }),
  ...TARGET,
};

export const ENDPOINT_NAME = {
  name: text({
    aliases: ['n'],
    required: true,
    placeholder: 'NAME',
    completes: 'service',
    help: 'Name of the endpoint.',
  }),
  ...TARGET,
};

export const VERSION_NAME = {
  versionName: text({ aliases: ['vn'], placeholder: 'NAME', help: 'Version of the endpoint. Default: the only one.' }),
};

export const MODELS = {
  model: texts({
    aliases: ['m'],
    placeholder: 'MODEL',
    completes: 'model',
    help: 'A model: NAME:VERSION, NAME for its latest version, or a path, which is registered first.',
  }),
  modelMetadataFile: texts({
    aliases: ['f'],
    completes: 'file',
    help: 'A file that "model register -t" wrote; names the model.',
  }),
};

/** What v1's inference configuration says, as a file or as options; an option overrides the file. */
export const INFERENCE = underHeading('Code and environment', {
  inferenceConfigFile: text({ aliases: ['ic'], completes: 'file', help: 'Inference configuration, JSON or YAML.' }),
  entryScript: text({ aliases: ['es'], completes: 'file', help: 'Scoring script with init() and run().' }),
  sourceDirectory: text({
    aliases: ['sd'],
    placeholder: 'FOLDER',
    completes: 'folder',
    help: 'Folder that is deployed with the script.',
  }),
  environmentName: text({
    aliases: ['e'],
    placeholder: 'NAME',
    completes: 'environment',
    help: 'A registered environment.',
  }),
  environmentVersion: text({ aliases: ['ev'], placeholder: 'VERSION', help: 'Its version. Default: the latest.' }),
  environmentDirectory: text({
    aliases: ['ed'],
    placeholder: 'FOLDER',
    completes: 'folder',
    help: 'Folder of an environment, as "environment scaffold" makes it.',
  }),
  condaFile: text({ aliases: ['cf'], completes: 'file', help: 'Conda environment file.' }),
});

/** The legacy form of the inference configuration, as options. */
export const LEGACY_INFERENCE = underHeading('Code and environment', {
  runtime: text({ aliases: ['rt'], placeholder: 'NAME', help: 'Runtime of the legacy form, such as python.' }),
  baseImage: text({ aliases: ['bi'], placeholder: 'IMAGE', help: 'Image that the environment starts from.' }),
  baseImageRegistry: text({ aliases: ['ir'], placeholder: 'HOST', help: 'Registry of the base image.' }),
  extraDockerFileSteps: text({
    aliases: ['ds'],
    completes: 'file',
    help: 'File with Docker steps that are added to the environment.',
  }),
  enableGpu: boolean({ aliases: ['eg'], help: 'Take the GPU base image.' }),
  cudaVersion: text({ aliases: ['cv'], placeholder: 'VERSION', help: 'CUDA version of the GPU base image.' }),
});

const SCALE = underHeading('Scale', {
  autoscaleEnabled: boolean({
    aliases: ['as'],
    help: 'Scale by load. Default: true unless a number of replicas is given.',
  }),
  autoscaleMinReplicas: integer({ aliases: ['mi'], help: 'Fewest replicas. Default: 1.' }),
  autoscaleMaxReplicas: integer({ aliases: ['ma'], help: 'Most replicas. Default: 10.' }),
  autoscaleRefreshSeconds: integer({ aliases: ['ar'], help: 'Seconds between two decisions. Default: 1.' }),
  autoscaleTargetUtilization: integer({
    aliases: ['at'],
    help: 'Percent of the replicas that should be busy. Default: 70.',
  }),
  coldStartSeconds: integer({
    help: 'Seconds that a request waits for the first replica where there is none. With it, the fewest replicas may be 0.',
  }),
  numReplicas: integer({ aliases: ['nr'], help: 'A fixed number of replicas.' }),
  replicaMaxConcurrentRequests: integer({
    aliases: ['rm'],
    help: 'Requests that a replica handles at the same time. Default: 1.',
  }),
});

const RESOURCES = underHeading('Resources of a replica', {
  cpuCores: number({ aliases: ['cc'], help: 'CPU cores. Default: 0.1.' }),
  cpuCoresLimit: number({ aliases: ['ccl'], help: 'Most CPU cores that it may use.' }),
  memoryGb: number({ aliases: ['gb'], help: 'Memory in GB. Default: 0.5.' }),
  memoryGbLimit: number({ aliases: ['gbl'], help: 'Most memory that it may use, in GB.' }),
  gpuCores: integer({ aliases: ['gc'], help: 'GPUs. Default: 0.' }),
});

const LIMITS = underHeading('Time limits and probes', {
  scoringTimeoutMs: integer({
    aliases: ['tm'],
    help: 'Milliseconds until a scoring call is answered with 504. Default: 60000.',
  }),
  maxRequestWaitTime: integer({
    aliases: ['mr'],
    help: 'Milliseconds that a request waits for a free replica until it is answered with 503. Default: 500.',
  }),
  periodSeconds: integer({ aliases: ['ps'], help: 'Seconds between two liveness probes. Default: 10.' }),
  initialDelaySeconds: integer({ aliases: ['id'], help: 'Seconds before the first liveness probe. Default: 310.' }),
  timeoutSeconds: integer({ aliases: ['ts'], help: 'Seconds until a liveness probe counts as failed. Default: 2.' }),
  successThreshold: integer({ aliases: ['st'], help: 'Successes in a row until a replica is alive. Default: 1.' }),
  failureThreshold: integer({ aliases: ['ft'], help: 'Failures in a row until a replica is restarted. Default: 3.' }),
});

const DEPLOY_FILE = {
  deployConfigFile: text({ aliases: ['dc'], completes: 'file', help: 'Deployment configuration, JSON or YAML.' }),
};

const COLLECT = {
  collectModelData: boolean({ aliases: ['md'], help: 'Record what the scoring script collects.' }),
};

/** What v1's deployment configuration says of one version, as a file or as options; an option overrides the file. */
export const VERSION_SETTINGS = { ...DEPLOY_FILE, ...SCALE, ...RESOURCES, ...LIMITS, ...COLLECT };

export const AUTHENTICATION = underHeading('Authentication', {
  authEnabled: boolean({ aliases: ['ae'], help: 'Callers need a key. Default: true.' }),
  tokenAuthEnabled: boolean({ help: 'Callers need a token. Default: false.' }),
});

export const APP_INSIGHTS = {
  enableAppInsights: boolean({ aliases: ['ai'], help: 'Send traces to Application Insights.' }),
};

export const GIVEN_KEYS = underHeading('Authentication', {
  primaryKey: text({
    aliases: ['kp'],
    placeholder: 'KEY',
    fromFile: true,
    secret: true,
    help: 'Primary key of a new service; @FILE keeps it out of the process list.',
  }),
  secondaryKey: text({
    aliases: ['ks'],
    placeholder: 'KEY',
    fromFile: true,
    secret: true,
    help: 'Secondary key of a new service.',
  }),
});

export const PORT = {
  port: integer({ aliases: ['po'], help: 'Port of a service of compute type local. Default: any free one.' }),
};

/** An update never changed keys; `regen-key` does. */
const KEYS_STAY: Effect = {
  kind: 'refused',
  reason: 'an update keeps the keys; use "service regen-key --key Primary --set-key KEY"',
};

export const KEYS_OF_UPDATE = {
  primaryKey: text({ aliases: ['kp'], placeholder: 'KEY', secret: true, effect: KEYS_STAY, help: 'Primary key.' }),
  secondaryKey: text({ aliases: ['ks'], placeholder: 'KEY', secret: true, effect: KEYS_STAY, help: 'Secondary key.' }),
};

export const ADDED_LABELS = {
  addTag: pairs({ help: 'A tag to add or to change.' }),
  removeTag: texts({ placeholder: 'KEY', help: 'A tag to remove.' }),
  addProperty: pairs({ help: 'A property to add. Properties never change.' }),
};

export const TRAFFIC = underHeading('Traffic', {
  trafficPercentile: number({
    aliases: ['tp'],
    help: 'Percent of the traffic, 0 to 100; what no version gets goes to the default version.',
  }),
});

/** What aksml adds to v1's options of a version's traffic. */
export const ROLLOUT = underHeading('Traffic', {
  autoRollout: text({
    placeholder: 'STEPS',
    help: 'Come to the traffic in steps of percent, such as 5,25,50, as long as requests go well, and go back when they do not; "off" ends it.',
  }),
  rolloutIntervalSeconds: integer({ help: 'Seconds that each step lasts at least. Default: 60.' }),
  rolloutMaxErrorPercent: number({ help: 'Percent of the requests that may fail. Default: 1.' }),
  rolloutMaxP99Ms: integer({ help: 'Milliseconds that 99 % of the requests may take. Default: any.' }),
  mirrorPercentile: number({
    help: 'Percent of the traffic that is copied to the version, whose answers nobody gets; 0 ends it.',
  }),
});

/** What the front end of a cluster does for an endpoint beyond v1. */
export const FRONT_END = underHeading('Traffic', {
  stickiness: choice(['none', 'session'], {
    placeholder: 'KIND',
    help: 'With session, requests with the same value of the header or cookie aksml-session stay with one version.',
  }),
  requestsPerSecond: integer({ help: 'Requests of one client address in a second; more get 429. 0: any.' }),
  allowedAddresses: text({
    placeholder: 'CIDR,…',
    help: 'Addresses and CIDR blocks whose clients may ask; others get 403. "all" ends it.',
  }),
});

export const VERSION_ROLE = underHeading('Traffic', {
  isDefault: boolean({ help: 'Make it the default version.' }),
  isControlVersionType: boolean({ aliases: ['cvt'], help: 'Make it the control version.' }),
});

/** What aksml adds to v1's options of a deployment. */
export const BUILDING = {
  python: text({
    placeholder: 'VERSION|PATH',
    completes: 'file',
    section: 'Code and environment',
    help: 'Python to use instead of the one that the environment names.',
  }),
  refresh: flag({
    section: 'Code and environment',
    help: 'Resolve the dependencies anew instead of installing what was locked.',
  }),
  liftSnapshotLimits: flag({
    section: 'Code and environment',
    help: 'Deploy a source directory that is larger than v1 allowed.',
  }),
};

export const DEBUGGING = {
  debugPort: integer({
    section: 'Code and environment',
    help: 'Run the source directory itself under debugpy, which waits for a debugger at this port; edits take effect at once.',
  }),
};

export const WAITING = {
  noWait: flag({ help: 'Do not wait until it is Healthy.' }),
};

export const DRY_RUN = {
  dryRun: flag({ help: 'Check everything and print the plan; change nothing.' }),
};

export const COMPUTE_TYPE = {
  computeType: choice(['aks', 'aksendpoint', 'local', 'aci'], {
    aliases: ['cp'],
    placeholder: 'TYPE',
    help: 'Kind of service when no deployment configuration is given.',
  }),
};

export const WITHOUT_EFFECT = {
  location: text({
    aliases: ['lo'],
    placeholder: 'REGION',
    effect: CONTAINER_INSTANCES,
    help: 'Region of the container instance.',
  }),
  dnsNameLabel: text({
    aliases: ['dn'],
    placeholder: 'LABEL',
    effect: CONTAINER_INSTANCES,
    help: 'DNS name of the container instance.',
  }),
  sslEnabled: boolean({ aliases: ['se'], effect: CONTAINER_INSTANCES, help: 'TLS of the container instance.' }),
  sslCertPemFile: text({ aliases: ['sp'], completes: 'file', effect: CONTAINER_INSTANCES, help: 'Its certificate.' }),
  sslKeyPemFile: text({ aliases: ['sk'], completes: 'file', effect: CONTAINER_INSTANCES, help: 'Its private key.' }),
  sslCname: text({ aliases: ['sc'], placeholder: 'NAME', effect: CONTAINER_INSTANCES, help: 'Its host name.' }),
};

/** Those that only `model deploy` had. */
export const WITHOUT_EFFECT_AT_DEPLOY = {
  ...WITHOUT_EFFECT,
  vnetName: text({
    placeholder: 'NAME',
    effect: CONTAINER_INSTANCES,
    help: 'Virtual network of the container instance.',
  }),
  subnetName: text({ placeholder: 'NAME', effect: CONTAINER_INSTANCES, help: 'Subnet of the container instance.' }),
  vaultBaseUrl: text({ placeholder: 'URL', effect: CONTAINER_INSTANCES, help: 'Key vault of the encryption key.' }),
  keyName: text({ placeholder: 'NAME', effect: CONTAINER_INSTANCES, help: 'Encryption key.' }),
  keyVersion: text({ placeholder: 'VERSION', effect: CONTAINER_INSTANCES, help: 'Version of the encryption key.' }),
};

export const RUN_REQUEST = {
  inputData: text({
    aliases: ['d'],
    placeholder: 'DATA',
    completes: 'file',
    help: 'Body of the request, JSON as a rule; @FILE reads it from a file, @- from standard input.',
  }),
};

export const LOG_QUERY = {
  init: flag({ aliases: ['i'], help: 'Only what was printed up to the end of init().' }),
  numLines: integer({ aliases: ['l'], help: 'The last N lines. Default: 5000.' }),
  follow: flag({ aliases: ['f'], help: 'Keep printing what comes; ends with Ctrl+C.' }),
  since: text({ placeholder: 'TIME', help: 'Only later lines: 90s, 15m, 2h, 1d, or a date and time.' }),
  grep: text({ placeholder: 'TEXT', help: 'Only lines that contain the text.' }),
};

export const REGENERATE = {
  key: choice(['Primary', 'Secondary'], {
    aliases: ['k'],
    required: true,
    placeholder: 'KEY',
    help: 'Key to regenerate.',
  }),
  setKey: text({
    aliases: ['s'],
    placeholder: 'VALUE',
    fromFile: true,
    secret: true,
    help: 'The new key instead of a random one; @FILE keeps it out of the process list.',
  }),
};

export const CONFIRMATION = {
  yes: flag({ aliases: ['y'], help: 'Do not ask.' }),
};

/** The options that override keys of the two configuration files: v1's long names in camel case, as the engine's flags have them. */
export const CONFIGURATION_FLAGS: readonly string[] = Object.keys({
  ...INFERENCE,
  ...LEGACY_INFERENCE,
  ...VERSION_SETTINGS,
  ...AUTHENTICATION,
  ...APP_INSIGHTS,
  ...GIVEN_KEYS,
  ...PORT,
  ...TRAFFIC,
  ...ROLLOUT,
  ...FRONT_END,
  ...COMPUTE_TYPE,
  computeTarget: true,
  namespace: true,
  versionName: true,
}).filter((name) => !['inferenceConfigFile', 'deployConfigFile', 'environmentDirectory'].includes(name));

export const V2_OPTIONS = {
  v2Deployment: text({
    completes: 'file',
    section: 'Code and environment',
    help: 'A deployment file of v2, instead of the two configuration files.',
  }),
  v2Endpoint: text({
    completes: 'file',
    section: 'Code and environment',
    help: 'The endpoint file of v2 that it belongs to.',
  }),
};
