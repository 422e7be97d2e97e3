import * as vscode from 'vscode';
import type { EndpointScope } from '../../contract/engine-api.ts';
import { AksmlError } from '../../contract/error.ts';
import type { AksmlWindow, CommandTarget } from '../aksml-window.ts';
import { type FolderScope, scopeFor } from '../scopes.ts';
import { endpointNodeId, type NodeOf, type TreeNode } from '../tree/nodes.ts';

const t = vscode.l10n.t;

export type EndpointNode = NodeOf<'endpoint'>;

/** The endpoint that a command is about: that of its node, else a chosen one of those that it is for. @throws AksmlError `cancelled` */
export async function endpointOf(
  window: AksmlWindow,
  { node }: CommandTarget,
  isFor: (endpoint: EndpointNode) => boolean = () => true,
): Promise<EndpointNode> {
  const own = node && 'endpoint' in node ? endpointAbove(window, node) : undefined;
  if (own) return own;
  const all = await allEndpoints(window);
  const meant = all.filter(isFor);
  if (meant.length === 0) throw noEndpoint(all.length > 0);
  const chosen = await vscode.window.showQuickPick(
    meant.map((endpoint) => ({
      label: endpoint.endpoint.metadata.name,
      description: [endpoint.endpoint.status?.state, endpoint.target].join(' · '),
      endpoint,
    })),
    { title: t('Endpoint'), placeHolder: t('Choose an endpoint') },
  );
  return given(chosen).endpoint;
}

function noEndpoint(thereAreOthers: boolean): AksmlError {
  return thereAreOthers
    ? new AksmlError('endpoint.noneOfKind', t('There is no endpoint that this applies to.'), { fault: 'input' })
    : new AksmlError('endpoint.none', t('There are no endpoints.'), {
        fault: 'input',
        remedy: t('Deploy a model first.'),
      });
}

function endpointAbove(
  { tree }: AksmlWindow,
  node: Extract<TreeNode, { endpoint: unknown }>,
): EndpointNode | undefined {
  const found = tree.node(endpointNodeId(node.workspace.key, node.target, node.endpoint.metadata.name));
  return found?.kind === 'endpoint' ? found : undefined;
}

export async function allEndpoints({ tree }: AksmlWindow): Promise<readonly EndpointNode[]> {
  const { workspaces } = await tree.settled();
  return workspaces.flatMap(({ key, endpoints }) =>
    [...endpoints].flatMap(([target, { byName }]) =>
      [...byName.keys()].flatMap((name) => {
        const node = tree.node(endpointNodeId(key, target, name));
        return node?.kind === 'endpoint' ? [node] : [];
      }),
    ),
  );
}

export function scopeOfEndpoint({ workspace, target, endpoint }: EndpointNode): EndpointScope {
  return { ...workspace.scope, target, name: endpoint.metadata.name };
}

/** Of all selected nodes, those of a kind. */
export function selected<K extends TreeNode['kind']>({ nodes }: CommandTarget, kind: K): readonly NodeOf<K>[] {
  return nodes.filter((node): node is NodeOf<K> => node.kind === kind);
}

/** The only node of a kind that a command is about. @throws AksmlError `cancelled` */
export function nodeOfKind<K extends TreeNode['kind']>(on: CommandTarget, kind: K): NodeOf<K> {
  return given(selected(on, kind)[0]);
}

/** What a person chose or typed. @throws AksmlError `cancelled` when they left */
export function given<T>(chosen: T | undefined): T {
  if (chosen === undefined) throw AksmlError.cancelled(t('The command'));
  return chosen;
}

/** Asks before something is destroyed. @throws AksmlError `cancelled` */
export async function confirm(question: string, detail: string, yes: string): Promise<void> {
  const answer = await vscode.window.showWarningMessage(question, { modal: true, detail }, yes);
  if (answer !== yes) throw AksmlError.cancelled(t('The command'));
}

/** The folder that a command is about. @throws AksmlError `folder.none` */
export function folderOf({ node, uri }: CommandTarget): FolderScope {
  const folder = node ? vscode.Uri.file(node.workspace.scope.folder) : uri;
  const scope = scopeFor(folder);
  if (scope) return scope;
  throw new AksmlError('folder.none', t('No folder is open.'), {
    fault: 'input',
    remedy: t('Open the folder of your project first.'),
  });
}

export async function chooseFolder(title: string, start: vscode.Uri | undefined): Promise<string> {
  const chosen = await vscode.window.showOpenDialog({
    title,
    canSelectFiles: false,
    canSelectFolders: true,
    openLabel: t('Choose'),
    ...(start === undefined ? {} : { defaultUri: start }),
  });
  return given(chosen?.[0]).fsPath;
}

/** `key=value` pairs, as people type them. */
export function parseLabels(text: string): Readonly<Record<string, string>> {
  const pairs = text
    .split(',')
    .map((pair) => pair.trim())
    .filter(Boolean)
    .map((pair) => pair.split('='));
  return Object.fromEntries(pairs.map(([key = '', ...value]) => [key.trim(), value.join('=').trim()]));
}

export async function askLabels(title: string, present: Readonly<Record<string, string>>) {
  const text = await vscode.window.showInputBox({
    title,
    prompt: t('Tags: key=value, separated by commas'),
    value: Object.entries(present)
      .map(([key, value]) => `${key}=${value}`)
      .join(', '),
  });
  const wanted = parseLabels(given(text));
  return { addTags: wanted, removeTags: Object.keys(present).filter((key) => !(key in wanted)) };
}
