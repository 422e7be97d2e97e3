import { type ComputeType, DEPLOYMENT_KEYS } from '../../contract/configuration/deployment-keys.ts';
import type { DeploymentSpec } from '../../contract/deployment.ts';
import type { LivenessProbe } from '../../contract/endpoint.ts';
import { parseAddresses, parseSteps } from './front-end.ts';
import type { Origin, Report } from './report.ts';
import { type Setting, SettingConverter } from './settings-source.ts';
import { isTruthy } from './source.ts';

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

interface Settings {
  get(path: string): Setting;
}

/** Turns judged settings into the spec; what v1 accepted but took in a surprising way is said as a warning. */
export function buildDeployment(settings: Settings, computeType: ComputeType, report: Report): DeploymentSpec {
  const read = new SettingConverter(report);
  if (computeType === 'local') {
    const port = isTruthy(settings.get('port').value) ? read.integer(settings.get('port')) : undefined;
    return prune({ computeType, port });
  }
  if (computeType === 'aci') reportAci(settings, report);
  const spec: DeploymentSpec = {
    ...general(settings, computeType, read, report),
    ...resources(settings, read, report),
    ...scale(settings, read, report),
    ...latency(settings, read),
    ...frontEnd(settings, read),
    ...endpoint(settings, read),
  };
  return prune(spec);
}

function general(settings: Settings, computeType: ComputeType, read: SettingConverter, report: Report): DeploymentSpec {
  const primaryKey = read.text(settings.get('keys.primaryKey'));
  const secondary = settings.get('keys.secondaryKey');
  const secondaryKey = read.text(secondary);
  if (primaryKey === undefined && secondaryKey !== undefined) {
    report.warning(
      'secondaryKey.withoutPrimaryKey',
      secondary.origin,
      'keys.secondaryKey is only used together with keys.primaryKey, so it has no effect.',
      'Add keys.primaryKey, or remove this key.',
    );
  }
  return {
    computeType,
    computeTargetName: read.text(settings.get('computeTargetName')),
    namespace: readNamespace(settings.get('namespace'), read, report),
    authEnabled: read.boolean(settings.get('authEnabled')),
    tokenAuthEnabled: read.boolean(settings.get('tokenAuthEnabled')),
    primaryKey,
    secondaryKey: primaryKey === undefined ? undefined : secondaryKey,
    appInsightsEnabled: read.boolean(settings.get('appInsightsEnabled')),
    collectModelData: read.boolean(settings.get('dataCollection.storageEnabled')),
  };
}

function readNamespace(setting: Setting, read: SettingConverter, report: Report): string | undefined {
  const namespace = read.text(setting);
  if (!namespace?.endsWith('\n')) return namespace;
  report.warning(
    'namespace.trailingNewline',
    setting.origin,
    'namespace ends with a line break, which v1 let through; it is left out.',
    'Remove the line break.',
  );
  return namespace.slice(0, -1);
}

function resources(settings: Settings, read: SettingConverter, report: Report): Partial<DeploymentSpec> {
  const number = (name: string) => read.number(settings.get(`containerResourceRequirements.${name}`));
  return {
    cpu: number('cpu'),
    memoryInGB: number('memoryInGB'),
    cpuLimit: limit(settings.get('containerResourceRequirements.cpuLimit'), read, report),
    memoryInGBLimit: limit(settings.get('containerResourceRequirements.memoryInGBLimit'), read, report),
    gpuCores: read.integer(settings.get('gpuCores')),
  };
}

/** v1 never looked at a limit that stood alone. */
function limit(setting: Setting, read: SettingConverter, report: Report): number | undefined {
  const value = read.number(setting);
  if (value === undefined || value > 0 || report.hasErrors) return value;
  report.warning(
    'limit.notPositive',
    setting.origin,
    `${setting.origin.path} is ${value}, which limits nothing, so it has no effect; v1 did not check it.`,
    'Write a number greater than 0, or remove it.',
  );
  return undefined;
}

function scale(settings: Settings, read: SettingConverter, report: Report): Partial<DeploymentSpec> {
  const enabled = settings.get('autoScaler.autoscaleEnabled');
  const autoscaleEnabled = read.boolean(enabled);
  const number = (name: string) => {
    const setting = settings.get(`autoScaler.${name}`);
    return isTruthy(setting.value) ? read.integer(setting) : undefined;
  };
  const target = number('targetUtilization');
  const coldStartSeconds = number('coldStartSeconds');
  const result = {
    autoscaleEnabled,
    minReplicas:
      coldStartSeconds === undefined ? number('minReplicas') : read.integer(settings.get('autoScaler.minReplicas')),
    coldStartSeconds,
    maxReplicas: number('maxReplicas'),
    refreshPeriodInSeconds: number('refreshPeriodInSeconds'),
    targetUtilization: target,
    numReplicas: read.integer(settings.get('numReplicas')),
  };
  if (autoscaleEnabled) warnAboutScale(settings, result, report);
  return result;
}

