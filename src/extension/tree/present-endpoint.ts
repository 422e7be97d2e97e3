import { isUnwell, type Look, lookOf, type Shown } from '../../contract/look.ts';
import type { Translate } from '../translate.ts';
import type { NodeOf } from './nodes.ts';
import { context, joined, type Presentation } from './presentation.ts';
import type { StreamState } from './state.ts';

/** Shape and colour both tell the state. */
const ICONS: Readonly<Record<Look, NonNullable<Presentation['icon']>>> = {
  good: { id: 'pass-filled', color: 'testing.iconPassed' },
  underWay: { id: 'loading~spin' },
  careful: { id: 'warning', color: 'list.warningForeground' },
  bad: { id: 'error', color: 'list.errorForeground' },
  stopped: { id: 'circle-slash' },
  leaving: { id: 'trash' },
};

/** Healthy is what everybody expects. */
function stateInWords(status: Shown | undefined, t: Translate): string | undefined {
  const look = lookOf(status);
  if (look === 'stopped') return t('stopped');
  return look === 'good' ? undefined : (status?.state ?? 'Transitioning');
}

export function presentEndpoint(
  { endpoint, target, workspace, stream }: NodeOf<'endpoint'>,
  t: Translate,
): Presentation {
  const { metadata, spec, status } = endpoint;
  const state = status?.state ?? 'Transitioning';
  const several = (workspace.targets.value?.length ?? 0) > 1;
  return {
    label: metadata.name,
    description: joined(stateInWords(status, t), several ? target : undefined, status?.scoringUri, AUTH[spec.auth](t)),
    icon: ICONS[lookOf(status)],
    contextValue: context(
      'endpoint',
      spec.form === 'endpoint' ? 'several' : 'single',
      spec.auth,
      spec.auth !== 'none' && 'secured',
      spec.computeType === 'aks' && 'remoteForm',
      target !== 'local' && 'onCluster',
      state,
      isUnwell(status) && 'failing',
      ...streamFlags(stream),
    ),
    expands: 'collapsed',
    spoken: t('{0}, endpoint, {1}, on {2}', metadata.name, state, target),
  };
}

/** What can be done with the log of a node depends on whether it is streamed. */
function streamFlags(stream: StreamState | undefined): readonly string[] {
  return stream === undefined ? [] : ['streamed', stream];
}

const AUTH = {
  key: (t: Translate) => t('key'),
  token: (t: Translate) => t('token'),
  none: (t: Translate) => t('no authentication'),
} as const;

export function presentVersion({ endpoint, version, status, stream }: NodeOf<'version'>, t: Translate): Presentation {
  const state = status?.state ?? 'Transitioning';
  const ready = `${status?.availableReplicas ?? 0}/${status?.desiredReplicas ?? 0}`;
  const several = endpoint.spec.form === 'endpoint';
  const traffic = status?.effectiveTraffic ?? 0;
  return {
    label: version.name,
    description: joined(
      stateInWords(status, t),
      several ? t('{0} % traffic', formatNumber(traffic)) : undefined,
      version.isDefault && several ? t('default') : undefined,
      version.type?.toLowerCase(),
      t('{0} replicas', ready),
      status?.utilization === undefined ? undefined : t('{0} % busy', Math.round(status.utilization * 100)),
    ),
    icon: ICONS[lookOf(status)],
    contextValue: context(
      'version',
      several && !version.isDefault && 'treatable',
      state,
      isUnwell(status) && 'failing',
      ...streamFlags(stream),
    ),
    expands: 'collapsed',
    spoken: t('{0}, version of {1}, {2}, {3} replicas ready', version.name, endpoint.metadata.name, state, ready),
  };
}

function formatNumber(value: number): string {
  return `${Number(value.toFixed(2))}`;
}

const REPLICA_ICONS = {
  starting: { id: 'loading~spin' },
  ready: { id: 'circle-filled', color: 'testing.iconPassed' },
  draining: { id: 'circle-outline' },
  failed: { id: 'error', color: 'list.errorForeground' },
} as const;

export function presentReplica({ replica, stream }: NodeOf<'replica'>, t: Translate): Presentation {
  const { id, state, message, error, restarts } = replica;
  return {
    label: id,
    description: joined(
      state,
      message ?? error?.code,
      restarts === 0 ? undefined : restarts === 1 ? t('restarted once') : t('restarted {0} times', restarts),
    ),
    icon: REPLICA_ICONS[state],
    contextValue: context('replica', state, state === 'failed' && 'failing', ...streamFlags(stream)),
    expands: 'never',
    spoken: t('{0}, replica, {1}', id, state),
  };
}

/** `2026-01-31 12:34` of the user's own time. */
function localMinute(iso: string): string {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const two = (value: number) => `${value}`.padStart(2, '0');
  const day = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-');
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}`;
}

export function presentRevision({ endpoint, revision }: NodeOf<'revision'>, t: Translate): Presentation {
  const { number, current, changed, createdBy, createdTime, hasCode, version } = revision;
  return {
    label: endpoint.spec.form === 'endpoint' ? t('{0}, revision {1}', version, number) : t('revision {0}', number),
    description: joined(
      current ? t('current') : undefined,
      changed.includes('first') ? undefined : changed.join(', '),
      localMinute(createdTime),
      createdBy,
    ),
    icon: { id: current ? 'git-commit' : 'circle-outline' },
    contextValue: context('revision', current ? 'current' : 'past', hasCode && 'code', number > 1 && 'later'),
    expands: 'never',
  };
}
