import * as vscode from 'vscode';
import { AksmlError, type SerializedError } from '../contract/error.ts';
import type { AksmlWindow } from './aksml-window.ts';
import type { CommandId } from './contributions/contribution.ts';

const t = vscode.l10n.t;

/** Tells a failure with its cause and what to do; what was cancelled on request is none. */
export async function showError(
  { output, documents }: Pick<AksmlWindow, 'output' | 'documents'>,
  thrown: unknown,
): Promise<void> {
  if (AksmlError.isCancelled(thrown)) {
    const { remedy } = AksmlError.is(thrown) ? thrown : { remedy: undefined };
    void vscode.window.setStatusBarMessage([t('Cancelled.'), remedy].filter(Boolean).join(' '), 8000);
    return;
  }
  const error = AksmlError.is(thrown) ? thrown.toJSON() : unknownError(thrown);
  output.error(errorText(error));
  const details = t('Show Details');
  const way = wayOut(error.code);
  const chosen = await vscode.window.showErrorMessage(
    [error.message, error.remedy].filter(Boolean).join(' '),
    ...(way === undefined ? [] : [way.title]),
    ...(hasDetails(error) ? [details] : []),
    t('Show Output'),
  );
  if (way !== undefined && chosen === way.title) await vscode.commands.executeCommand(way.command);
  else if (chosen === details) await showDetails({ documents }, error);
  else if (chosen !== undefined) output.show();
}

/** The command that does what the remedy says. */
function wayOut(code: string): { readonly title: string; readonly command: CommandId } | undefined {
  switch (code) {
    case 'computeTarget.none':
      return { title: t('Attach Cluster…'), command: 'aksml.cluster.attach' };
    case 'endpoint.none':
      return { title: t('Deploy…'), command: 'aksml.endpoint.deploy' };
    default:
      return undefined;
  }
}

function unknownError(thrown: unknown): SerializedError {
  return { code: 'internal', message: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) };
}

function hasDetails({ problems = [], logTail = [] }: SerializedError): boolean {
  return problems.length > 0 || logTail.length > 0;
}

/** The whole of it as a document, the log's tail last. */
export function showDetails({ documents }: Pick<AksmlWindow, 'documents'>, error: SerializedError): Promise<void> {
  return documents.show(error.code, 'log', errorText(error));
}

export function errorText({ code, message, remedy, problems = [], logTail = [], cause }: SerializedError): string {
  return [
    `${code}: ${message}`,
    ...(remedy === undefined ? [] : [remedy]),
    ...problems.map(({ severity, file, path, line, message: what, remedy: fix }) =>
      [`  ${severity}:`, [file, line].filter(Boolean).join(':'), path, what, fix].filter(Boolean).join(' '),
    ),
    ...(cause === undefined ? [] : [`caused by: ${cause}`]),
    ...(logTail.length === 0 ? [] : ['', ...logTail]),
  ].join('\n');
}
