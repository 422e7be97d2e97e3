import * as vscode from 'vscode';
import type { EngineClient } from '../engine-client.ts';
import { ConfigurationFixes } from './code-actions.ts';
import { ConfigurationLenses } from './code-lens.ts';
import { CommentedFiles } from './commented-files.ts';
import { WorkspaceNames } from './completion.ts';
import { ConfigurationDiagnostics } from './diagnostics.ts';
import { CONFIGURATION_SELECTOR } from './documents.ts';
import { WorkspaceHovers } from './hover.ts';
import { IgnoredFiles } from './ignored-files.ts';

const TASKS_FILE = { scheme: 'file', pattern: '**/.vscode/tasks.json' };

/** Everything that helps with writing the files of a project. */
export function registerLanguages(engine: Pick<EngineClient, 'request'>): vscode.Disposable {
  const diagnostics = new ConfigurationDiagnostics(engine);
  return vscode.Disposable.from(
    diagnostics,
    new CommentedFiles(),
    new IgnoredFiles(engine),
    vscode.languages.registerCodeActionsProvider(CONFIGURATION_SELECTOR, new ConfigurationFixes(diagnostics), {
      providedCodeActionKinds: ConfigurationFixes.kinds,
    }),
    vscode.languages.registerCodeLensProvider(CONFIGURATION_SELECTOR, new ConfigurationLenses()),
    vscode.languages.registerCompletionItemProvider(
      [...CONFIGURATION_SELECTOR, TASKS_FILE],
      new WorkspaceNames(engine),
      '"',
    ),
    vscode.languages.registerHoverProvider(CONFIGURATION_SELECTOR, new WorkspaceHovers(engine)),
  );
}
