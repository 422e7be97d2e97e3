import { createHash } from 'node:crypto';
import type { CodeReference } from '../../contract/revision.ts';
import { type CodeEntry, type CodeSource, readCodeLayer } from './code-layer.ts';

/** Code to compare; without a reference, none. */
export interface CodeTree extends CodeSource {
  readonly code?: CodeReference;
}

export interface CodeFile {
  /** Bytes. */
  readonly size: number;
  readonly executable: boolean;
  readonly sha256: string;
}

/** The files by their paths below the source directory. */
export async function readTree(tree: CodeTree): Promise<Map<string, CodeFile>> {
  const files = new Map<string, CodeFile>();
  for await (const { path, entry } of filesOf(tree)) {
    const hash = createHash('sha256');
    for await (const part of entry.content) hash.update(part);
    files.set(path, { size: entry.size, executable: entry.executable, sha256: hash.digest('hex') });
  }
  return files;
}

/** The contents of some files. */
export async function readContents(tree: CodeTree, paths: ReadonlySet<string>): Promise<Map<string, Uint8Array>> {
  const contents = new Map<string, Uint8Array>();
  if (paths.size === 0) return contents;
  for await (const { path, entry } of filesOf(tree)) {
    if (paths.has(path)) contents.set(path, Buffer.concat(await Array.fromAsync(entry.content)));
  }
  return contents;
}

async function* filesOf({ code, ...source }: CodeTree): AsyncGenerator<{ path: string; entry: CodeEntry }> {
  if (code === undefined) return;
  const depth = code.sourceDirectory === undefined ? 0 : 1;
  for await (const entry of readCodeLayer(source, code)) {
    if (entry.kind === 'file') yield { path: entry.parts.slice(depth).join('/'), entry };
  }
}
