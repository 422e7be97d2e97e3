import * as vscode from 'vscode';
import type { ParamsOf } from '../../contract/engine-api.ts';
import type { AksmlWindow } from '../aksml-window.ts';

const t = vscode.l10n.t;

/** Names of the secret variables that no undo brings back. */
export async function unrestorableIn(
  { engine }: AksmlWindow,
  scope: ParamsOf<'endpoint.planDelete'>,
): Promise<readonly string[]> {
  // Whoever cannot be asked deletes nothing either, and says why then.
  const plan = await engine.request('endpoint.planDelete', scope).catch(() => ({ unrestorable: [] }));
  return plan.unrestorable;
}

/** What the person who is about to delete must know. */
export function withoutUndo(unrestorable: readonly string[]): readonly string[] {
  if (unrestorable.length === 0) return [];
  return [
    t(
      'It cannot be undone: the values of the secret environment variables {0} may not be read, and go with it.',
      unrestorable.join(', '),
    ),
  ];
}

/** Undo is not offered any more. */
export function forgetDeleted({ engine }: AksmlWindow, deletion: ParamsOf<'endpoint.forgetDeleted'>): void {
  // An engine that is away has forgotten.
  engine.request('endpoint.forgetDeleted', deletion).catch(() => undefined);
}
