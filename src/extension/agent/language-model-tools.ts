import * as vscode from 'vscode';
import { AksmlError } from '../../contract/error.ts';
import { signalOf } from '../cancellation.ts';
import type { EngineClient } from '../engine-client.ts';

/** Puts the engine's tools at the disposal of VS Code's language models, as `package.json` describes them. */
export function registerLanguageModelTools(
  engine: Pick<EngineClient, 'request'>,
  tools: readonly string[],
): vscode.Disposable {
  return vscode.Disposable.from(...tools.map((tool) => vscode.lm.registerTool(tool, new EngineTool(engine, tool))));
}

class EngineTool implements vscode.LanguageModelTool<object> {
  readonly #engine: Pick<EngineClient, 'request'>;
  readonly #tool: string;

  constructor(engine: Pick<EngineClient, 'request'>, tool: string) {
    this.#engine = engine;
    this.#tool = tool;
  }

  async prepareInvocation(
    { input }: vscode.LanguageModelToolInvocationPrepareOptions<object>,
    token: vscode.CancellationToken,
  ): Promise<vscode.PreparedToolInvocation> {
    const { text } = await this.#engine.request('agent.question', this.#call(input), { signal: signalOf(token) });
    if (text === null) return {};
    const message = new vscode.MarkdownString().appendCodeblock(text, 'text');
    return { confirmationMessages: { title: vscode.l10n.t('Deploy it?'), message } };
  }

  async invoke(
    { input }: vscode.LanguageModelToolInvocationOptions<object>,
    token: vscode.CancellationToken,
  ): Promise<vscode.LanguageModelToolResult> {
    const { text } = await this.#engine.request('agent.run', this.#call(input), { signal: signalOf(token) });
    return new vscode.LanguageModelToolResult([new vscode.LanguageModelTextPart(text)]);
  }

  #call(input: object) {
    const [folder] = vscode.workspace.workspaceFolders ?? [];
    if (folder) return { folder: folder.uri.fsPath, tool: this.#tool, input };
    throw new AksmlError('folder.missing', vscode.l10n.t('No folder is open.'), {
      fault: 'input',
      remedy: vscode.l10n.t('Open the folder of the project.'),
    });
  }
}
