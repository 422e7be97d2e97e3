import { AksmlError } from '../../contract/error.ts';

const FULL = new Set(['ENOSPC', 'EDQUOT']);
const READ_ONLY = new Set(['EROFS', 'EACCES', 'EPERM']);
/** Of `mkdir`: below a file, or in a file system that takes no folders. */
const NO_PLACE = new Set(['ENOENT', 'ENOTDIR', 'EEXIST']);

/**
 * Gives a failed write its name: `disk.full` or `disk.notWritable`; any other error is handed back as it is.
 * `what` begins the message: "Storing the model".
 */
export function asStorageError(error: unknown, what: string, where: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (typeof code !== 'string') return error;
  if (FULL.has(code)) {
    return new AksmlError('disk.full', `${what} failed: the disk that holds ${where} is full.`, {
      subject: where,
      remedy: 'Free some space there, or choose another place for it, then run the command again.',
      cause: error,
    });
  }
  if (NO_PLACE.has(code) && isOf(error, 'mkdir')) {
    return new AksmlError('disk.noPlace', `${what} failed: no folder can be made at ${where} (${code}).`, {
      fault: 'input',
      subject: where,
      remedy: 'Choose a place below a folder that can be written.',
      cause: error,
    });
  }
  if (READ_ONLY.has(code)) {
    return new AksmlError('disk.notWritable', `${what} failed: ${where} may not be written (${code}).`, {
      subject: where,
      remedy: 'Change the permissions of that folder, or choose another one, then run the command again.',
      cause: error,
    });
  }
  return error;
}

function isOf(error: unknown, call: string): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === call;
}

/** Whether a file-system call failed because the thing is not there. */
export function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
