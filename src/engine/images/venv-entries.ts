import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join, posix, sep } from 'node:path';
import type { LayerTarget } from './environment-layer.ts';
import type { LayerEntry } from './layer.ts';

/** Where the environment is in an image, a virtual environment of the base image's Python, without a leading `/`. */
export const ENVIRONMENT_FOLDER = 'opt/aksml/environment';
export const ENVIRONMENT_PYTHON = `/${ENVIRONMENT_FOLDER}/bin/python`;

/** Parts of a wheel that belong beside `lib`, not into it (Python packaging specifications, "The .data directory"). */
const DATA_FOLDERS: ReadonlySet<string> = new Set(['bin', 'share', 'etc', 'include', 'man']);

/**
 * Turns what `uv pip install --target` wrote into a virtual environment: `pyvenv.cfg` makes Python heed `.pth` files, and scripts start
 * the image's Python instead of this machine's. Nothing of this machine is left in it: equal packages give equal entries everywhere.
 */
export async function venvEntries(folder: string, target: LayerTarget): Promise<LayerEntry[]> {
  const entries = skeleton(target);
  const site = `${ENVIRONMENT_FOLDER}/lib/python${target.minor}/site-packages`;
  const generated = new Set<string>();
  for (const file of await filesBelow(folder)) {
    if (!file.path.endsWith('.dist-info/entry_points.txt')) continue;
    for (const [name, entryPoint] of consoleScripts(await readFile(file.source, 'utf8'))) {
      generated.add(name);
      entries.push(script(name, entryPoint));
    }
  }
  for (const file of await filesBelow(folder)) {
    const first = file.path.split('/')[0] ?? '';
    if (isLeftOut(file.path)) continue;
    if (first === 'bin') {
      const name = file.path.slice('bin/'.length);
      if (!generated.has(name) && !name.endsWith('.exe')) entries.push(await ownScript(file, name));
    } else if (file.path.endsWith('.dist-info/RECORD')) {
      entries.push(text(`${site}/${file.path}`, repairRecord(await readFile(file.source, 'utf8'))));
    } else {
      const isData = DATA_FOLDERS.has(first) && file.path.includes('/');
      entries.push(await entryOf(file, `${isData ? ENVIRONMENT_FOLDER : site}/${file.path}`));
    }
  }
  return entries;
}

function skeleton({ python, minor }: LayerTarget): LayerEntry[] {
  const bin = `${ENVIRONMENT_FOLDER}/bin`;
  const configuration = [
    `home = ${posix.dirname(python)}`,
    'include-system-site-packages = false',
    `version = ${minor}`,
  ];
  return [
    text(`${ENVIRONMENT_FOLDER}/pyvenv.cfg`, `${configuration.join('\n')}\n`),
    { kind: 'link', path: `${bin}/python`, target: python },
    { kind: 'link', path: `${bin}/python3`, target: 'python' },
    { kind: 'link', path: `${bin}/python${minor}`, target: 'python' },
    { kind: 'folder', path: `${ENVIRONMENT_FOLDER}/lib/python${minor}/site-packages` },
  ];
}

interface FoundFile {
  /** Below the folder, `/`-separated. */
  readonly path: string;
  readonly source: string;
  readonly isLink: boolean;
}

async function filesBelow(folder: string): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  for (const item of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (item.isDirectory()) continue;
    const source = join(item.parentPath, item.name);
    found.push({ source, path: source.slice(folder.length + 1).replaceAll(sep, '/'), isLink: item.isSymbolicLink() });
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** What differs from one installation to the next: compiled files, uv's own notes. */
function isLeftOut(path: string): boolean {
  return path === '.lock' || path.endsWith('.pyc') || path.endsWith('.dist-info/uv_cache.json');
}

async function entryOf({ source, isLink }: FoundFile, path: string): Promise<LayerEntry> {
  if (isLink) return { kind: 'link', path, target: await readlink(source) };
  const { size, mode } = await stat(source);
  return { kind: 'file', path, executable: (mode & 0o111) !== 0, content: { source, size } };
}

function text(path: string, content: string, executable = false): LayerEntry {
  return { kind: 'file', path, executable, content: Buffer.from(content) };
}

/** `[console_scripts]` and `[gui_scripts]` of an entry_points.txt: name and `module:function`. */
export function consoleScripts(content: string): [string, string][] {
  const scripts: [string, string][] = [];
  let section = '';
  for (const line of content.split(/\r?\n/)) {
    section = /^\s*\[([^\]]+)\]/.exec(line)?.[1]?.trim() ?? section;
    const [, name, entryPoint] = /^\s*([^\s=[#;][^=]*?)\s*=\s*([\w.]+:[\w.]+)/.exec(line) ?? [];
    if (name && entryPoint && (section === 'console_scripts' || section === 'gui_scripts'))
      scripts.push([name, entryPoint]);
  }
  return scripts;
}

/** Written anew rather than taken over: what uv writes names this machine's Python, and is a program on Windows. */
function script(name: string, entryPoint: string): LayerEntry {
  const [module = '', attribute = ''] = entryPoint.split(':');
  const [first = ''] = attribute.split('.');
  const content = [
    `#!${ENVIRONMENT_PYTHON}`,
    'import sys',
    `from ${module} import ${first}`,
    "if __name__ == '__main__':",
    `    sys.exit(${attribute}())`,
    '',
  ];
  return text(`${ENVIRONMENT_FOLDER}/bin/${name}`, content.join('\n'), true);
}

/** A script that a wheel brings itself, with its first line repaired. */
async function ownScript(file: FoundFile, name: string): Promise<LayerEntry> {
  const path = `${ENVIRONMENT_FOLDER}/bin/${name}`;
  if (file.isLink) return entryOf(file, path);
  const content = await readFile(file.source);
  const start = content.toString('latin1', 0, 1024);
  // A long path makes uv write a shell line first, which Python reads as a string.
  const [line] = /^#!\/bin\/sh\n'''exec' [^\n]*\n' '''\n/.exec(start) ?? /^#![^\n]*python[^\n]*\n/.exec(start) ?? [];
  if (line === undefined) return { ...(await entryOf(file, path)), kind: 'file', executable: true, content };
  const repaired = Buffer.concat([
    Buffer.from(`#!${ENVIRONMENT_PYTHON}\n`),
    content.subarray(Buffer.byteLength(line, 'latin1')),
  ]);
  return { kind: 'file', path, executable: true, content: repaired };
}

/** A wheel's record names scripts where `--target` put them, with the digests of their first lines on this machine. */
export function repairRecord(record: string): string {
  return record
    .split(/\r?\n/)
    .map((line) => {
      const [, name] = /^(?:\.\.\/)*(?:bin|Scripts)\/([^,"]+?)(?:\.exe)?,/.exec(line) ?? [];
      return name === undefined ? line : `../../../bin/${name},,`;
    })
    .join('\n');
}
