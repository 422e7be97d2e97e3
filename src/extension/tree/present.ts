import { isUnwell } from '../../contract/look.ts';
import type { Translate } from '../translate.ts';
import type { GroupName, NodeOf, TreeNode } from './nodes.ts';
import { presentEndpoint, presentReplica, presentRevision, presentVersion } from './present-endpoint.ts';
import { context, joined, type Presentation } from './presentation.ts';
import type { WorkspaceState } from './state.ts';

export function present(node: TreeNode, t: Translate): Presentation {
  switch (node.kind) {
    case 'workspace':
      return presentWorkspace(node, t);
    case 'group':
      return presentGroup(node, t);
    case 'target':
      return presentTarget(node, t);
    case 'modelName':
      return {
        label: node.name,
        description: joined(
          node.models.length === 1 ? t('1 version') : t('{0} versions', node.models.length),
          node.models[0]?.framework,
        ),
        icon: { id: 'symbol-class' },
        contextValue: context('modelName'),
        expands: 'collapsed',
      };
    case 'model':
      return presentModel(node, t);
    case 'endpoint':
      return presentEndpoint(node, t);
    case 'version':
      return presentVersion(node, t);
    case 'replica':
      return presentReplica(node, t);
    case 'cause':
      return {
        label: node.cause.code,
        description: node.cause.message,
        icon: { id: 'error', color: 'list.errorForeground' },
        contextValue: context('cause'),
        expands: 'never',
        spoken: [node.cause.code, node.cause.message, node.cause.remedy].filter(Boolean).join(', '),
        command: { id: 'aksml.endpoint.showCause', title: t('Show Cause of the Failure'), arguments: [node.id] },
      };
    case 'history':
      return {
        label: t('History'),
        icon: { id: 'history' },
        contextValue: context('history'),
        expands: 'collapsed',
      };
    case 'revision':
      return presentRevision(node, t);
    case 'environmentName':
      return {
        label: node.name,
        description: node.environments.length === 1 ? t('1 version') : t('{0} versions', node.environments.length),
        icon: { id: 'layers' },
        contextValue: context('environmentName'),
        expands: 'collapsed',
      };
    case 'environment':
      return presentEnvironment(node, t);
    case 'error':
      return {
        label: node.about === '' ? node.error.message : t('{0} cannot be asked', node.about),
        description: node.about === '' ? (node.error.remedy ?? '') : node.error.message,
        icon: { id: 'error', color: 'list.errorForeground' },
        contextValue: context('error'),
        expands: 'never',
        spoken: [node.error.message, node.error.remedy].filter(Boolean).join(' '),
        command: { id: 'aksml.tree.showError', title: t('Show Error'), arguments: [node.id] },
      };
    case 'more':
      return {
        label: t('Show {0} more of {1}…', Math.min(node.left, 100), node.left),
        icon: { id: 'ellipsis' },
        contextValue: context('more'),
        expands: 'never',
        command: { id: 'aksml.tree.more', title: t('Show More'), arguments: [node.id] },
      };
    case 'hint':
      return presentHint(node, t);
    default:
      return node satisfies never;
  }
}

function presentWorkspace({ workspace }: NodeOf<'workspace'>, t: Translate): Presentation {
  const { view, scope, error } = workspace;
  const file = view?.origin.kind === 'file';
  return {
    label: view?.name ?? scope.workspace ?? folderName(scope.folder),
    ...(view === undefined ? {} : { description: view.isRemote ? view.content : t('on this machine') }),
    icon: error === undefined ? { id: 'folder-library' } : { id: 'error', color: 'list.errorForeground' },
    contextValue: context('workspace', file && 'file'),
    expands: 'expanded',
  };
}

function folderName(path: string): string {
  return path.split(/[\\/]/).filter(Boolean).at(-1) ?? path;
}

const GROUP_ICONS: Readonly<Record<GroupName, string>> = {
  clusters: 'server-environment',
  models: 'package',
  endpoints: 'radio-tower',
  environments: 'layers',
};

function presentGroup({ group, workspace }: NodeOf<'group'>, t: Translate): Presentation {
  const labels: Readonly<Record<GroupName, string>> = {
    clusters: t('Clusters'),
    models: t('Models'),
    endpoints: t('Endpoints'),
    environments: t('Environments'),
  };
  const description = groupSummary(group, workspace, t);
  return {
    label: labels[group],
    ...(description === '' ? {} : { description }),
    icon: { id: GROUP_ICONS[group] },
    contextValue: context(`group.${group}`, workspace.view?.isRemote === true && 'remote'),
    expands: group === 'endpoints' ? 'expanded' : 'collapsed',
  };
}

function groupSummary(group: GroupName, workspace: WorkspaceState, t: Translate): string {
  switch (group) {
    case 'clusters':
      return '';
    case 'models':
      return count(workspace.models.value, ({ name }) => name);
    case 'environments':
      return count(workspace.environments.value, ({ name }) => name);
    case 'endpoints': {
      const all = [...workspace.endpoints.values()].flatMap(({ byName }) => [...byName.values()]);
      const unwell = all.filter(({ status }) => isUnwell(status)).length;
      return joined(
        all.length === 0 ? undefined : `${all.length}`,
        unwell === 0 ? undefined : t('{0} failing', unwell),
      );
    }
  }
}

