import type { Cause } from '../../contract/endpoint.ts';
import type { Model } from '../../contract/model.ts';
import type { Translate } from '../translate.ts';
import type { TreeNode } from './nodes.ts';
import { endpointsWith, formatBytes, frameworkOf } from './present.ts';

type Fact = readonly [name: string, value: string | number | undefined];

/** What a node says when the pointer rests on it, as Markdown; undefined where its label says all. Made only then. */
export function tooltip(node: TreeNode, t: Translate): string | undefined {
  switch (node.kind) {
    case 'workspace':
      return facts(node.workspace.view?.name ?? '', [
        [t('Content'), node.workspace.view?.content],
        [t('Resource group'), node.workspace.view?.resourceGroup],
        [t('Chosen by'), originOf(node, t)],
      ]);
    case 'target':
      return targetTooltip(node, t);
    case 'model':
      return modelTooltip(node, t);
    case 'endpoint':
      return endpointTooltip(node, t);
    case 'version':
      return versionTooltip(node, t);
    case 'replica':
      return `${facts(node.replica.id, [
        [t('State'), node.replica.state],
        [t('Started'), localTime(node.replica.startedTime)],
        [t('Restarts'), node.replica.restarts],
        [t('Process'), node.replica.pid],
        [t('At'), node.replica.message],
      ])}${causeText(node.replica.error)}`;
    case 'cause':
      return causeText(node.cause).trim();
    case 'revision':
      return facts(t('Revision {0}', node.revision.number), [
        [t('Deployed'), `${localTime(node.revision.createdTime)} ${node.revision.createdBy}`],
        [t('Changed'), node.revision.changed.join(', ')],
        [t('Models'), node.revision.models.join(', ')],
        [t('Commit'), node.revision.commit],
        [t('Digest'), node.revision.digest],
      ]);
    case 'environment':
      return environmentTooltip(node, t);
    case 'error':
      return escaped([node.error.message, node.error.remedy].filter(Boolean).join('\n\n'));
    default:
      return undefined;
  }
}

function originOf({ workspace }: Extract<TreeNode, { kind: 'workspace' }>, t: Translate): string | undefined {
  const origin = workspace.view?.origin;
  switch (origin?.kind) {
    case 'file':
      return origin.file;
    case 'options':
      return t('the setting aksml.workspace');
    case 'default':
      return t('default: no file names a workspace');
    default:
      return undefined;
  }
}

function targetTooltip({ target }: Extract<TreeNode, { kind: 'target' }>, t: Translate): string {
  const { listing, status } = target;
  const record = listing.kind === 'local' ? undefined : listing.record;
  const resources = (amount: NonNullable<typeof status>['free']) =>
    amount && t('{0} CPU, {1} GB, {2} GPU', amount.cpu.toFixed(1), amount.memoryInGB.toFixed(1), amount.gpu);
  return facts(listing.name, [
    [t('Address'), record?.server],
    [t('Namespace'), record?.namespace],
    [t('Kubernetes'), status?.kubernetesVersion],
    [t('Nodes'), status?.nodes && t('{0} of {1} ready', status.nodes.ready, status.nodes.total)],
    [t('Capacity'), resources(status?.capacity)],
    [t('Free'), resources(status?.free)],
    [t('Controller'), component(status?.controller)],
    [t('Front end'), component(status?.frontEnd)],
    [t('Error'), status?.error && [status.error.message, status.error.remedy].filter(Boolean).join(' ')],
  ]);
}

function component(
  health:
    | { readonly state: string; readonly readyReplicas: number; readonly replicas: number; readonly message?: string }
    | undefined,
): string | undefined {
  return health && `${health.state}, ${health.readyReplicas}/${health.replicas} ${health.message ?? ''}`.trim();
}

function modelTooltip({ model, workspace }: Extract<TreeNode, { kind: 'model' }>, t: Translate): string {
  return facts(model.id, [
    [t('Framework'), frameworkOf(model)],
    [t('Description'), model.description],
    [t('Content'), contentOf(model, t)],
    [t('Tags'), labels(model.tags)],
    [t('Properties'), labels(model.properties)],
    [t('Created'), `${localTime(model.createdTime)} ${model.createdBy}`],
    [t('Used by'), endpointsWith(workspace, (version) => version.models.includes(model.id)).join(', ')],
  ]);
}

