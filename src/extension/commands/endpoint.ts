import * as vscode from 'vscode';
import type { AuthMode } from '../../contract/endpoint.ts';
import type { AksmlWindow, CommandTarget } from '../aksml-window.ts';
import { busily, runOperation } from '../operation.ts';
import { showError } from '../show-error.ts';
import { askLabels, confirm, type EndpointNode, endpointOf, given, scopeOfEndpoint, selected } from './pick.ts';
import { forgetDeleted, unrestorableIn, withoutUndo } from './undo.ts';

const t = vscode.l10n.t;

export async function openSwagger(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const scope = scopeOfEndpoint(await endpointOf(window, on));
  const document = await window.engine.request('endpoint.swagger', scope);
  await window.documents.show(`${scope.name}.openapi.json`, 'json', `${JSON.stringify(document, undefined, 2)}\n`);
}

/** New code, models or settings: the deploy form knows what is there. */
export async function updateEndpoint(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const { id } = on.node ?? (await endpointOf(window, on));
  await vscode.commands.executeCommand('aksml.endpoint.deploy', id);
}

export async function editEndpoint(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const node = await endpointOf(window, on);
  const { name } = node.endpoint.metadata;
  const { spec } = node.endpoint;
  const title = t('Edit {0}', name);
  const description = given(
    await vscode.window.showInputBox({ title, prompt: t('Description'), value: spec.description ?? '' }),
  );
  const tags = await askLabels(title, spec.tags);
  await runOperation(window, title, 'endpoint.update', { ...scopeOfEndpoint(node), description, ...tags });
}

export async function changeAuthentication(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const node = await endpointOf(window, on, ({ endpoint }) => endpoint.spec.computeType === 'aks');
  const { name } = node.endpoint.metadata;
  const modes: readonly (vscode.QuickPickItem & { readonly mode: AuthMode })[] = [
    { label: t('Keys'), description: t('two keys that are regenerated one at a time'), mode: 'key' },
    { label: t('Tokens'), description: t('short-lived, made for each caller'), mode: 'token' },
    { label: t('None'), description: t('whoever reaches the address may score'), mode: 'none' },
  ];
  const { mode } = given(
    await vscode.window.showQuickPick(
      modes.map((item) => ({ ...item, picked: item.mode === node.endpoint.spec.auth })),
      { title: t('How callers of {0} are let in', name) },
    ),
  );
  if (mode === node.endpoint.spec.auth) return;
  await confirm(
    t('Change the authentication of {0}?', name),
    t('Callers that are let in by {0} now are refused from then on.', node.endpoint.spec.auth),
    t('Change'),
  );
  await runOperation(window, t('Changing the authentication of {0}', name), 'endpoint.update', {
    ...scopeOfEndpoint(node),
    authEnabled: mode === 'key',
    tokenAuthEnabled: mode === 'token',
  });
}

export async function regenerateKey(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const node = await endpointOf(window, on, ({ endpoint }) => endpoint.spec.auth === 'key');
  const { name } = node.endpoint.metadata;
  const { which } = given(
    await vscode.window.showQuickPick(
      [
        { label: t('Primary key'), which: 'primary' as const },
        { label: t('Secondary key'), which: 'secondary' as const },
      ],
      { title: t('Regenerate a key of {0}', name) },
    ),
  );
  const [lost, kept] = which === 'primary' ? [t('primary'), t('secondary')] : [t('secondary'), t('primary')];
  await confirm(
    t('Regenerate the {0} key of {1}?', lost, name),
    t('Callers that use the {0} key are refused at once. The {1} key stays valid.', lost, kept),
    t('Regenerate'),
  );
  const keys = await window.engine.request('key.regenerate', { ...scopeOfEndpoint(node), which });
  const copy = t('Copy Key');
  const answer = await vscode.window.showInformationMessage(t('The {0} key of {1} is replaced.', lost, name), copy);
  if (answer === copy) {
    await vscode.env.clipboard.writeText(which === 'primary' ? keys.primaryKey : keys.secondaryKey);
  }
}

export async function revokeTokens(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const node = await endpointOf(
    window,
    on,
    ({ endpoint, target }) => endpoint.spec.auth === 'token' && target !== 'local',
  );
  const { name } = node.endpoint.metadata;
  await confirm(
    t('Revoke all tokens of {0}?', name),
    t('Callers are refused until they have fetched new tokens.'),
    t('Revoke'),
  );
  await busily(t('Revoking the tokens of {0}…', name), () =>
    window.engine.request('token.revoke', scopeOfEndpoint(node)),
  );
  void vscode.window.showInformationMessage(t('All tokens of {0} are revoked.', name));
}

/** Their history stays, and a moment long they can be had back as they were. */
export async function deleteEndpoints(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const chosen = selected(on, 'endpoint');
  const nodes = chosen.length > 0 ? chosen : [await endpointOf(window, on)];
  const names = nodes.map(({ endpoint }) => endpoint.metadata.name);
  const plans = nodes.map((node) => unrestorableIn(window, scopeOfEndpoint(node)));
  const unrestorable = (await Promise.all(plans)).flat();
  await confirm(
    names.length === 1 ? t('Delete the endpoint {0}?', names[0] ?? '') : t('Delete {0} endpoints?', names.length),
    [
      t('Whoever calls {0} gets no answer any more. The history stays.', names.slice(0, 20).join(', ')),
      ...withoutUndo(unrestorable),
    ].join('\n\n'),
    t('Delete'),
  );
  const deleted: EndpointNode[] = [];
  await busily(t('Deleting {0}…', names.join(', ')), async () => {
    for (const node of nodes) {
      try {
        await window.engine.request('endpoint.delete', scopeOfEndpoint(node));
        deleted.push(node);
      } catch (error) {
        void showError(window, error);
      }
    }
  });
  if (deleted.length > 0) void offerUndo(window, deleted);
}

async function offerUndo(window: AksmlWindow, deleted: readonly EndpointNode[]): Promise<void> {
  const undo = t('Undo');
  const names = deleted.map(({ endpoint }) => endpoint.metadata.name).join(', ');
  const answer = await vscode.window.showInformationMessage(t('Deleted: {0}.', names), undo);
  for (const node of deleted) {
    if (answer === undo) await restore(window, node).catch((error: unknown) => showError(window, error));
    forgetDeleted(window, { endpoint: node.endpoint });
  }
}

async function restore(window: AksmlWindow, { workspace, target, endpoint }: EndpointNode): Promise<void> {
  const { newKeys } = await window.engine.request('endpoint.restore', { ...workspace.scope, target, endpoint });
  if (!newKeys) return;
  void vscode.window.showWarningMessage(
    t('{0} is back with new keys: its former ones are not known any more.', endpoint.metadata.name),
  );
}
