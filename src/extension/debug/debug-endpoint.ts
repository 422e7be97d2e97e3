import { once } from 'node:events';
import { createServer } from 'node:net';
import * as vscode from 'vscode';
import type { Endpoint } from '../../contract/endpoint.ts';
import type { ParamsOf } from '../../contract/engine-api.ts';
import type { ProgressEvent } from '../../contract/event.ts';
import { firstFree, serviceNameFrom } from '../../contract/names.ts';
import type { AksmlWindow, CommandTarget } from '../aksml-window.ts';
import { configurationKind } from '../languages/documents.ts';
import { runOperation } from '../operation.ts';
import { type FolderScope, scopeFor } from '../scopes.ts';

const DEBUGGER = 'ms-python.debugpy';
const TARGET = 'local';

/**
 * Runs a service on this machine under debugpy and attaches the user's Python debugger to it. The service is there for the debugging alone: it
 * is deleted when the session ends.
 */
export async function debugEndpoint(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const scope = scopeFor(on.uri);
  if (scope === undefined) {
    await vscode.window.showInformationMessage(vscode.l10n.t('Open the folder of the project first.'));
    return;
  }
  if (!(await hasDebugger())) return;
  const configuration = await chooseConfiguration(scope, on.uri);
  if (configuration === undefined) return;
  const models = await chooseModels(window, scope);
  if (models === undefined) return;
  const port = await freePort();
  const name = await freeName(window, scope);
  const waiting = Promise.withResolvers<void>();
  const deploying = runOperation(
    window,
    vscode.l10n.t('Starting {0} under the debugger', name),
    'deployment.deploy',
    { ...scope.scope, target: TARGET, name, models, ...configuration, debugPort: port },
    (event) => {
      if (isWaiting(event, port)) waiting.resolve();
    },
  );
  const ended = sessionEnd(name);
  try {
    await Promise.race([waiting.promise, deploying]);
    await attach(scope.folder, name, port);
    await offerTest(await deploying);
    await ended.promise;
  } finally {
    ended.dispose();
    await window.engine.request('endpoint.delete', { ...scope.scope, target: TARGET, name }).catch(() => undefined);
  }
}

/** As `runtime/python/debugging.py` prints it. */
function isWaiting(event: ProgressEvent, port: number): boolean {
  return event.type === 'log' && event.line.endsWith(`Waiting for a debugger at port ${port}`);
}

async function hasDebugger(): Promise<boolean> {
  if (vscode.extensions.getExtension(DEBUGGER)) return true;
  const install = vscode.l10n.t('Install Python Debugger');
  const answer = await vscode.window.showInformationMessage(
    vscode.l10n.t('Debugging a scoring script needs the Python Debugger extension.'),
    install,
  );
  if (answer !== install) return false;
  await vscode.commands.executeCommand('workbench.extensions.installExtension', DEBUGGER);
  return vscode.extensions.getExtension(DEBUGGER) !== undefined;
}

type Configuration = Pick<ParamsOf<'deployment.deploy'>, 'inferenceConfigFile' | 'deploymentConfigFile'>;

async function chooseConfiguration(
  { folder }: FolderScope,
  uri: vscode.Uri | undefined,
): Promise<Configuration | undefined> {
  const named = uri && configurationKind(uri.path) === 'inferenceconfig' ? uri : undefined;
  const inference = named ?? (await chooseInference(folder));
  return inference === undefined ? undefined : { inferenceConfigFile: inference.fsPath };
}

async function chooseInference(folder: vscode.WorkspaceFolder): Promise<vscode.Uri | undefined> {
  const pattern = new vscode.RelativePattern(folder, '**/*{json,yml,yaml}');
  const files = await vscode.workspace.findFiles(pattern, '**/{node_modules,.git,.venv}/**');
  const found = files.filter((file) => configurationKind(file.path) === 'inferenceconfig');
  if (found.length <= 1) {
    if (found.length === 0) {
      void vscode.window.showInformationMessage(
        vscode.l10n.t(
          'There is no inferenceconfig.json in this folder. Right-click a model and deploy it to make one.',
        ),
      );
    }
    return found[0];
  }
  const items = found.map((uri) => ({ label: vscode.workspace.asRelativePath(uri), uri }));
  const title = vscode.l10n.t('Inference configuration to debug');
  return (await vscode.window.showQuickPick(items, { title }))?.uri;
}

async function chooseModels({ engine }: AksmlWindow, { scope }: FolderScope): Promise<string[] | undefined> {
  const models = await engine.request('model.list', { ...scope, latest: true });
  if (models.length === 0) return [];
  const picked = models.length === 1;
  const items = models.map(({ id, framework }) => ({ label: id, description: framework, picked }));
  const title = vscode.l10n.t('Models that the script loads');
  const chosen = await vscode.window.showQuickPick(items, { title, canPickMany: true });
  return chosen?.map(({ label }) => label);
}

async function freeName({ engine }: AksmlWindow, { scope, folder }: FolderScope): Promise<string> {
  const endpoints = await engine.request('endpoint.list', { ...scope, target: TARGET });
  const taken = new Set(endpoints.map(({ metadata }) => metadata.name));
  return firstFree(`${serviceNameFrom(folder.name, ROOM_FOR_SUFFIX) || 'service'}-debug`, taken);
}

/** `-debug` and a number. */
const ROOM_FOR_SUFFIX = 12;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address ? address.port : 0;
}

async function attach(folder: vscode.WorkspaceFolder, name: string, port: number): Promise<void> {
  await vscode.debug.startDebugging(folder, {
    type: 'debugpy',
    request: 'attach',
    name,
    connect: { host: '127.0.0.1', port },
    justMyCode: true,
  });
}

function sessionEnd(name: string): { readonly promise: Promise<void>; readonly dispose: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const listener = vscode.debug.onDidTerminateDebugSession((session) => {
    if (session.name === name && session.parentSession === undefined) resolve();
  });
  return { promise, dispose: () => listener.dispose() };
}

async function offerTest({ metadata, status }: Endpoint): Promise<void> {
  const test = vscode.l10n.t('Send a Request');
  const message = vscode.l10n.t('{0} runs under the debugger at {1}', metadata.name, status?.scoringUri ?? '');
  void vscode.window.showInformationMessage(message, test).then((answer) => {
    if (answer === test) void vscode.commands.executeCommand('aksml.endpoint.test', metadata.name);
  });
}
