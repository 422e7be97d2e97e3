import { join } from 'node:path';
import * as vscode from 'vscode';
import { AksmlError } from '../../contract/error.ts';
import type { Problem } from '../../contract/problem.ts';
import {
  CONFIGURATION_FORM,
  type ConfigurationFile,
  type FileView,
  type Offers,
} from '../../contract/webview/configuration.ts';
import type { AksmlWindow } from '../aksml-window.ts';
import { configurationKind } from '../languages/documents.ts';
import { browse, folderOfFile } from './browse.ts';
import { contentOf, difference, editedText } from './configuration-text.ts';
import { connectForm, type OpenForm } from './form-panel.ts';

const JUDGING_PAUSE_MS = 200;

/** The form as an editor of the file: VS Code keeps the document, its undo, its dirty mark and its backup. */
export function fillConfigurationEditor(
  window: AksmlWindow,
  document: vscode.TextDocument,
  panel: vscode.WebviewPanel,
): void {
  const file = configurationKind(document.uri.path) ?? 'deploymentconfig';
  const kind = {
    form: 'configuration' as const,
    contract: CONFIGURATION_FORM,
    title: () => vscode.workspace.asRelativePath(document.uri),
    serve: (_: AksmlWindow, __: object, opened: OpenForm<typeof CONFIGURATION_FORM>) =>
      serve(window, file, document, opened),
  };
  const subscriptions = connectForm(window, kind, {}, panel);
  panel.onDidDispose(() => {
    for (const subscription of subscriptions) subscription.dispose();
  });
}

function serve(
  window: AksmlWindow,
  file: ConfigurationFile,
  document: vscode.TextDocument,
  { notify, subscriptions }: OpenForm<typeof CONFIGURATION_FORM>,
) {
  const folder = folderOfFile(document.uri);
  const judge = judgeLater(window, file, document, (problems) => notify('problems', { problems: [...problems] }));
  subscriptions.push(
    judge,
    vscode.workspace.onDidChangeTextDocument((event) => {
      if (event.document !== document || event.contentChanges.length === 0) return;
      notify('file', viewOf(file, document));
      judge.soon();
    }),
    vscode.workspace.onDidSaveTextDocument(() => judge.soon()),
  );
  return {
    open: async () => {
      judge.soon();
      void offersOf(window, folder).then((offers) => notify('offers', offers));
      return {
        file: viewOf(file, document),
        folder: vscode.workspace.getWorkspaceFolder(document.uri)?.name ?? folder,
        offers: { targets: [], environments: [] },
      };
    },
    edit: async ({ path, value }: { path: readonly string[]; value?: unknown }) => {
      await replaceText(document, editedText(document.getText(), path, value));
      return null;
    },
    browse: async ({ kind, path }: { kind: 'file' | 'folder'; path: readonly string[] }) =>
      browse(kind, folder, baseOf(document.getText(), folder, path)),
    openAsText: async () => {
      await vscode.commands.executeCommand('vscode.openWith', document.uri, 'default', vscode.ViewColumn.Beside);
      return null;
    },
    deploy: async () => {
      await vscode.commands.executeCommand('aksml.endpoint.deploy', document.uri);
      return null;
    },
  };
}

export function viewOf(file: ConfigurationFile, document: vscode.TextDocument): FileView {
  return { file, path: vscode.workspace.asRelativePath(document.uri, false), ...contentOf(document.getText()) };
}

/** One edit, of the one stretch that differs: one step to undo. */
async function replaceText(document: vscode.TextDocument, text: string): Promise<void> {
  const changed = difference(document.getText(), text);
  if (changed === undefined) return;
  const edit = new vscode.WorkspaceEdit();
  const range = new vscode.Range(document.positionAt(changed.start), document.positionAt(changed.end));
  edit.replace(document.uri, range, changed.text);
  if (!(await vscode.workspace.applyEdit(edit))) {
    throw new AksmlError('file.readOnly', vscode.l10n.t('{0} could not be changed.', document.fileName), {
      fault: 'input',
      remedy: vscode.l10n.t('See whether the file may be written.'),
    });
  }
}

/** What the file's paths start from: those of older keys from `sourceDirectory`, the others from the workspace folder. */
export function baseOf(text: string, folder: string, path: readonly string[]): string {
  const [key = ''] = path;
  if (key === 'sourceDirectory') return folder;
  const { sourceDirectory } = contentOf(text).values;
  return typeof sourceDirectory === 'string' && sourceDirectory !== '' ? join(folder, sourceDirectory) : folder;
}

interface Judge extends vscode.Disposable {
  soon(): void;
}

/** The engine's verdict on what is written, saved or not, once the typing pauses. */
function judgeLater(
  { engine }: Pick<AksmlWindow, 'engine'>,
  file: ConfigurationFile,
  document: vscode.TextDocument,
  tell: (problems: readonly Problem[]) => void,
): Judge {
  let timer: NodeJS.Timeout | undefined;
  let running: AbortController | undefined;
  const judge = async () => {
    running?.abort();
    const stop = new AbortController();
    running = stop;
    const { fsPath: path } = document.uri;
    const named = file === 'inferenceconfig' ? { inferenceConfigFile: path } : { deploymentConfigFile: path };
    const params = { folder: folderOfFile(document.uri), ...named, texts: { [path]: document.getText() } };
    const { problems } = await engine.request('configuration.validate', params, { signal: stop.signal });
    if (running === stop) tell(problems);
  };
  return {
    soon: () => {
      clearTimeout(timer);
      // The next change, or the next save, asks again.
      timer = setTimeout(() => void judge().catch(() => undefined), JUDGING_PAUSE_MS);
    },
    dispose: () => {
      clearTimeout(timer);
      running?.abort();
    },
  };
}

/** A target or registry that does not answer leaves its list empty. */
export async function offersOf({ engine }: Pick<AksmlWindow, 'engine'>, folder: string): Promise<Offers> {
  const [targets, environments] = await Promise.all([
    engine.request('target.list', { folder }).catch(() => []),
    engine.request('environment.list', { folder, latest: true }).catch(() => []),
  ]);
  return {
    targets: targets.map(({ listing }) => listing.name),
    environments: environments.map(({ name, version }) => ({ name, version })),
  };
}
