import * as vscode from 'vscode';
import { configurationKind } from './documents.ts';

/** Above a configuration file: what can be done with it. In a folder that is not trusted, that is to edit it. */
export class ConfigurationLenses implements vscode.CodeLensProvider {
  readonly onDidChangeCodeLenses = vscode.workspace.onDidGrantWorkspaceTrust;

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    if (configurationKind(document.uri.path) === undefined) return [];
    const top = new vscode.Range(0, 0, 0, 0);
    const lens = (title: string, command: string) =>
      new vscode.CodeLens(top, { title, command, arguments: [document.uri] });
    const form = lens(`$(settings) ${vscode.l10n.t('Open form')}`, 'aksml.configuration.openForm');
    if (!vscode.workspace.isTrusted) return [form];
    return [
      lens(`$(check) ${vscode.l10n.t('Validate')}`, 'aksml.configuration.validate'),
      lens(`$(rocket) ${vscode.l10n.t('Deploy')}`, 'aksml.endpoint.deploy'),
      form,
    ];
  }
}
