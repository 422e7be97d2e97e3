import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { RunCommand } from '../environments/command.ts';
import { runtimeFile } from '../environments/runtime-files.ts';
import type { LayerTarget } from './environment-layer.ts';
import type { LayerEntry } from './layer.ts';

/** A Python of this machine that compiles for the one of the image: both are of the same minor version. */
export interface ModuleCompiler {
  readonly python: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly run: RunCommand;
}

/** What a package brings to test itself: what serves does not import it. */
const TESTS = /\/tests?\//;

/**
 * The modules among `entries`, compiled, each where the image's Python looks for it: a replica, whose file system is read-only, would
 * compile what it imports at every start. Equal modules give equal bytes with the same Python. Undefined where that Python does not do it.
 * @param work an empty folder, or one to be made, that stays until the entries are packed
 */
export async function compileModules(
  { python, env, run }: ModuleCompiler,
  entries: readonly LayerEntry[],
  { minor }: Pick<LayerTarget, 'minor'>,
  work: string,
  signal?: AbortSignal,
): Promise<LayerEntry[] | undefined> {
  const modules = entries.flatMap(moduleOf);
  await mkdir(work, { recursive: true, mode: 0o700 });
  const list = join(work, 'modules.json');
  await writeFile(
    list,
    JSON.stringify(modules.map(({ source, path, name }) => [source, `/${path}`, join(work, name)])),
  );
  const command = { command: python, args: ['-s', '-S', runtimeFile('compile_modules.py'), list], cwd: work };
  // Before Python 3.11 the order of a set that is a constant depends on it.
  const { exitCode } = await run({ ...command, env: { ...env, PYTHONHASHSEED: '0' } }, { signal });
  if (exitCode !== 0) return undefined;
  const written = new Set(await readdir(work));
  const compiled = modules.filter(({ name }) => written.has(name));
  return Promise.all(compiled.map((module) => compiledFile(module, work, minor)));
}

interface Module {
  readonly source: string;
  /** In the image, without a leading `/`. */
  readonly path: string;
  /** Of its compiled form in the folder. */
  readonly name: string;
}

function moduleOf(entry: LayerEntry, index: number): Module[] {
  if (entry.kind !== 'file' || entry.content instanceof Uint8Array) return [];
  const { path, content } = entry;
  const isImported = path.includes('/lib/python') && path.endsWith('.py') && !TESTS.test(path);
  return isImported ? [{ source: content.source, path, name: String(index) }] : [];
}

/** Where that Python looks for it (PEP 3147). */
async function compiledFile({ path, name }: Module, folder: string, minor: string): Promise<LayerEntry> {
  const source = join(folder, name);
  const module = posix.basename(path, '.py');
  return {
    kind: 'file',
    path: `${posix.dirname(path)}/__pycache__/${module}.cpython-${minor.replace('.', '')}.pyc`,
    executable: false,
    content: { source, size: (await stat(source)).size },
  };
}
