import { homedir } from 'node:os';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { ParamsOf, TargetScope, TargetView } from '../../contract/engine-api.ts';
import { AksmlError } from '../../contract/error.ts';
import type { AksmlWindow, CommandTarget } from '../aksml-window.ts';
import { busily, runOperation } from '../operation.ts';
import { formatBytes } from '../tree/present.ts';
import { confirm, folderOf, given } from './pick.ts';

const t = vscode.l10n.t;

export interface Cluster {
  readonly scope: TargetScope;
  readonly view: TargetView;
}

/** The cluster that a command is about: that of its node, else a chosen one. @throws AksmlError `computeTarget.none` | `cancelled` */
export function clusterOf(window: AksmlWindow, on: CommandTarget, title: string): Promise<Cluster> {
  return targetOf(window, on, title, ({ listing }) => listing.kind !== 'local');
}

async function targetOf(
  window: AksmlWindow,
  { node }: CommandTarget,
  title: string,
  isFor: (target: TargetView) => boolean,
): Promise<Cluster> {
  if (node?.kind === 'target') {
    const { workspace, target } = node;
    return { scope: { ...workspace.scope, target: target.listing.name }, view: target };
  }
  const { workspaces } = await window.tree.settled();
  const clusters = workspaces.flatMap(({ targets, view, scope }) =>
    (targets.value ?? []).filter(isFor).map((cluster) => ({
      label: cluster.listing.name,
      description: view?.name ?? '',
      cluster: { scope: { ...scope, target: cluster.listing.name }, view: cluster },
    })),
  );
  if (clusters.length === 0) {
    throw new AksmlError('computeTarget.none', t('No cluster is attached.'), {
      fault: 'input',
      remedy: t('Attach one first.'),
    });
  }
  return given(await vscode.window.showQuickPick(clusters, { title })).cluster;
}

/** The engine asks before it does anything. */
export async function detachCluster(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const { scope } = await clusterOf(window, on, t('Detach Cluster'));
  const { left } = await runOperation(window, t('Detaching {0}', scope.target), 'target.detach', scope);
  if (left.length > 0) {
    void vscode.window.showInformationMessage(
      t('The namespace aksml-system stays, because there is more in it: {0}', left.join(', ')),
    );
  }
}

type TlsChange = NonNullable<ParamsOf<'target.update'>['tls']>;

/** How requests reach a cluster by HTTPS: with a certificate of one's own, or one that is got and renewed by itself. */
export async function changeHttps(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const { scope } = await clusterOf(window, on, t('HTTPS'));
  const title = t('HTTPS of {0}', scope.target);
  const ways = [
    { label: t('Own certificate…'), description: t('a PEM file and its key'), way: 'files' as const },
    { label: t('Certificate from Let’s Encrypt…'), description: t('renewed by itself'), way: 'auto' as const },
    {
      label: t('New certificate now'),
      description: t('before its time, from the same server'),
      way: 'renew' as const,
    },
    { label: t('No HTTPS'), description: t('keys and tokens are sent in plain text'), way: 'disable' as const },
  ];
  const { way } = given(await vscode.window.showQuickPick(ways, { title }));
  const tls = await tlsChange(way, title);
  if (way === 'disable') {
    await confirm(
      t('Turn HTTPS off for {0}?', scope.target),
      t('Callers that use HTTPS get no answer any more.'),
      t('Turn Off'),
    );
  }
  await runOperation(window, title, 'target.update', { ...scope, tls });
}

async function tlsChange(kind: TlsChange['kind'], title: string): Promise<TlsChange> {
  if (kind === 'renew' || kind === 'disable') return { kind };
  const names = given(
    await vscode.window.showInputBox({
      title,
      prompt: t('Host names that it is for, separated by commas'),
      placeHolder: 'score.example.com',
    }),
  );
  const hosts = names
    .split(',')
    .map((host) => host.trim())
    .filter(Boolean);
  if (kind === 'auto') return { kind, hosts };
  const certificateFile = await chooseFile(t('Certificate (PEM)'));
  return { kind, hosts, certificateFile, keyFile: await chooseFile(t('Private key (PEM)')) };
}

async function chooseFile(title: string): Promise<string> {
  return given((await vscode.window.showOpenDialog({ title, openLabel: t('Choose') }))?.[0]).fsPath;
}

/** For other tools, readable by nobody else. */
export async function saveKubeconfig(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const { scope } = await clusterOf(window, on, t('Save Kubeconfig'));
  const chosen = given(
    await vscode.window.showSaveDialog({
      title: t('Kubeconfig of {0}: it holds your credentials', scope.target),
      defaultUri: vscode.Uri.file(join(homedir(), '.kube', `${scope.target}.yaml`)),
    }),
  );
  await window.engine.request('target.saveCredentials', { ...scope, file: chosen.fsPath });
  void vscode.window.showInformationMessage(t('The kubeconfig is in {0}.', chosen.fsPath));
}

export async function openPortal(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const { view, scope } = await clusterOf(window, on, t('Open in Azure Portal'));
  const { portal } = view.status ?? {};
  if (portal === undefined) {
    throw new AksmlError('computeTarget.notAzure', t('The nodes of {0} are not in Azure.', scope.target), {
      fault: 'input',
    });
  }
  await vscode.env.openExternal(vscode.Uri.parse(portal, true));
}

/** What deploys of the folder go to, where nothing else is said. */
export async function useTarget(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const { scope } = await targetOf(window, on, t('Deploy to'), () => true);
  const { folder } = folderOf(on);
  const settings = vscode.workspace.getConfiguration('aksml', folder.uri);
  await settings.update('target', scope.target, vscode.ConfigurationTarget.WorkspaceFolder);
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
