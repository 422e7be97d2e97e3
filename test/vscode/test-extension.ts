import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createVSIX } from '@vscode/vsce';

export interface TestExtension {
  readonly publisher: string;
  readonly name: string;
  readonly manifest: Readonly<Record<string, unknown>>;
  /** CommonJS. */
  readonly code: string;
}

/** Packs an extension that stands beside ours in a test. */
export async function packTestExtension(extension: TestExtension, target: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-test-extension-'));
  try {
    const { publisher, name, manifest, code } = extension;
    const complete = { publisher, name, version: '1.0.0', license: 'MIT', engines: { vscode: '^1.100.0' } };
    await mkdir(folder, { recursive: true });
    await writeFile(
      join(folder, 'package.json'),
      JSON.stringify({ ...complete, main: './extension.cjs', ...manifest }),
    );
    await writeFile(join(folder, 'extension.cjs'), code);
    await writeFile(join(folder, 'README.md'), 'Only for tests.\n');
    await writeFile(join(folder, 'LICENSE'), 'MIT\n');
    await createVSIX({ cwd: folder, packagePath: target, dependencies: false, allowMissingRepository: true });
    return target;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * In place of the user's Python debugger extension, which no package registry here has: like it, it connects VS Code's debugger to the
 * debug adapter that debugpy listens with in the debugged process.
 */
export const PYTHON_DEBUGGER: TestExtension = {
  publisher: 'ms-python',
  name: 'debugpy',
  manifest: {
    activationEvents: ['onDebug'],
    contributes: {
      breakpoints: [{ language: 'python' }],
      debuggers: [{ type: 'debugpy', label: 'Python Debugger', languages: ['python'] }],
    },
  },
  code: `const vscode = require('vscode');
exports.activate = (context) => context.subscriptions.push(
  vscode.debug.registerDebugAdapterDescriptorFactory('debugpy', {
    createDebugAdapterDescriptor: ({ configuration: { connect, host, port } }) =>
      new vscode.DebugAdapterServer(connect?.port ?? port, connect?.host ?? host ?? '127.0.0.1'),
  }));
`,
};

/** In place of a language model: calls the tools that VS Code offers to those, and shows what they answer. */
export const TOOL_CALLER: TestExtension = {
  publisher: 'test',
  name: 'tool-caller',
  manifest: {
    activationEvents: ['onStartupFinished'],
    contributes: { commands: [{ command: 'toolCaller.call', title: 'Tool Caller: Call' }] },
  },
  code: `const vscode = require('vscode');
exports.activate = (context) => context.subscriptions.push(vscode.commands.registerCommand('toolCaller.call', async () => {
  const offered = vscode.lm.tools.map(({ name }) => name).filter((name) => name.startsWith('aksml_')).sort().join(' ');
  const [, name, input] = /^(\\S+) (.*)$/.exec(await vscode.window.showInputBox({ placeHolder: offered }));
  const said = await vscode.lm.invokeTool(name, { input: JSON.parse(input), toolInvocationToken: undefined }).then(
    ({ content }) => content.map(({ value }) => value).join(''),
    (error) => 'Failed: ' + error.message,
  );
  await vscode.window.showTextDocument(await vscode.workspace.openTextDocument({ content: said }));
}));
`,
};
