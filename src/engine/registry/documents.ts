import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import type { Home } from '../../home/home.ts';
import { sha256 } from './reference.ts';

/** A small document by its digest: this machine keeps those that every deployment reads, for what a digest names never changes. */
export async function recallDocument(home: Home, digest: string, read: () => Promise<Uint8Array>): Promise<Uint8Array> {
  const file = join(home.cache, 'documents', digest.replace(/[^A-Za-z0-9]/g, '-'));
  const known = await readFile(file).catch(() => undefined);
  if (known !== undefined && sha256(known) === digest) return known;
  const content = await read();
  // An extra, whatever becomes of it.
  await writeFileAtomic(file, content).catch(() => undefined);
  return content;
}
