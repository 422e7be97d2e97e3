import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';

/** Where relative paths of a configuration may start: v1 knew the working directory alone. */
export interface PathBase {
  readonly path: string;
  /** For messages. */
  readonly what: 'the working directory' | "the configuration file's folder" | 'the repository';
}

/** In order of precedence, without repetition. */
export async function pathBases(cwd: string, configurationFile: string | undefined): Promise<PathBase[]> {
  const bases: PathBase[] = [{ path: resolve(cwd), what: 'the working directory' }];
  if (configurationFile === undefined) return bases;
  const folder = dirname(resolve(cwd, configurationFile));
  const repository = await repositoryRoot(folder);
  const others: PathBase[] = [
    { path: folder, what: "the configuration file's folder" },
    ...(repository === undefined ? [] : [{ path: repository, what: 'the repository' } as const]),
  ];
  for (const base of others) if (!bases.some(({ path }) => path === base.path)) bases.push(base);
  return bases;
}

async function repositoryRoot(folder: string): Promise<string | undefined> {
  for (let current = folder; ; current = dirname(current)) {
    if (await exists(join(current, '.git'))) return current;
    if (dirname(current) === current) return undefined;
  }
}

/** Python's `os.path.exists` after `normpath`, which drops a slash at the end. */
export async function exists(path: string): Promise<boolean> {
  return (await kindOf(path)) !== undefined;
}

export async function kindOf(path: string): Promise<'file' | 'folder' | undefined> {
  try {
    const found = await stat(path);
    return found.isDirectory() ? 'folder' : 'file';
  } catch {
    return undefined;
  }
}

export async function realPath(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}

/** The path below `folder`, `/`-separated; may begin with `../`. */
export function relativeTo(folder: string, path: string): string {
  return relative(folder, path).split(sep).join('/');
}

export function isInside(relativePath: string): boolean {
  return relativePath !== '' && relativePath !== '..' && !relativePath.startsWith('../') && !isAbsolute(relativePath);
}

/** Python's `os.path.splitext(os.path.basename(path))`. A slash at the end leaves nothing; a leading dot begins no extension. */
export function splitName(path: string): { readonly stem: string; readonly extension: string } {
  const name = /[/\\]$/.test(path) && (path.endsWith('/') || sep === '\\') ? '' : basename(path);
  const dot = name.lastIndexOf('.');
  const isLeading = /^\.*$/.test(name.slice(0, Math.max(dot, 0)));
  return dot <= 0 || isLeading
    ? { stem: name, extension: '' }
    : { stem: name.slice(0, dot), extension: name.slice(dot) };
}

const KEYWORDS = new Set(
  (
    'False None True and as assert async await break class continue def del elif else except finally for from global if ' +
    'import in is lambda nonlocal not or pass raise return try while with yield'
  ).split(' '),
);

/** Python's `str.isidentifier()` and not a keyword; soft keywords such as `match` pass. */
export function isModuleName(stem: string): boolean {
  return /^[\p{XID_Start}_]\p{XID_Continue}*$/u.test(stem) && !KEYWORDS.has(stem);
}