function count<T>(items: readonly T[] | undefined, nameOf: (item: T) => string): string {
  const names = new Set((items ?? []).map(nameOf));
  return names.size === 0 ? '' : `${names.size}`;
}

function presentTarget({ target }: NodeOf<'target'>, t: Translate): Presentation {
  const { listing, status, stopped } = target;
  const isLocal = listing.kind === 'local';
  const state = status === undefined ? 'asking' : !status.reachable ? 'unreachable' : stopped ? 'stopped' : 'ready';
  const frontEnd =
    status?.frontEnd && status.frontEnd.state !== 'Healthy' ? t('front end {0}', status.frontEnd.state) : '';
  const description = joined(
    isLocal ? t('this machine') : listing.kind,
    isLocal ? undefined : listing.record.purpose,
    stopped ? t('stopped') : undefined,
    status?.kubernetesVersion,
    isLocal || status?.nodes === undefined ? undefined : t('{0}/{1} nodes', status.nodes.ready, status.nodes.total),
    frontEnd,
    state === 'unreachable' ? status?.error?.message : undefined,
  );
  return {
    label: listing.name,
    description,
    icon: TARGET_ICONS[state === 'ready' && frontEnd !== '' ? 'degraded' : state],
    contextValue: context(
      'target',
      isLocal ? 'local' : 'cluster',
      isLocal && (stopped ? 'stopped' : 'running'),
      status?.portal !== undefined && 'portal',
      state,
    ),
    expands: 'never',
  };
}

const TARGET_ICONS = {
  asking: { id: 'loading~spin' },
  ready: { id: 'vm-active', color: 'testing.iconPassed' },
  degraded: { id: 'vm-active', color: 'list.warningForeground' },
  stopped: { id: 'vm-outline' },
  unreachable: { id: 'vm-outline', color: 'list.errorForeground' },
} as const;

function presentModel({ model, workspace }: NodeOf<'model'>, t: Translate): Presentation {
  const users = endpointsWith(workspace, (version) => version.models.includes(model.id));
  return {
    label: t('version {0}', model.version),
    description: joined(
      frameworkOf(model),
      formatBytes(model.size),
      Object.entries(model.tags)
        .map(([key, value]) => `${key}=${value}`)
        .join(' '),
      users.length === 0 ? undefined : t('in {0}', users.join(', ')),
    ),
    icon: { id: model.isFolder ? 'folder' : 'file-binary' },
    contextValue: context('model', users.length > 0 && 'used'),
    expands: 'never',
    spoken: t('version {0} of the model {1}, {2}', model.version, model.name, frameworkOf(model)),
  };
}

export function frameworkOf({ framework, frameworkVersion, isMlflow }: NodeOf<'model'>['model']): string {
  if (isMlflow && framework === 'Custom') return 'MLflow';
  return frameworkVersion === undefined ? framework : `${framework} ${frameworkVersion}`;
}

export function endpointsWith(
  { endpoints }: WorkspaceState,
  uses: (version: NodeOf<'version'>['version']) => boolean,
): readonly string[] {
  return [...endpoints.values()]
    .flatMap(({ byName }) => [...byName.values()])
    .filter(({ spec }) => spec.versions.some(uses))
    .map(({ metadata }) => metadata.name);
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB'] as const;

export function formatBytes(bytes: number): string {
  const power = Math.min(Math.floor(Math.log(Math.max(bytes, 1)) / Math.log(1024)), UNITS.length - 1);
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`;
}

function presentEnvironment({ environment, workspace }: NodeOf<'environment'>, t: Translate): Presentation {
  const { name, version, definition } = environment;
  const users = endpointsWith(
    workspace,
    (used) => used.environment.name === name && used.environment.version === version,
  );
  return {
    label: t('version {0}', version),
    description: joined(
      definition.docker.baseDockerfile === undefined ? definition.docker.baseImage : t('a Dockerfile'),
      users.length === 0 ? undefined : t('in {0}', users.join(', ')),
    ),
    icon: { id: 'layers' },
    contextValue: context('environment', users.length > 0 && 'used'),
    expands: 'never',
    spoken: t('version {1} of the environment {0}', name, version),
  };
}

function presentHint({ hint }: NodeOf<'hint'>, t: Translate): Presentation {
  switch (hint) {
    case 'loading':
      return { label: t('Looking…'), icon: { id: 'loading~spin' }, contextValue: context('hint'), expands: 'never' };
    case 'model':
      return hinted(t('Register a model, or drop its file here'), 'add', 'aksml.model.register');
    case 'environment':
      return hinted(t('Register an environment'), 'add', 'aksml.environment.register');
    case 'cluster':
      return hinted(t('Attach a cluster'), 'plug', 'aksml.cluster.attach');
    case 'endpoint':
      return hinted(t('Deploy a model'), 'rocket', 'aksml.endpoint.deploy');
  }
}

function hinted(label: string, icon: string, command: string): Presentation {
  return {
    label,
    icon: { id: icon },
    contextValue: context('hint'),
    expands: 'never',
    command: { id: command, title: label },
  };
}
