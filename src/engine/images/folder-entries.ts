import { readdir, readlink, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import type { LayerEntry } from './layer.ts';

/** The files and links of a folder of this machine as entries below `target`, or a file as the one entry there. */
export async function folderEntries(from: string, target: string): Promise<LayerEntry[]> {
  const found = await stat(from);
  if (!found.isDirectory()) return [fileEntry(target, from, found)];
  const items = await readdir(from, { recursive: true, withFileTypes: true });
  return Promise.all(
    items
      .filter((item) => !item.isDirectory())
      .map(async (item): Promise<LayerEntry> => {
        const source = join(item.parentPath, item.name);
        const path = `${target}/${relative(from, source).split(sep).join('/')}`;
        if (item.isSymbolicLink()) return { kind: 'link', path, target: await readlink(source) };
        return fileEntry(path, source, await stat(source));
      }),
  );
}

function fileEntry(path: string, source: string, { size, mode }: { size: number; mode: number }): LayerEntry {
  return { kind: 'file', path, executable: (mode & 0o111) !== 0, content: { source, size } };
}
