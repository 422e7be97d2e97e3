import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AksmlError } from '../contract/error.ts';
import { writeFileAtomic } from '../home/atomic-file.ts';
import type { CommandContext } from './context.ts';
import { text } from './option.ts';

/** v1's way to hand a result to the next command. */
export const METADATA_FILE = {
  outputMetadataFile: text({ aliases: ['t'], completes: 'file', help: 'Also write the result to this JSON file.' }),
};

export async function writeMetadataFile(
  context: CommandContext,
  file: string | undefined,
  content: unknown,
): Promise<void> {
  if (file === undefined) return;
  await writeFileAtomic(resolve(context.host.cwd, file), `${JSON.stringify(content, null, 2)}\n`, 0o644);
}

/** A JSON file that one command wrote for the next. @throws AksmlError `metadata.invalid` */
export async function readMetadata(
  context: CommandContext,
  file: string,
  option: string,
): Promise<Readonly<Record<string, unknown>>> {
  try {
    const content: unknown = JSON.parse(
      (await readFile(resolve(context.host.cwd, file), 'utf8')).replace(/^\ufeff/, ''),
    );
    if (typeof content === 'object' && content !== null && !Array.isArray(content))
      return content as Readonly<Record<string, unknown>>;
    throw new Error('It holds no JSON object.');
  } catch (cause) {
    throw new AksmlError(
      'metadata.invalid',
      `The file ${JSON.stringify(file)} of ${option} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        fault: 'input',
        subject: option,
        remedy: 'Give the path of a JSON file.',
        cause,
      },
    );
  }
}
