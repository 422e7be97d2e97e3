import { dirname } from 'node:path';
import * as vscode from 'vscode';
import { AksmlError } from '../../contract/error.ts';
import type { AksmlWindow, CommandTarget } from '../aksml-window.ts';
import { busily } from '../operation.ts';
import { confirm, folderOf, given } from './pick.ts';

const t = vscode.l10n.t;

/** Writes a v2 deployment, with its endpoint, as configuration files of v1 beside it, and opens them. */
export async function importDeployment({ engine }: AksmlWindow, on: CommandTarget): Promise<void> {
  const deployment = on.uri ?? given(await chooseDeployment());
  const { folder } = folderOf({ ...on, uri: deployment });
  const endpoint = await chooseEndpoint(deployment);
  const request = {
    folder: folder.uri.fsPath,
    deploymentFile: deployment.fsPath,
    ...(endpoint === undefined ? {} : { endpointFile: endpoint }),
  };
  const write = (overwrite: boolean) =>
    busily(t('Importing {0}…', deployment.fsPath), () =>
      engine.request('configuration.import', { ...request, overwrite }),
    );
  const { files, problems } = await write(false).then(undefined, async (error: unknown) => {
    if (!AksmlError.is(error, 'file.exists')) throw error;
    await confirm(t('Replace the configuration files?'), error.message, t('Replace'));
    return write(true);
  });
  for (const file of files) await vscode.window.showTextDocument(vscode.Uri.file(file), { preview: false });
  for (const { message } of problems) void vscode.window.showWarningMessage(message);
}

async function chooseDeployment(): Promise<vscode.Uri | undefined> {
  return (
    await vscode.window.showOpenDialog({ title: t('Deployment of v2'), filters: { YAML: ['yml', 'yaml'] } })
  )?.[0];
}

/** Undefined where there is none, or the person wants none. */
async function chooseEndpoint(deployment: vscode.Uri): Promise<string | undefined> {
  const pattern = new vscode.RelativePattern(dirname(deployment.fsPath), '*endpoint*.{yml,yaml}');
  const found = (await vscode.workspace.findFiles(pattern)).map(({ fsPath }) => fsPath);
  if (found.length === 0) return undefined;
  const items = [
    ...found.map((file) => ({ label: vscode.workspace.asRelativePath(file), file })),
    { label: t('Without an endpoint file'), file: undefined },
  ];
  return given(await vscode.window.showQuickPick(items, { title: t('Endpoint that it belongs to') })).file;
}
