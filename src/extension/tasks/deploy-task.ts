import { posix } from 'node:path';
import * as vscode from 'vscode';
import type { ParamsOf } from '../../contract/engine-api.ts';
import { AksmlError } from '../../contract/error.ts';
import type { ProgressEvent } from '../../contract/event.ts';
import { serviceNameFrom } from '../../contract/names.ts';
import type { AksmlWindow } from '../aksml-window.ts';
import { configurationKind } from '../languages/documents.ts';
import { defaultTarget, scopeFor } from '../scopes.ts';
import { problemLine, taskLine } from './task-lines.ts';

export const TASK_TYPE = 'aksml';

/** As `tasks.json` has it; see the task definition in `package.json`. */
interface DeployDefinition extends vscode.TaskDefinition {
  readonly name: string;
  readonly models?: readonly string[];
  readonly inferenceConfig?: string;
  readonly deploymentConfig?: string;
  readonly target?: string;
}

/** Offers a deploy task for each inference configuration, with the deployment configuration beside it, and runs those that `tasks.json` defines. */
export class DeployTasks implements vscode.TaskProvider {
  readonly #window: AksmlWindow;

  constructor(window: AksmlWindow) {
    this.#window = window;
  }

  async provideTasks(): Promise<vscode.Task[]> {
    const found = await vscode.workspace.findFiles('**/*{json,yml,yaml}', '**/{node_modules,.git,.venv}/**', 2000);
    // Of several that could be meant, the one with the plainest name.
    const files = found.toSorted((a, b) => a.path.length - b.path.length || (a.path < b.path ? -1 : 1));
    return files.flatMap((uri) => {
      const folder = vscode.workspace.getWorkspaceFolder(uri);
      if (configurationKind(uri.path) !== 'inferenceconfig' || folder === undefined) return [];
      const deployment = files.find(
        ({ path }) => configurationKind(path) === 'deploymentconfig' && posix.dirname(path) === posix.dirname(uri.path),
      );
      const definition = {
        type: TASK_TYPE,
        name: serviceNameFrom(folder.name) || 'service',
        inferenceConfig: vscode.workspace.asRelativePath(uri, false),
        ...(deployment && { deploymentConfig: vscode.workspace.asRelativePath(deployment, false) }),
      };
      return [this.#task(definition, folder)];
    });
  }

  resolveTask(task: vscode.Task): vscode.Task | undefined {
    const { definition, scope } = task;
    if (typeof definition['name'] !== 'string' || typeof scope !== 'object') return undefined;
    return this.#task(definition as DeployDefinition, scope);
  }

  #task(definition: DeployDefinition, folder: vscode.WorkspaceFolder): vscode.Task {
    const execution = new vscode.CustomExecution(async (resolved) => {
      return new DeployTerminal(this.#window, resolved as DeployDefinition, folder);
    });
    const label = vscode.l10n.t('deploy {0}', definition.name);
    const task = new vscode.Task(definition, folder, label, TASK_TYPE, execution, `$${TASK_TYPE}`);
    task.group = vscode.TaskGroup.Build;
    return task;
  }
}

/** The deployment as a terminal that can be interrupted. */
class DeployTerminal implements vscode.Pseudoterminal {
  readonly #write = new vscode.EventEmitter<string>();
  readonly #close = new vscode.EventEmitter<number>();
  readonly onDidWrite = this.#write.event;
  readonly onDidClose = this.#close.event;
  readonly #abort = new AbortController();
  readonly #window: AksmlWindow;
  readonly #definition: DeployDefinition;
  readonly #folder: vscode.WorkspaceFolder;

  constructor(window: AksmlWindow, definition: DeployDefinition, folder: vscode.WorkspaceFolder) {
    this.#window = window;
    this.#definition = definition;
    this.#folder = folder;
  }

  open(): void {
    void this.#run().then((code) => this.#close.fire(code));
  }

  close(): void {
    this.#abort.abort();
  }

  handleInput(data: string): void {
    if (data === '\u0003') this.#abort.abort();
  }

  async #run(): Promise<number> {
    try {
      const endpoint = await this.#window.engine.request('deployment.deploy', this.#params(), {
        signal: this.#abort.signal,
        onEvent: (event) => this.#tell(event),
      });
      this.#line(`${endpoint.metadata.name}: ${endpoint.status?.state ?? ''} ${endpoint.status?.scoringUri ?? ''}`);
      return 0;
    } catch (thrown) {
      const error = AksmlError.is(thrown) ? thrown : new AksmlError('internal', String(thrown));
      for (const problem of error.problems) this.#line(problemLine(problem, this.#folder.uri.fsPath));
      this.#line([error.message, error.remedy].filter(Boolean).join(' '));
      for (const line of error.logTail) this.#line(line);
      return AksmlError.isCancelled(error) ? 130 : 1;
    }
  }

  #params(): ParamsOf<'deployment.deploy'> {
    const { name, models = [], inferenceConfig, deploymentConfig, target } = this.#definition;
    const scope = scopeFor(this.#folder.uri)?.scope ?? { folder: this.#folder.uri.fsPath };
    return {
      ...scope,
      name,
      models: [...models],
      target: target ?? defaultTarget(this.#folder.uri),
      overwrite: true,
      ...(inferenceConfig === undefined ? {} : { inferenceConfigFile: inferenceConfig }),
      ...(deploymentConfig === undefined ? {} : { deploymentConfigFile: deploymentConfig }),
    };
  }

  #tell(event: ProgressEvent): void {
    const line = taskLine(event, this.#folder.uri.fsPath);
    if (line !== undefined) this.#line(line);
  }

  #line(text: string): void {
    this.#write.fire(`${text.replace(/\r?\n/g, '\r\n')}\r\n`);
  }
}
