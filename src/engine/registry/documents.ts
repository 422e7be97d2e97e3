import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import type { Home } from '../../home/home.ts';
import { sha256 } from './reference.ts';

/** More than a machine's compute targets and base images are at a time. */
const MOST_DOCUMENTS = 200;

/** A small document by its digest: this machine keeps those that every deployment reads, for what a digest names never changes. */
export async function recallDocument(home: Home, digest: string, read: () => Promise<Uint8Array>): Promise<Uint8Array> {
  const folder = join(home.cache, 'documents');
  const file = join(folder, digest.replace(/[^A-Za-z0-9]/g, '-'));
  const known = await readFile(file).catch(() => undefined);
  if (known !== undefined && sha256(known) === digest) return known;
  const content = await read();
  // An extra, whatever becomes of it.
  await writeFileAtomic(file, content)
    .then(() => forgetOldest(folder))
    .catch(() => undefined);
  return content;
}

/** Where there are too many, the half that was kept first: seldom, and what is still needed is read once more. */
async function forgetOldest(folder: string): Promise<void> {
  const files = (await readdir(folder)).map((name) => join(folder, name));
  if (files.length <= MOST_DOCUMENTS) return;
  const kept = await Promise.all(files.map(async (file) => ({ file, since: (await stat(file)).mtimeMs })));
  const oldest = kept.sort((a, b) => a.since - b.since).slice(0, files.length - MOST_DOCUMENTS / 2);
  await Promise.all(oldest.map(({ file }) => rm(file, { force: true })));
}
