import type * as vscode from 'vscode';

/** Aborts when VS Code cancels. */
export function signalOf(token: vscode.CancellationToken): AbortSignal {
  const abort = new AbortController();
  token.onCancellationRequested(() => abort.abort());
  return abort.signal;
}
