import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ComputeTargetRecord } from '../../contract/compute-record.ts';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import type { Home } from '../../home/home.ts';

/** What this machine read last of a compute target's record: a guess, which the workspace's registry confirms or not. */
export async function readKnownRecord(
  home: Home,
  location: string,
  name: string,
): Promise<ComputeTargetRecord | undefined> {
  try {
    return JSON.parse(await readFile(fileOf(home, location, name), 'utf8')) as ComputeTargetRecord;
  } catch {
    return undefined;
  }
}

export async function keepKnownRecord(home: Home, location: string, record: ComputeTargetRecord): Promise<void> {
  // Without it the next command is slower, and that is all.
  await writeFileAtomic(fileOf(home, location, record.name), JSON.stringify(record)).catch(() => undefined);
}

function fileOf(home: Home, location: string, name: string): string {
  const key = createHash('sha256').update(`${location} ${name.toLowerCase()}`).digest('hex');
  return join(home.cache, 'compute-targets', `${key}.json`);
}
