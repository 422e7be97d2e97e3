import * as vscode from 'vscode';
import type { AksmlWindow, CommandHandler, CommandTarget } from './aksml-window.ts';
import { HANDLERS } from './commands/handlers.ts';
import { EngineClient } from './engine-client.ts';
import { registerForms } from './forms/register-forms.ts';
import type { RevisionFiles } from './revisions/revision-files.ts';
import { folderScopes } from './scopes.ts';
import { showError } from './show-error.ts';
import { ShownDocuments } from './shown-documents.ts';
import { openStatusBar } from './status-bar.ts';
import { ModelDrop } from './tree/model-drop.ts';
import { TreeView } from './tree/tree-view.ts';

/** Little is done here: what a window does not use is neither loaded nor started. */
export function activate(context: vscode.ExtensionContext): void {
  const window = openWindow(context);
  for (const [id, load] of Object.entries(HANDLERS)) {
    context.subscriptions.push(vscode.commands.registerCommand(id, (...args) => run(window, load, args)));
  }
  context.subscriptions.push(
    vscode.workspace.onDidChangeWorkspaceFolders(() => window.tree.follow()),
    vscode.workspace.onDidGrantWorkspaceTrust(() => window.tree.follow()),
    vscode.workspace.onDidChangeConfiguration((event) => settingsChanged(window, event)),
    workspaceFileWatcher(window),
    openStatusBar(window),
  );
  registerFileSystems(window);
  registerForms(window);
  setImmediate(() => {
    registerProviders(window).catch((error: unknown) => window.output.error(String(error)));
  });
}

/** What waits for files to be opened, asked about or run; after the window has gone on. */
async function registerProviders(window: AksmlWindow): Promise<void> {
  const [{ registerLanguages }, { ModelFiles }, { DeployTasks, TASK_TYPE }, { registerLanguageModelTools }] =
    await Promise.all([
      import('./languages/languages.ts'),
      import('./models/model-files.ts'),
      import('./tasks/deploy-task.ts'),
      import('./agent/language-model-tools.ts'),
    ]);
  window.context.subscriptions.push(
    registerLanguages(window.engine),
    new ModelFiles(window.engine),
    vscode.tasks.registerTaskProvider(TASK_TYPE, new DeployTasks(window)),
    registerLanguageModelTools(window.engine, languageModelTools(window)),
  );
}

/** By the names that `package.json` describes them under. */
function languageModelTools({ context }: AksmlWindow): readonly string[] {
  const { contributes } = context.extension.packageJSON as {
    readonly contributes: { readonly languageModelTools?: readonly { readonly name: string }[] };
  };
  return (contributes.languageModelTools ?? []).map(({ name }) => name);
}

function openWindow(context: vscode.ExtensionContext): AksmlWindow {
  const output = vscode.window.createOutputChannel('AKS ML', { log: true });
  const engine = new EngineClient({
    t: vscode.l10n.t,
    spawn: async () => (await import('./engine-process.ts')).spawnEngine(context.extensionPath),
    log: (line) => output.warn(line),
    ask: async (question) => (await import('./question.ts')).ask(question),
    onState: (state) => {
      if (state.kind === 'ready') output.info(`The engine ${state.ready.version} runs as process ${state.ready.pid}.`);
    },
  });
  const drop = new ModelDrop(() => window);
  const tree = new TreeView(engine, folderScopes, drop);
  const documents = new ShownDocuments();
  let logs: ReturnType<AksmlWindow['logs']> | undefined;
  const window: AksmlWindow = {
    context,
    engine,
    output,
    tree,
    documents,
    logs: () => {
      logs ??= import('./logs/log-sessions.ts').then(({ LogSessions }) => new LogSessions(window));
      return logs;
    },
  };
  context.subscriptions.push(output, tree, documents.register(), { dispose: () => engine.dispose() });
  return window;
}

/** Tells every failure of a command in one way. */
async function run(
  window: AksmlWindow,
  load: () => Promise<CommandHandler>,
  args: readonly unknown[],
): Promise<unknown> {
  try {
    const handler = await load();
    return await handler(window, targetOf(window, args));
  } catch (error) {
    await showError(window, error);
    return undefined;
  }
}

/** VS Code gives a menu's command the element it was called on, and all that are selected. */
function targetOf({ tree }: AksmlWindow, args: readonly unknown[]): CommandTarget {
  const [first, selected] = args;
  const all = Array.isArray(selected) ? [first, ...selected.filter((other) => other !== first)] : [first];
  const nodes = all.flatMap((item) => (typeof item === 'string' ? (tree.node(item) ?? []) : []));
  const uris = all.filter((item) => item instanceof vscode.Uri);
  return { node: nodes[0], nodes, uri: uris[0], uris, arguments: args };
}

function settingsChanged({ engine, tree }: AksmlWindow, event: vscode.ConfigurationChangeEvent): void {
  const ofProcess = ['aksml.home', 'aksml.kubeconfig', 'aksml.python'];
  if (ofProcess.some((setting) => event.affectsConfiguration(setting))) void engine.restart();
  if (event.affectsConfiguration('aksml.workspace')) tree.follow();
}

/** The file that names the workspace. */
function workspaceFileWatcher({ tree }: AksmlWindow): vscode.Disposable {
  const watcher = vscode.workspace.createFileSystemWatcher('**/{.azureml,aml_config}/{config,project}.json');
  const refresh = () => tree.refresh();
  watcher.onDidChange(refresh);
  watcher.onDidCreate(refresh);
  watcher.onDidDelete(refresh);
  return watcher;
}

function registerFileSystems(window: AksmlWindow): void {
  let opened: Promise<RevisionFiles> | undefined;
  const open = () => {
    opened ??= import('./revisions/revision-files.ts').then((module) => new module.RevisionFiles(window.engine));
    return opened;
  };
  const changed = new vscode.EventEmitter<vscode.FileChangeEvent[]>();
  const refuse = () => {
    throw vscode.FileSystemError.NoPermissions();
  };
  window.context.subscriptions.push(
    vscode.workspace.registerFileSystemProvider(
      'aksml-revision',
      {
        onDidChangeFile: changed.event,
        watch: () => ({ dispose: () => undefined }),
        stat: async (uri) => (await open()).stat(uri),
        readDirectory: async (uri) => (await open()).readDirectory(uri),
        readFile: async (uri) => (await open()).readFile(uri),
        createDirectory: refuse,
        writeFile: refuse,
        delete: refuse,
        rename: refuse,
      },
      { isReadonly: true, isCaseSensitive: true },
    ),
  );
}
