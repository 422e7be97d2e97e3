import { resolve } from 'node:path';
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