function warnAboutScale(settings: Settings, scale: Partial<DeploymentSpec>, report: Report): void {
  if (scale.targetUtilization !== undefined && scale.targetUtilization > 100) {
    report.warning(
      'targetUtilization.above100',
      settings.get('autoScaler.targetUtilization').origin,
      `targetUtilization is ${scale.targetUtilization} %: calls will always queue before a replica is added.`,
      'Write a number from 1 to 100.',
    );
  }
  if (scale.minReplicas !== undefined && scale.maxReplicas === undefined && scale.minReplicas > 10) {
    report.warning(
      'minReplicas.aboveDefaultMax',
      settings.get('autoScaler.minReplicas').origin,
      `minReplicas is ${scale.minReplicas}, above the default of maxReplicas (10); maxReplicas is taken as ${scale.minReplicas}.`,
      'Set maxReplicas too.',
    );
  }
}

function latency(settings: Settings, read: SettingConverter): Partial<DeploymentSpec> {
  const integer = (path: string) => read.integer(settings.get(path));
  const probe: Mutable<Partial<LivenessProbe>> = prune({
    periodSeconds: integer('livenessProbeRequirements.periodSeconds'),
    initialDelaySeconds: integer('livenessProbeRequirements.initialDelaySeconds'),
    timeoutSeconds: integer('livenessProbeRequirements.timeoutSeconds'),
    successThreshold: integer('livenessProbeRequirements.successThreshold'),
    failureThreshold: integer('livenessProbeRequirements.failureThreshold'),
  });
  return {
    scoringTimeoutMs: integer('scoringTimeoutMs'),
    maxConcurrentRequestsPerContainer: integer('maxConcurrentRequestsPerContainer'),
    maxQueueWaitMs: integer('maxQueueWaitMs'),
    ...(Object.keys(probe).length === 0 ? {} : { livenessProbe: probe }),
  };
}

function frontEnd(settings: Settings, read: SettingConverter): Partial<DeploymentSpec> {
  const stickiness = read.text(settings.get('frontEnd.stickiness'));
  const addresses = read.text(settings.get('frontEnd.allowedAddresses'));
  return {
    stickiness: stickiness === 'none' || stickiness === 'session' ? stickiness : undefined,
    requestsPerSecond: read.integer(settings.get('frontEnd.requestsPerSecond')),
    allowedAddresses: addresses === undefined ? undefined : parseAddresses(addresses),
  };
}

function endpoint(settings: Settings, read: SettingConverter): Partial<DeploymentSpec> {
  const traffic = settings.get('trafficPercentile');
  const steps = read.text(settings.get('rollout.steps'));
  return {
    mirrorPercentile: read.number(settings.get('mirrorPercentile')),
    rolloutSteps: steps === undefined ? undefined : parseSteps(steps),
    rolloutIntervalSeconds: read.integer(settings.get('rollout.intervalSeconds')),
    rolloutMaxErrorPercent: read.number(settings.get('rollout.maxErrorPercent')),
    rolloutMaxP99Ms: read.integer(settings.get('rollout.maxP99Ms')),
    versionName: read.text(settings.get('versionName')),
    trafficPercentile: traffic.value.type === 'str' && traffic.value.value === '' ? undefined : read.number(traffic),
  };
}

function reportAci(settings: Settings, report: Report): void {
  const computeType = settings.get('computeType').origin;
  report.warning(
    'computeType.aci',
    computeType,
    'Container instances (aci) are not a compute target of aksml; this is deployed as aks with one replica and, unless authEnabled is true, without keys.',
    'Write computeType "aks" to use all of its settings.',
  );
  for (const key of DEPLOYMENT_KEYS) {
    if (key.computeTypes.length !== 1 || !key.computeTypes.includes('aci')) continue;
    const { value, origin } = settings.get(key.path);
    if (isTruthy(value)) warnNoEffect(origin, report);
  }
}

function warnNoEffect(origin: Origin, report: Report): void {
  report.warning(
    'key.noEffect',
    origin,
    `${origin.path} belongs to container instances and has no effect here.`,
    'Remove it.',
  );
}

/** Leaves out members that are undefined. */
export function prune<T extends object>(object: T): T {
  const result = { ...object };
  for (const [key, value] of Object.entries(result)) {
    if (value === undefined) Reflect.deleteProperty(result, key);
  }
  return result;
}
