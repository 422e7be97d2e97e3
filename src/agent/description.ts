import type { DeploymentPlan } from '../contract/deployment.ts';
import type { Cause, Endpoint, VersionStatus } from '../contract/endpoint.ts';
import type { TargetView } from '../contract/engine-api.ts';

export function describeEndpoint({ metadata, spec, status }: Endpoint): string {
  const versions = spec.versions.map(({ name, models }) => `${name} (${models.join(', ') || 'no models'})`);
  return [
    `${metadata.name}: ${status?.state ?? 'Transitioning'}`,
    ...(status?.scoringUri === undefined ? [] : [`scoring URI ${status.scoringUri}`]),
    `authentication ${spec.auth}`,
    `versions ${versions.join(', ')}`,
  ].join(', ');
}

export function describeTarget({ listing, status, stopped }: TargetView): string {
  const { name, kind } = listing;
  if (stopped) return `${name}: ${kind}, stopped`;
  if (status === undefined) return `${name}: ${kind}`;
  const why = status.error === undefined ? '' : `: ${status.error.message}`;
  return `${name}: ${kind}, ${status.reachable ? 'reachable' : 'unreachable'}${why}`;
}

export function describePlan(plan: DeploymentPlan): string {
  const { settings } = plan;
  const { scale, resources } = settings;
  const replicas = scale.kind === 'fixed' ? `${scale.replicas}` : `${scale.minReplicas} to ${scale.maxReplicas}`;
  const refused = plan.problems.some(({ severity }) => severity === 'error');
  return [
    refused ? 'The deployment would be refused:' : `Would ${plannedAction(plan)} on ${plan.target}.`,
    `Models: ${plan.models.join(', ') || 'none'}`,
    `Code: ${plan.code}`,
    `Environment: ${plan.environment}`,
    `Authentication: ${settings.auth}; replicas: ${replicas}; ${resources.cpu} CPU and ${resources.memoryInGB} GB each`,
    ...plan.problems.map(({ severity, file, line, path, message, remedy }) => {
      const place = [file, line, path].filter((part) => part !== undefined).join(':');
      return [`${severity}:`, place, message, remedy].filter((part) => part !== undefined && part !== '').join(' ');
    }),
  ].join('\n');
}

function plannedAction({ action, form, name, versionName }: DeploymentPlan): string {
  return action === 'add' ? `add the version ${versionName} to ${name}` : `${action} the ${form} ${name}`;
}

export function troubleshoot(endpoint: Endpoint): string {
  const { status } = endpoint;
  if (status === undefined) return `${endpoint.metadata.name} has just been made; nothing is known of it yet.`;
  return [
    describeEndpoint(endpoint),
    ...(status.error === undefined ? [] : describeCause(status.error)),
    ...status.versions.flatMap(describeVersion),
  ].join('\n');
}

function describeVersion(version: VersionStatus): string[] {
  const { name, state, availableReplicas, desiredReplicas, utilization, replicas } = version;
  const busy = utilization === undefined ? '' : `, utilization ${Math.round(utilization * 100)} %`;
  return [
    `Version ${name}: ${state}, ${availableReplicas} of ${desiredReplicas} replicas serve${busy}`,
    ...(version.error === undefined ? [] : describeCause(version.error)),
    ...replicas
      .filter((replica) => replica.state !== 'ready')
      .map(({ id, state: at, restarts, message }) =>
        [`Replica ${id}: ${at}`, `${restarts} restarts`, message].filter(Boolean).join(', '),
      ),
  ];
}

function describeCause({ code, message, remedy, exitCode, logTail }: Cause): string[] {
  return [
    `${code}: ${message}${exitCode === undefined ? '' : ` (exit code ${exitCode})`}`,
    ...(remedy === undefined ? [] : [`What to do: ${remedy}`]),
    ...(logTail ?? []).map((line) => `  ${withoutSecrets(line)}`),
  ];
}

/** A scoring script may print anything; what looks like a credential does not leave this machine. */
export function withoutSecrets(line: string): string {
  return line
    .replace(/\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi, '$1 ***')
    .replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, '$1***@')
    .replace(
      /\b([\w-]*(?:secret|password|passwd|token|api[_-]?key|account[_-]?key|sig)[\w-]*["']?\s*[=:]\s*)["']?[^\s"',;&]+/gi,
      '$1***',
    )
    .replace(/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, '***')
    .replace(/(?<![\w/+.-])(?=[A-Za-z0-9+/_-]*\d)(?=[A-Za-z0-9+/_-]*[A-Z])[A-Za-z0-9+/_-]{32,}={0,2}(?![\w.])/g, '***');
}
