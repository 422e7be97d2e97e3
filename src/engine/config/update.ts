import { DEPLOYMENT_KEYS } from '../../contract/configuration/deployment-keys.ts';
import type { DeploymentSpec, EffectiveSettings } from '../../contract/deployment.ts';
import type { ResourceRequirements } from '../../contract/endpoint.ts';
import type { Problem } from '../../contract/problem.ts';
import { AksRules } from './deployment.ts';
import { Report } from './report.ts';
import type { Setting } from './settings-source.ts';
import { fromPlain } from './source.ts';

/**
 * v1's rules for an update: those of a deployment, judged on the call's own values, plus what must fit the service as it is. Raising
 * `maxReplicas` of an autoscaling service therefore repeats `autoscaleEnabled`, as in v1.
 */
export function validateUpdate(changes: DeploymentSpec, current: { readonly settings: EffectiveSettings }): Problem[] {
  const report = new Report();
  const settings = { get: (path: string): Setting => settingOf(changes, path) };
  const rules = new AksRules(settings, report);
  for (const { path, rule } of DEPLOYMENT_KEYS) if (rule) rules.number(path, rule);
  for (const path of ['cpuLimit', 'memoryInGBLimit']) rules.number(`containerResourceRequirements.${path}`, 'positive');
  rules.limit('containerResourceRequirements.cpu', 'containerResourceRequirements.cpuLimit', 'cpuLimit.belowCpu');
  rules.limit(
    'containerResourceRequirements.memoryInGB',
    'containerResourceRequirements.memoryInGBLimit',
    'memoryInGBLimit.belowMemory',
  );
  rules.namespace();
  rules.autoscale();
  rules.authentication();
  rules.endpoint();
  judgeResources(changes, current.settings.resources, report);
  judgeAuthentication(changes, current.settings, report);
  return [...report.problems];
}

/** A spec's member as the setting of its key. */
function settingOf(spec: DeploymentSpec, path: string): Setting {
  return { value: fromPlain(SPEC_MEMBERS[path]?.(spec)), origin: { path } };
}

const SPEC_MEMBERS: Readonly<Record<string, (spec: DeploymentSpec) => unknown>> = {
  'containerResourceRequirements.cpu': (spec) => spec.cpu,
  'containerResourceRequirements.cpuLimit': (spec) => spec.cpuLimit,
  'containerResourceRequirements.memoryInGB': (spec) => spec.memoryInGB,
  'containerResourceRequirements.memoryInGBLimit': (spec) => spec.memoryInGBLimit,
  gpuCores: (spec) => spec.gpuCores,
  'livenessProbeRequirements.periodSeconds': (spec) => spec.livenessProbe?.periodSeconds,
  'livenessProbeRequirements.initialDelaySeconds': (spec) => spec.livenessProbe?.initialDelaySeconds,
  'livenessProbeRequirements.timeoutSeconds': (spec) => spec.livenessProbe?.timeoutSeconds,
  'livenessProbeRequirements.successThreshold': (spec) => spec.livenessProbe?.successThreshold,
  'livenessProbeRequirements.failureThreshold': (spec) => spec.livenessProbe?.failureThreshold,
  namespace: (spec) => spec.namespace,
  scoringTimeoutMs: (spec) => spec.scoringTimeoutMs,
  maxConcurrentRequestsPerContainer: (spec) => spec.maxConcurrentRequestsPerContainer,
  maxQueueWaitMs: (spec) => spec.maxQueueWaitMs,
  numReplicas: (spec) => spec.numReplicas,
  'autoScaler.autoscaleEnabled': (spec) => spec.autoscaleEnabled,
  'autoScaler.minReplicas': (spec) => spec.minReplicas,
  'autoScaler.maxReplicas': (spec) => spec.maxReplicas,
  'autoScaler.refreshPeriodInSeconds': (spec) => spec.refreshPeriodInSeconds,
  'autoScaler.targetUtilization': (spec) => spec.targetUtilization,
  authEnabled: (spec) => spec.authEnabled,
  tokenAuthEnabled: (spec) => spec.tokenAuthEnabled,
  versionName: (spec) => spec.versionName,
  trafficPercentile: (spec) => spec.trafficPercentile,
  'autoScaler.coldStartSeconds': (spec) => spec.coldStartSeconds,
  mirrorPercentile: (spec) => spec.mirrorPercentile,
  'rollout.intervalSeconds': (spec) => spec.rolloutIntervalSeconds,
  'rollout.maxErrorPercent': (spec) => spec.rolloutMaxErrorPercent,
  'rollout.maxP99Ms': (spec) => spec.rolloutMaxP99Ms,
  'frontEnd.requestsPerSecond': (spec) => spec.requestsPerSecond,
};

function judgeResources(changes: DeploymentSpec, current: ResourceRequirements, report: Report): void {
  const pairs = [
    { request: 'cpu', limit: 'cpuLimit', code: 'Cpu' },
    { request: 'memoryInGB', limit: 'memoryInGBLimit', code: 'Memory' },
  ] as const;
  for (const { request, limit, code } of pairs) {
    const requested = changes[request];
    const limited = changes[limit];
    const currentLimit = current[limit];
    if (requested !== undefined && limited === undefined && currentLimit !== undefined && requested > currentLimit) {
      report.error(
        `${request}.aboveCurrentLimit`,
        { path: `containerResourceRequirements.${request}` },
        `${request} (${requested}) must not be above the present ${limit} (${currentLimit}).`,
        `Raise ${limit} in the same update.`,
      );
    }
    if (limited !== undefined && requested === undefined && limited < current[request]) {
      report.error(
        `${limit}.below${code}`,
        { path: `containerResourceRequirements.${limit}` },
        `${limit} (${limited}) must not be below the present ${request} (${current[request]}).`,
        `Lower ${request} in the same update.`,
      );
    }
  }
}

/** One kind of authentication replaces the other only when the call switches the other off. */
function judgeAuthentication(changes: DeploymentSpec, current: EffectiveSettings, report: Report): void {
  const { authEnabled, tokenAuthEnabled } = changes;
  if (tokenAuthEnabled && authEnabled) return;
  if (tokenAuthEnabled && current.auth === 'key' && authEnabled !== false) {
    report.error(
      'auth.keyStillOn',
      { path: 'tokenAuthEnabled' },
      'Token authentication cannot be switched on while key authentication is on.',
      'Set authEnabled to false in the same update.',
    );
  } else if (authEnabled && current.auth === 'token' && tokenAuthEnabled !== false) {
    report.error(
      'auth.tokenStillOn',
      { path: 'authEnabled' },
      'Key authentication cannot be switched on while token authentication is on.',
      'Set tokenAuthEnabled to false in the same update.',
    );
  }
}
