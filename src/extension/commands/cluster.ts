import * as vscode from 'vscode';
import type { AksmlWindow, CommandTarget } from '../aksml-window.ts';
import { busily, runOperation } from '../operation.ts';
import { formatBytes } from '../tree/present.ts';
import { confirm, folderOf, given, nodeOfKind } from './pick.ts';

const t = vscode.l10n.t;

/** The engine asks before it does anything. */
export async function detachCluster(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const { workspaces } = await window.tree.settled();
  const clusters = workspaces.flatMap((workspace) =>
    (workspace.targets.value ?? [])
      .filter(({ listing }) => listing.kind !== 'local')
      .map(({ listing }) => ({ label: listing.name, description: workspace.view?.name ?? '', workspace })),
  );
  const node = on.node?.kind === 'target' ? on.node : undefined;
  const { label, workspace } = node
    ? { label: node.target.listing.name, workspace: node.workspace }
    : given(await vscode.window.showQuickPick(clusters, { title: t('Detach Cluster') }));
  const { left } = await runOperation(window, t('Detaching {0}', label), 'target.detach', {
    ...workspace.scope,
    target: label,
  });
  if (left.length > 0) {
    void vscode.window.showInformationMessage(
      t('The namespace aksml-system stays, because there is more in it: {0}', left.join(', ')),
    );
  }
}

export async function openPortal(_: AksmlWindow, on: CommandTarget): Promise<void> {
  const { portal } = nodeOfKind(on, 'target').target.status ?? {};
  if (portal !== undefined) await vscode.env.openExternal(vscode.Uri.parse(portal, true));
}

export async function useTarget(_: AksmlWindow, on: CommandTarget): Promise<void> {
  const { target } = nodeOfKind(on, 'target');
  const { folder } = folderOf(on);
  const settings = vscode.workspace.getConfiguration('aksml', folder.uri);
  await settings.update('target', target.listing.name, vscode.ConfigurationTarget.WorkspaceFolder);
}

export async function startLocal({ engine }: AksmlWindow): Promise<void> {
  await busily(t('Starting what is deployed on this machine…'), () => engine.request('local.start', {}));
}

export async function stopLocal({ engine }: AksmlWindow): Promise<void> {
  const { endpoints } = await engine.request('local.status', {});
  await confirm(
    t('Stop what is deployed on this machine?'),
    endpoints.length === 0
      ? t('Nothing is deployed.')
      : t('{0} will not answer until it is started again. Nothing is lost.', endpoints.join(', ')),
    t('Stop'),
  );
  await busily(t('Stopping what is deployed on this machine…'), () => engine.request('local.stop', {}));
}

export async function showLocalLog({ engine }: AksmlWindow): Promise<void> {
  const { logFile } = await engine.request('local.status', {});
  const document = await vscode.workspace.openTextDocument(vscode.Uri.file(logFile));
  await vscode.window.showTextDocument(await vscode.languages.setTextDocumentLanguage(document, 'log'));
}

/** Says what would go before it does. */
export async function collectGarbage({ engine }: AksmlWindow): Promise<void> {
  const plan = await busily(t('Looking for what nothing needs…'), () =>
    engine.request('garbage.collect', { dryRun: true }),
  );
  if (plan.bytes === 0) {
    void vscode.window.showInformationMessage(t('There is nothing to remove.'));
    return;
  }
  const places = plan.freed.filter(({ count }) => count > 0);
  await confirm(
    t('Remove {0} that nothing needs?', formatBytes(plan.bytes)),
    places.map(({ place, count, bytes }) => `${place}: ${count}, ${formatBytes(bytes)}`).join('\n'),
    t('Remove'),
  );
  const { bytes } = await busily(t('Freeing space…'), () => engine.request('garbage.collect', {}));
  void vscode.window.showInformationMessage(t('{0} are free again.', formatBytes(bytes)));
}
