import * as vscode from 'vscode';
import { DEPLOYMENT_KEYS } from '../../contract/configuration/deployment-keys.ts';
import { INFERENCE_KEYS } from '../../contract/configuration/inference-keys.ts';
import type { ConfigurationDiagnostics } from './diagnostics.ts';
import { configurationKind } from './documents.ts';
import { type Fix, fixed, fixesOf } from './fixes.ts';

/** The fixes that go with the diagnostics under the cursor. */
export class ConfigurationFixes implements vscode.CodeActionProvider {
  static readonly kinds = [vscode.CodeActionKind.QuickFix];
  readonly #diagnostics: ConfigurationDiagnostics;

  constructor(diagnostics: ConfigurationDiagnostics) {
    this.#diagnostics = diagnostics;
  }

  provideCodeActions(
    document: vscode.TextDocument,
    _range: vscode.Range,
    context: vscode.CodeActionContext,
  ): vscode.CodeAction[] {
    const keys = configurationKind(document.uri.path) === 'inferenceconfig' ? INFERENCE_KEYS : DEPLOYMENT_KEYS;
    const text = document.getText();
    return context.diagnostics.flatMap((diagnostic) => {
      const problem = this.#diagnostics.problemOf(diagnostic);
      if (problem === undefined) return [];
      return fixesOf(problem, text, keys).map((fix, index) => {
        const action = new vscode.CodeAction(titleOf(fix), vscode.CodeActionKind.QuickFix);
        action.diagnostics = [diagnostic];
        action.isPreferred = index === 0;
        action.edit = new vscode.WorkspaceEdit();
        action.edit.replace(document.uri, wholeOf(document), fixed(text, fix));
        return action;
      });
    });
  }
}

function titleOf(fix: Fix): string {
  switch (fix.kind) {
    case 'rename':
      return vscode.l10n.t('Rename to "{0}"', fix.to);
    case 'remove':
      return vscode.l10n.t('Remove "{0}"', fix.path);
    case 'set':
      return vscode.l10n.t('Set "{0}" to {1}', fix.path, JSON.stringify(fix.value));
    default:
      return fix satisfies never;
  }
}

function wholeOf(document: vscode.TextDocument): vscode.Range {
  return new vscode.Range(new vscode.Position(0, 0), document.lineAt(document.lineCount - 1).range.end);
}
