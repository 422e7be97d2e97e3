import type { Cause, Endpoint, ReplicaStatus, RolloutStatus, VersionSpec } from '../contract/endpoint.ts';
import { isStopped, type Shown } from '../contract/look.ts';
import { portableEndpoint, serializeEndpoint } from '../engine/endpoints/serialize.ts';
import type { Engine } from '../engine/engine.ts';
import type { Cell, Result, View } from './result.ts';

/** One service or endpoint: v1's JSON, facts for people, and the resource itself as YAML. */
export function endpointResult(engine: Engine, endpoint: Endpoint, note?: string): Result {
  return {
    kind: 'value',
    value: serializeEndpoint(engine, endpoint),
    view: endpointView(engine, endpoint, note),
    resource: portableEndpoint(endpoint),
  };
}

/** Endpoints with the engine on the compute target that they are on. */
export interface ListedEndpoints {
  readonly engine: Engine;
  readonly endpoints: readonly Endpoint[];
}

export function endpointsResult(listed: readonly ListedEndpoints[], what: string): Result {
  const all = listed.flatMap(({ engine, endpoints }) => endpoints.map((endpoint) => ({ engine, endpoint })));
  return {
    kind: 'value',
    value: all.map(({ engine, endpoint }) => serializeEndpoint(engine, endpoint)),
    resource: { apiVersion: 'v1', kind: 'List', items: all.map(({ endpoint }) => portableEndpoint(endpoint)) },
    view: {
      kind: 'rows',
      columns: ['NAME', 'TARGET', 'STATE', 'VERSIONS', 'REPLICAS', 'AUTH', 'MODELS', 'SCORING URI', 'UPDATED'],
      rows: all.map(({ engine, endpoint }) => endpointRow(engine, endpoint)),
      expendable: ['UPDATED', 'AUTH', 'MODELS', 'VERSIONS', 'REPLICAS', 'TARGET'],
      empty: `There are no ${what}. Deploy one with "aksml model deploy".`,
    },
  };
}

function endpointRow({ target }: Engine, { metadata, spec, status }: Endpoint): Cell[] {
  const models = [...new Set(spec.versions.flatMap((version) => version.models))];
  const updated = spec.versions
    .map(({ updatedTime }) => updatedTime)
    .sort()
    .at(-1);
  return [
    metadata.name,
    target.name,
    stateInWords(status) ?? 'Transitioning',
    spec.versions.map(({ name }) => name).join(', '),
    replicas(status?.versions ?? []),
    spec.auth,
    models.length > 3 ? `${models.slice(0, 3).join(', ')} and ${models.length - 3} more` : models.join(', '),
    status?.scoringUri,
    updated && localTime(updated),
  ];
}

/** v1's states have none for what was stopped on request. */
function stateInWords(status: Shown | undefined): string | undefined {
  return isStopped(status?.error) ? 'Stopped' : status?.state;
}

function replicas(
  versions: readonly { readonly availableReplicas: number; readonly desiredReplicas: number }[],
): string {
  const available = versions.reduce((sum, version) => sum + version.availableReplicas, 0);
  const desired = versions.reduce((sum, version) => sum + version.desiredReplicas, 0);
  return `${available}/${desired}`;
}

function endpointView({ target }: Engine, { metadata, spec, status }: Endpoint, note: string | undefined): View {
  const facts: (readonly [string, Cell])[] = [
    ['Name', metadata.name],
    ['Compute target', target.name],
    ['State', stateInWords(status) ?? 'Transitioning'],
    ...causeFacts(status?.error),
    ['Scoring URI', status?.scoringUri],
    ['Swagger URI', status?.swaggerUri],
    ['Authentication', spec.auth],
    ...(spec.description ? ([['Description', spec.description]] as const) : []),
    ...labels('Tags', spec.tags),
    ...spec.versions.flatMap((version) =>
      versionFacts(
        spec.versions.length > 1 || spec.form === 'endpoint',
        version,
        status?.versions.find(({ name }) => name === version.name),
      ),
    ),
  ];
  return { kind: 'facts', facts, ...(note === undefined ? {} : { note }) };
}

function versionFacts(
  several: boolean,
  version: VersionSpec,
  status: NonNullable<Endpoint['status']>['versions'][number] | undefined,
): (readonly [string, Cell])[] {
  const role = [version.isDefault ? 'default' : '', version.type ?? ''].filter(Boolean).join(', ');
  return [
    ...(several
      ? ([
          ['', ''],
          ['Version', role === '' ? version.name : `${version.name} (${role})`],
          ['State', stateInWords(status)],
          ['Traffic', status && `${status.effectiveTraffic} %`],
          ...(version.rollout === undefined ? [] : ([['Rollout', describeRollout(status?.rollout)]] as const)),
        ] as const)
      : []),
    ['Models', version.models.join(', ')],
    ['Replicas', `${status?.availableReplicas ?? 0} of ${status?.desiredReplicas ?? 0}, ${describeScale(version)}`],
    ...(status?.replicas ?? []).flatMap(replicaFacts),
    [
      'Resources',
      `${version.resources.cpu} CPU, ${version.resources.memoryInGB} GB${version.resources.gpu > 0 ? `, ${version.resources.gpu} GPU` : ''}`,
    ],
    [
      'Environment',
      [version.environment.name, version.environment.version].filter(Boolean).join(':') ||
        version.environment.hash.slice(0, 19),
    ],
    ['Revision', version.revisionNumber],
    ['Updated', localTime(version.updatedTime)],
  ];
}

function causeFacts(cause: Cause | undefined): (readonly [string, Cell])[] {
  if (cause === undefined) return [];
  return [
    ['Error', `${cause.code}: ${cause.message}`],
    ...(cause.remedy === undefined ? [] : ([['Remedy', cause.remedy]] as const)),
  ];
}

/** What those are at that take no requests. */
function replicaFacts({ id, state, message, error, restarts }: ReplicaStatus): (readonly [string, Cell])[] {
  if (state === 'ready') return [];
  const again = restarts === 0 ? '' : `, restarted ${restarts === 1 ? 'once' : `${restarts} times`}`;
  const what = message ?? error?.code;
  return [[`  ${id}`, `${state}${again}${what === undefined ? '' : `: ${what}`}`]];
}

function describeRollout(rollout: RolloutStatus | undefined): string {
  if (rollout === undefined) return 'begins when the version has served';
  const phase = { Progressing: 'under way', Promoted: 'done', RolledBack: 'gone back' }[rollout.phase];
  return `${phase}: ${rollout.message}`;
}

function describeScale({ scale }: VersionSpec): string {
  return scale.kind === 'fixed'
    ? 'fixed'
    : `scaled from ${scale.minReplicas} to ${scale.maxReplicas} at ${scale.targetUtilization} % utilization`;
}

export function labels(title: string, values: Readonly<Record<string, string>>): (readonly [string, Cell])[] {
  const entries = Object.entries(values);
  return entries.length === 0 ? [] : [[title, entries.map(([key, value]) => `${key}=${value}`).join(', ')]];
}

/** ISO 8601 for programs stays in the JSON; people read their own time. */
export function localTime(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  // Loading the locale that writes them so takes longer than most commands.
  const two = (part: number) => String(part).padStart(2, '0');
  const date = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())];
  return `${date.join('-')} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':')}`;
}
