import {
  SERVICE_DEFAULTS as DEFAULTS,
  type DeploymentSpec,
  type EffectiveSettings,
} from '../../contract/deployment.ts';
import type { AuthMode, ResourceRequirements, Scale } from '../../contract/endpoint.ts';
import type { Model } from '../../contract/model.ts';
import { mergeFrontEnd, mergeRollout } from './front-end.ts';

/**
 * Fills in v1's server defaults. Without a compute type of its own, `computeTargetDefault` says what kind of target the defaults are for:
 * v1's local service knew no authentication, and a container instance had none by default and one replica.
 */
export function effectiveSettings(
  spec: DeploymentSpec,
  modelResources?: Model['resourceRequirements'],
  computeTargetDefault?: 'aks' | 'local',
): EffectiveSettings {
  return {
    auth: effectiveAuth(spec, computeTargetDefault),
    appInsightsEnabled: spec.appInsightsEnabled ?? false,
    dataCollection: spec.collectModelData ?? false,
    scale: effectiveScale(spec),
    resources: effectiveResources(spec, modelResources),
    scoringTimeoutMs: spec.scoringTimeoutMs ?? DEFAULTS.scoringTimeoutMs,
    maxConcurrentRequestsPerContainer:
      spec.maxConcurrentRequestsPerContainer ?? DEFAULTS.maxConcurrentRequestsPerContainer,
    maxQueueWaitMs: spec.maxQueueWaitMs ?? DEFAULTS.maxQueueWaitMs,
    livenessProbe: { ...DEFAULTS.livenessProbe, ...spec.livenessProbe },
    ...beyondV1(undefined, spec),
  };
}

function effectiveAuth(spec: DeploymentSpec, computeTargetDefault: 'aks' | 'local' | undefined): AuthMode {
  if (spec.computeType === 'local') return 'none';
  if (spec.tokenAuthEnabled) return 'token';
  const isOpen = spec.computeType === 'aci' || computeTargetDefault === 'local';
  return (spec.authEnabled ?? !isOpen) ? 'key' : 'none';
}

function effectiveScale(spec: DeploymentSpec): Scale {
  const isFixed = spec.computeType === 'aci' || spec.computeType === 'local' || spec.numReplicas !== undefined;
  if (isFixed || spec.autoscaleEnabled === false) return { kind: 'fixed', replicas: spec.numReplicas ?? 1 };
  const minReplicas = spec.minReplicas ?? Math.min(DEFAULTS.minReplicas, spec.maxReplicas ?? DEFAULTS.minReplicas);
  return {
    kind: 'auto',
    minReplicas,
    maxReplicas: spec.maxReplicas ?? Math.max(DEFAULTS.maxReplicas, minReplicas),
    targetUtilization: spec.targetUtilization ?? DEFAULTS.targetUtilization,
    refreshPeriodInSeconds: spec.refreshPeriodInSeconds ?? DEFAULTS.refreshPeriodInSeconds,
    ...(spec.coldStartSeconds === undefined ? {} : { coldStartSeconds: spec.coldStartSeconds }),
  };
}

/** The model's own resources come before the defaults; a limit below a default lowers it. */
function effectiveResources(spec: DeploymentSpec, model: Model['resourceRequirements']): ResourceRequirements {
  const cpu = spec.cpu ?? Math.min(model?.cpu || DEFAULTS.cpu, spec.cpuLimit ?? Number.POSITIVE_INFINITY);
  const memoryInGB =
    spec.memoryInGB ??
    Math.min(model?.memoryInGB || DEFAULTS.memoryInGB, spec.memoryInGBLimit ?? Number.POSITIVE_INFINITY);
  return {
    cpu,
    memoryInGB,
    gpu: spec.gpuCores ?? model?.gpu ?? DEFAULTS.gpu,
    ...(spec.cpuLimit === undefined ? {} : { cpuLimit: spec.cpuLimit }),
    ...(spec.memoryInGBLimit === undefined ? {} : { memoryInGBLimit: spec.memoryInGBLimit }),
  };
}

/** What a service has after an update: absent members keep what is there. Judge it with `validateUpdate` first. */
export function mergeSettings(current: EffectiveSettings, changes: DeploymentSpec): EffectiveSettings {
  return {
    auth: mergeAuth(current.auth, changes),
    appInsightsEnabled: changes.appInsightsEnabled ?? current.appInsightsEnabled,
    dataCollection: changes.collectModelData ?? current.dataCollection,
    scale: mergeScale(current.scale, changes),
    resources: mergeResources(current.resources, changes),
    scoringTimeoutMs: changes.scoringTimeoutMs ?? current.scoringTimeoutMs,
    maxConcurrentRequestsPerContainer:
      changes.maxConcurrentRequestsPerContainer ?? current.maxConcurrentRequestsPerContainer,
    maxQueueWaitMs: changes.maxQueueWaitMs ?? current.maxQueueWaitMs,
    livenessProbe: { ...current.livenessProbe, ...changes.livenessProbe },
    ...beyondV1(current, changes),
  };
}

function beyondV1(
  current: EffectiveSettings | undefined,
  changes: DeploymentSpec,
): Pick<EffectiveSettings, 'rollout' | 'frontEnd'> {
  const rollout = mergeRollout(current?.rollout, changes);
  const frontEnd = mergeFrontEnd(current?.frontEnd, changes);
  return { ...(rollout === undefined ? {} : { rollout }), ...(frontEnd === undefined ? {} : { frontEnd }) };
}

function mergeAuth(current: AuthMode, { authEnabled, tokenAuthEnabled }: DeploymentSpec): AuthMode {
  if (tokenAuthEnabled) return 'token';
  if (authEnabled) return 'key';
  if (current === 'token' && tokenAuthEnabled === false) return 'none';
  if (current === 'key' && authEnabled === false) return 'none';
  return current;
}

function mergeScale(current: Scale, changes: DeploymentSpec): Scale {
  if (changes.numReplicas !== undefined) return { kind: 'fixed', replicas: changes.numReplicas };
  if (!changes.autoscaleEnabled) return current;
  const base = current.kind === 'auto' ? current : effectiveScale({ computeType: 'aks' });
  if (base.kind !== 'auto') return current;
  const minReplicas = changes.minReplicas ?? Math.min(base.minReplicas, changes.maxReplicas ?? base.minReplicas);
  const coldStartSeconds = changes.coldStartSeconds ?? base.coldStartSeconds;
  return {
    kind: 'auto',
    minReplicas,
    maxReplicas: changes.maxReplicas ?? Math.max(base.maxReplicas, minReplicas),
    targetUtilization: changes.targetUtilization ?? base.targetUtilization,
    refreshPeriodInSeconds: changes.refreshPeriodInSeconds ?? base.refreshPeriodInSeconds,
    ...(coldStartSeconds === undefined ? {} : { coldStartSeconds }),
  };
}

function mergeResources(current: ResourceRequirements, changes: DeploymentSpec): ResourceRequirements {
  const cpuLimit = changes.cpuLimit ?? current.cpuLimit;
  const memoryInGBLimit = changes.memoryInGBLimit ?? current.memoryInGBLimit;
  return {
    cpu: changes.cpu ?? current.cpu,
    memoryInGB: changes.memoryInGB ?? current.memoryInGB,
    gpu: changes.gpuCores ?? current.gpu,
    ...(cpuLimit === undefined ? {} : { cpuLimit }),
    ...(memoryInGBLimit === undefined ? {} : { memoryInGBLimit }),
  };
}
