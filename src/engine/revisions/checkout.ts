import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import type { Revision } from '../../contract/revision.ts';
import { ensureFolder } from '../../home/folder.ts';
import { isLeftover, removeLeftovers } from '../registry/leftover.ts';
import { asStorageError } from '../registry/storage-error.ts';
import { hasCode } from '../snapshot/tree.ts';
import { moveInto, unpackBeside } from './materialize.ts';
import { type RevisionStore, repositoryOf } from './revisions.ts';

export interface CheckoutOptions {
  /** Files of the same names are replaced; others stay. */
  readonly overwrite?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Gives the deployed code back: what was in the source directory, or the single script, is put into `directory`, made if absent.
 * @returns the directory's absolute path
 * @throws AksmlError `checkout.noCode` | `checkout.notEmpty` | `checkout.notAFolder` | as {@link materializeCode}
 */
export async function checkoutRevision(
  store: RevisionStore,
  revision: Revision,
  directory: string,
  options: CheckoutOptions = {},
): Promise<string> {
  const { endpoint, version, number, code } = revision;
  if (code === undefined || revision.noCode !== undefined) {
    throw new AksmlError('checkout.noCode', `Revision ${number} of ${endpoint} was deployed without code of its own.`, {
      fault: 'input',
      subject: `service/${endpoint}`,
      remedy: 'Only revisions that have an entry script can be checked out.',
    });
  }
  const target = resolve(directory);
  await prepare(target, options.overwrite ?? false);
  const source = { registry: store.registry, repository: repositoryOf(endpoint, version), ...options };
  await unpackBeside(source, code, target, (unpacked) => moveInto(join(unpacked, code.sourceDirectory ?? ''), target));
  return target;
}

async function prepare(target: string, overwrite: boolean): Promise<void> {
  try {
    await ensureFolder(target);
    const names = await readdir(target);
    // What a checkout that was killed has brought so far is no reason to refuse the next.
    const isUnfinished = names.some(isLeftover);
    if (isUnfinished) await removeLeftovers(target);
    if (overwrite || isUnfinished || names.length === 0) return;
  } catch (error) {
    if (!hasCode(error, 'EEXIST', 'ENOTDIR')) throw asStorageError(error, 'The checkout', target);
    throw new AksmlError('checkout.notAFolder', `${target} is not a folder.`, {
      fault: 'input',
      subject: target,
      remedy: 'Name a folder, which need not exist.',
    });
  }
  throw new AksmlError('checkout.notEmpty', `${target} is not empty.`, {
    fault: 'input',
    subject: target,
    remedy: 'Name an empty folder, or allow files of the same names to be replaced (--overwrite).',
  });
}
