import * as vscode from 'vscode';
import type { VersionSpec } from '../../contract/endpoint.ts';
import type { ParamsOf } from '../../contract/engine-api.ts';
import type { AksmlWindow, CommandTarget } from '../aksml-window.ts';
import { runOperation } from '../operation.ts';
import { showError } from '../show-error.ts';
import type { NodeOf } from '../tree/nodes.ts';
import { confirm, type EndpointNode, endpointOf, given, scopeOfEndpoint, selected } from './pick.ts';
import { forgetDeleted, unrestorableIn, withoutUndo } from './undo.ts';

const t = vscode.l10n.t;

/** The deploy form, with the endpoint given and the version's name to be chosen. */
export async function createVersion(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const node = await endpointOf(window, on, ({ endpoint }) => endpoint.spec.form === 'endpoint');
  await vscode.commands.executeCommand('aksml.endpoint.deploy', node.id, { newVersion: true });
}

export async function scaleVersion(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const node = await endpointOf(window, on);
  const version = on.node?.kind === 'version' ? on.node.version : await chooseVersion(node.endpoint.spec.versions);
  const title = t('Scale {0}', version.name);
  const scale = parseScale(
    given(
      await vscode.window.showInputBox({
        title,
        prompt: t('Replicas: a number such as 3, or a range such as 1-10 that follows the load'),
        value: scaleText(version),
        validateInput: (text) =>
          parseScale(text) === undefined ? t('Give a number of replicas, or a range such as 1-10.') : undefined,
      }),
    ),
  );
  await runOperation(window, title, 'version.scale', {
    ...scopeOfEndpoint(node),
    versionName: version.name,
    scale: given(scale),
  });
}

/** The version that a command is about: that of its node, else a chosen one that is not the default. */
async function otherVersionOf(window: AksmlWindow, on: CommandTarget): Promise<NodeOf<'version'>> {
  const [own] = selected(on, 'version');
  if (own) return own;
  const others = ({ endpoint }: EndpointNode) => endpoint.spec.versions.filter(({ isDefault }) => !isDefault);
  const node = await endpointOf(window, on, (endpoint) => others(endpoint).length > 0);
  const version = await chooseVersion(others(node));
  const status = node.endpoint.status?.versions.find(({ name }) => name === version.name);
  return { ...node, kind: 'version', version, status };
}

async function chooseVersion(versions: readonly VersionSpec[]): Promise<VersionSpec> {
  const [only] = versions;
  if (versions.length === 1 && only) return only;
  const items = versions.map((version) => ({ label: version.name, version }));
  return given(await vscode.window.showQuickPick(items, { title: t('Version') })).version;
}

function scaleText({ scale }: VersionSpec): string {
  return scale.kind === 'fixed' ? `${scale.replicas}` : `${scale.minReplicas}-${scale.maxReplicas}`;
}

/** `3` or `1-10` */
export function parseScale(text: string): ParamsOf<'version.scale'>['scale'] | undefined {
  const match = /^\s*(\d{1,4})(?:\s*-\s*(\d{1,4}))?\s*$/.exec(text);
  if (match?.[1] === undefined) return undefined;
  const [, first, second] = match;
  if (second === undefined) return { kind: 'fixed', replicas: Number(first) };
  const [minReplicas, maxReplicas] = [Number(first), Number(second)];
  return minReplicas <= maxReplicas ? { kind: 'auto', minReplicas, maxReplicas } : undefined;
}

export async function makeDefault(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const { version, endpoint, workspace, target } = await otherVersionOf(window, on);
  const { name } = endpoint.metadata;
  await confirm(
    t('Make {0} the default version of {1}?', version.name, name),
    t('It takes all traffic that no other version is given.'),
    t('Make Default'),
  );
  const scope = { ...workspace.scope, target, name };
  await window.engine.request('traffic.set', { ...scope, percentiles: {}, defaultVersion: version.name });
}

export async function deleteVersion(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const { version, endpoint, workspace, target, status } = await otherVersionOf(window, on);
  const { name } = endpoint.metadata;
  const scope = { ...workspace.scope, target };
  const versionName = version.name;
  const unrestorable = await unrestorableIn(window, { ...scope, name, versionName });
  await confirm(
    t('Delete the version {0} of {1}?', version.name, name),
    [
      t('Its {0} % of the traffic go to the default version. Its history stays.', status?.effectiveTraffic ?? 0),
      ...withoutUndo(unrestorable),
    ].join('\n\n'),
    t('Delete'),
  );
  await runOperation(window, t('Deleting {0}', versionName), 'version.delete', { ...scope, name, versionName });
  void offerUndo(window, { ...scope, before: endpoint, versionName });
}

async function offerUndo(window: AksmlWindow, params: ParamsOf<'version.restore'>): Promise<void> {
  const undo = t('Undo');
  const { before, versionName } = params;
  const message = t('Deleted: {0} of {1}.', versionName, before.metadata.name);
  if ((await vscode.window.showInformationMessage(message, undo)) === undo) {
    await runOperation(window, t('Restoring {0}', versionName), 'version.restore', params).catch((error: unknown) =>
      showError(window, error),
    );
  }
  forgetDeleted(window, { endpoint: before, versionName });
}
