import { AksmlError } from '../../contract/error.ts';
import type { Problem } from '../../contract/problem.ts';
import type { ScannedTree } from './scan.ts';
import type { Source } from './source.ts';
import type { ReadFile } from './tree.ts';

/** v1 refused larger snapshots; its own message called the size 300 MB. */
const LIMIT_BYTES = 300 * 1024 * 1024;
const LIMIT_FILES = 2000;

/** @throws AksmlError `snapshot.refused` when something in the tree, or in the ignore rules, is an error */
export function refuseIfFaulty({ root, entryScript, rules }: Source, tree: ScannedTree): void {
  const errors = [...rules.problems, ...tree.problems].filter(({ severity }) => severity === 'error');
  if (!tree.entries.some(({ kind, path }) => kind === 'file' && path === entryScript)) {
    errors.push({
      severity: 'error',
      code: 'snapshot.entryScriptMissing',
      file: entryScript,
      message: `There is no such file in ${root}.`,
      remedy: 'Correct "entryScript"; upper and lower case count.',
    });
  }
  if (errors.length > 0) throw refused(errors);
}

/** @throws AksmlError `snapshot.refused` when the entry script itself may not be read */
export function checkUnreadable({ entryScript }: Source, unreadable: readonly string[]): void {
  if (!unreadable.includes(entryScript)) return;
  throw refused([
    {
      severity: 'error',
      code: 'snapshot.entryScriptUnreadable',
      file: entryScript,
      message: 'The entry script may not be read.',
      remedy: 'Change its permissions.',
    },
  ]);
}

export function leftOut(path: string): Problem {
  return {
    severity: 'warning',
    code: 'snapshot.unreadableFile',
    file: path,
    message: 'The file may not be read, and is left out.',
    remedy: 'Change its permissions, or ignore it.',
  };
}

export function overLimits(files: readonly ReadFile[]): Problem[] {
  const bytes = files.reduce((sum, { stamp }) => sum + stamp.size, 0);
  const problems: Problem[] = [];
  if (bytes > LIMIT_BYTES) {
    const size = (bytes / 1024 ** 2).toFixed(0);
    problems.push(
      overLimit('snapshot.tooLarge', `The snapshot has ${size} MiB, and Azure ML v1 took no more than 300.`),
    );
  }
  if (files.length > LIMIT_FILES) {
    const message = `The snapshot has ${files.length} files, and Azure ML v1 took no more than ${LIMIT_FILES}.`;
    problems.push(overLimit('snapshot.tooManyFiles', message));
  }
  return problems;
}

function overLimit(code: string, message: string): Problem {
  return { severity: 'warning', code, message, remedy: 'Ignore what the service does not need, or lift the limits.' };
}

function refused(problems: readonly Problem[]): AksmlError {
  const [first] = problems;
  const what =
    problems.length === 1 && first
      ? `${first.file ?? ''}: ${first.message}`
      : `${problems.length} problems were found.`;
  return new AksmlError('snapshot.refused', `The source directory cannot be packed. ${what}`, {
    fault: 'input',
    problems,
    ...(first?.remedy === undefined ? {} : { remedy: first.remedy }),
  });
}