function contentOf({ basename, isFolder, size, fileCount }: Model, t: Translate): string {
  const files = fileCount === 1 ? t('1 file') : t('{0} files', fileCount);
  return [basename, formatBytes(size), ...(isFolder ? [files] : [])].join(', ');
}

function endpointTooltip({ endpoint, target }: Extract<TreeNode, { kind: 'endpoint' }>, t: Translate): string {
  const { metadata, spec, status } = endpoint;
  return `${facts(metadata.name, [
    [t('State'), status?.state],
    [t('Scoring URI'), status?.scoringUri],
    [t('Compute target'), target],
    [t('Authentication'), spec.auth],
    [t('Description'), spec.description],
    [t('Tags'), labels(spec.tags)],
    [t('Versions'), spec.versions.map(({ name }) => name).join(', ')],
    [t('Created'), metadata.creationTimestamp && localTime(metadata.creationTimestamp)],
  ])}${causeText(status?.error)}`;
}

function versionTooltip({ version, status }: Extract<TreeNode, { kind: 'version' }>, t: Translate): string {
  const { scale, resources, environment } = version;
  return `${facts(version.name, [
    [t('State'), status?.state],
    [t('Models'), version.models.join(', ')],
    [
      t('Environment'),
      [environment.name, environment.version].filter(Boolean).join(':') || environment.hash.slice(0, 19),
    ],
    [
      t('Replicas'),
      scale.kind === 'fixed'
        ? scale.replicas
        : t('{0} to {1} at {2} % utilization', scale.minReplicas, scale.maxReplicas, scale.targetUtilization),
    ],
    [t('Resources'), t('{0} CPU, {1} GB, {2} GPU', resources.cpu, resources.memoryInGB, resources.gpu)],
    [t('Requests at once'), t('{0} in each replica', version.maxConcurrentRequestsPerContainer)],
    [t('Revision'), version.revisionNumber],
    [t('Updated'), localTime(version.updatedTime)],
  ])}${causeText(status?.error)}`;
}

function environmentTooltip({ environment }: Extract<TreeNode, { kind: 'environment' }>, t: Translate): string {
  const { name, version, definition, createdTime } = environment;
  const conda = definition.python.condaDependencies;
  return facts(`${name}:${version}`, [
    [t('Base image'), definition.docker.baseImage],
    [t('Packages'), conda && [...conda.dependencies, ...conda.pip].join(', ')],
    [t('Variables'), Object.keys(definition.environmentVariables).join(', ')],
    [t('Created'), localTime(createdTime)],
  ]);
}

function causeText(cause: Cause | undefined): string {
  if (cause === undefined) return '';
  const tail = cause.logTail?.slice(-12).join('\n');
  return [
    '',
    `**${escaped(cause.code)}** ${escaped(cause.message)}`,
    ...(cause.remedy === undefined ? [] : [escaped(cause.remedy)]),
    ...(tail === undefined || tail === '' ? [] : [`${FENCE}\n${tail.replaceAll(FENCE, '')}\n${FENCE}`]),
  ].join('\n\n');
}

const FENCE = '```';

function facts(title: string, rows: readonly Fact[]): string {
  const lines = rows
    .filter(([, value]) => value !== undefined && value !== '')
    // VS Code leaves no room between the cells of a table.
    .map(([name, value]) => `| ${escaped(name)}&nbsp;&nbsp; | ${escaped(`${value}`)} |`);
  return [`**${escaped(title)}**`, '', '| | |', '|---|---|', ...lines, ''].join('\n');
}

/** Text of others must not become links, images or a table of its own. */
function escaped(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+\-.!|<>~]/g, '\\$&').replace(/\r?\n/g, ' ');
}

function labels(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');
}

function localTime(iso: string): string {
  const time = new Date(iso);
  return Number.isNaN(time.getTime()) ? iso : time.toLocaleString();
}
