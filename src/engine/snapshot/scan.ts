import { type Dirent, lstatSync, readdirSync, realpathSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Problem } from '../../contract/problem.ts';
import { BloatWatch } from './bloat.ts';
import type { IgnoreRules } from './ignore.ts';
import { hasCode, type Ignored, stampOf, TreeChanged, type TreeEntry } from './tree.ts';

export interface ScanRequest {
  /** Absolute. */
  readonly root: string;
  readonly rules: IgnoreRules;
  /** Paths that are never left out. */
  readonly namedFiles: ReadonlySet<string>;
  /** Whether to look up every file's stamp, which takes most of the time. */
  readonly stamps: boolean;
  /** A folder that is left out: aksml's own. */
  readonly ownHome?: string;
  readonly signal?: AbortSignal;
}

export interface ScannedTree {
  /** Folders before their content, names in order of their UTF-16 code units: the order of the layer. */
  readonly entries: readonly TreeEntry[];
  readonly fileCount: number;
  readonly ignored: Ignored;
  readonly problems: readonly Problem[];
}

const EXAMPLES = 5;
const TURN_MS = 50;

/**
 * Lists what a snapshot of this folder holds. Links are treated as v1 treated them: one to a file is read through, one to a folder is
 * descended. System calls are synchronous because that is several times faster for many small files; the event loop gets its turn
 * between folders.
 */
export async function scanTree(request: ScanRequest): Promise<ScannedTree> {
  const scan = new Scan(request);
  await scan.folder('', realpathSync(request.root), []);
  return scan.result();
}

/** The tree of a single script, as v1 packed it when there was no source directory. */
export function scanFile(folder: string, name: string): ScannedTree {
  const stats = statSync(join(folder, name), { throwIfNoEntry: false });
  const isFile = stats?.isFile() === true;
  return {
    entries: isFile ? [{ kind: 'file', path: name, stamp: stampOf(stats) }] : [],
    fileCount: isFile ? 1 : 0,
    ignored: { count: 0, bytes: 0, examples: [], file: undefined },
    problems: [],
  };
}

class Scan {
  readonly #request: ScanRequest;
  readonly #entries: TreeEntry[] = [];
  readonly #problems: Problem[] = [];
  readonly #examples: string[] = [];
  readonly #bloat = new BloatWatch();
  #ignoredCount = 0;
  #ignoredBytes = 0;
  #fileCount = 0;
  #turnEnds = performance.now() + TURN_MS;

  constructor(request: ScanRequest) {
    this.#request = request;
  }

  result(): ScannedTree {
    const { file } = this.#request.rules;
    return {
      entries: this.#entries,
      fileCount: this.#fileCount,
      ignored: { count: this.#ignoredCount, bytes: this.#ignoredBytes, examples: this.#examples, file },
      problems: [...this.#problems, ...this.#bloat.problems(file)],
    };
  }

  /** `ancestors` are the real paths of the folders above, known once a link was followed: a link back to one of them is a loop. */
  async folder(path: string, real: string, ancestors: readonly string[]): Promise<void> {
    await this.#breathe();
    const chain = [...ancestors, real];
    const items = this.#list(path);
    const leave = this.#bloat.enter(path, items, this.#fileCount);
    for (const item of items) {
      const itemPath = under(path, item.name);
      const found = this.#look(item, itemPath);
      if (found === undefined) continue;
      if (found.kind === 'file') this.#file(itemPath, found.stats);
      else if (found.kind === 'special') this.#special(itemPath);
      else await this.#subfolder(itemPath, found.linked, real, item.name, chain);
    }
    leave(this.#fileCount);
  }

  #list(path: string): Dirent[] {
    const absolute = this.#absolute(path);
    let items: Dirent[];
    try {
      items = readdirSync(absolute, { withFileTypes: true });
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) throw new TreeChanged(path);
      if (!hasCode(error, 'EACCES', 'EPERM')) throw error;
      this.#refuse('snapshot.unreadableFolder', path, 'The folder cannot be read.', 'Make it readable, or ignore it.');
      return [];
    }
    if (items.some(({ name }) => name.includes('\uFFFD'))) {
      const valid = validNames(absolute);
      for (const { name } of items.filter((item) => !valid.has(item.name))) this.#badName(under(path, name));
      items = items.filter(({ name }) => valid.has(name));
    }
    return items.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #badName(path: string): void {
    if (this.#isIgnored(path)) {
      this.#leaveOut(path, 0);
      return;
    }
    const message = 'The name is no valid UTF-8 text, so that other machines could not read it.';
    this.#refuse('snapshot.badName', path, message, 'Rename or remove it.');
  }

  #look(item: Dirent, path: string): Found | undefined {
    if (item.isFile()) return { kind: 'file', stats: this.#request.stamps ? this.#stats(path) : undefined };
    if (item.isDirectory()) return { kind: 'folder', linked: false };
    if (!item.isSymbolicLink()) {
      // Some file systems do not tell the type along with the name.
      const stats = this.#stats(path);
      if (!stats.isSymbolicLink()) return kindOf(stats, false);
    }
    return this.#followLink(path);
  }

  #stats(path: string): Stats {
    try {
      return lstatSync(this.#absolute(path));
    } catch (error) {
      throw hasCode(error, 'ENOENT', 'ENOTDIR') ? new TreeChanged(path) : error;
    }
  }

  #followLink(path: string): Found | undefined {
    try {
      return kindOf(statSync(this.#absolute(path)), true);
    } catch (error) {
      if (this.#isIgnored(path)) {
        this.#leaveOut(path, 0);
      } else if (hasCode(error, 'ELOOP')) {
        this.#refuse(
          'snapshot.linkLoop',
          path,
          'The symbolic link leads back to itself.',
          'Remove or ignore the link.',
        );
      } else {
        this.#refuse(
          'snapshot.brokenLink',
          path,
          hasCode(error, 'EACCES', 'EPERM')
            ? 'The symbolic link leads to something that cannot be read.'
            : 'The symbolic link leads to nothing.',
          'Correct, remove or ignore the link.',
        );
      }
      return undefined;
    }
  }

  #file(path: string, stats: Stats | undefined): void {
    if (this.#isIgnored(path)) {
      if (!this.#request.namedFiles.has(path)) {
        this.#leaveOut(path, (stats ?? this.#stats(path)).size);
        return;
      }
      this.#keptAnyway(path);
    }
    this.#entries.push(stats === undefined ? { kind: 'file', path } : { kind: 'file', path, stamp: stampOf(stats) });
    this.#fileCount += 1;
  }

  async #subfolder(
    path: string,
    linked: boolean,
    parentReal: string,
    name: string,
    chain: readonly string[],
  ): Promise<void> {
    if (path === this.#request.ownHome) {
      this.#ownHome(path);
      return;
    }
    const ignored = this.#isIgnored(path);
    if (this.#request.rules.ignoresAllBelow(path) && !this.#holdsNamed(path)) {
      this.#leaveOut(`${path}/`, 0);
      // As in v1, "folder/" leaves out what is in the folder, and "folder" the folder too.
      if (!ignored) this.#entries.push({ kind: 'folder', path });
      return;
    }
    const real = linked ? realpathSync(this.#absolute(path)) : join(parentReal, name);
    if (chain.includes(real)) {
      if (ignored) return;
      this.#refuse(
        'snapshot.linkLoop',
        path,
        'A symbolic link leads back to a folder above it, so that the tree has no end.',
        'Remove or ignore the link.',
      );
      return;
    }
    const before = this.#entries.length;
    this.#entries.push({ kind: 'folder', path });
    await this.folder(path, real, chain);
    if (ignored && this.#entries.length === before + 1) this.#entries.pop();
  }

  #special(path: string): void {
    if (this.#isIgnored(path)) return;
    this.#problems.push({
      severity: 'warning',
      code: 'snapshot.specialFile',
      file: path,
      message: 'It is a socket, a pipe or a device, which cannot be packed, and is left out.',
    });
  }

  #ownHome(path: string): void {
    this.#problems.push({
      severity: 'notice',
      code: 'snapshot.ownHome',
      file: path,
      message: 'This is where aksml keeps its own files (AKSML_HOME), so it is left out.',
    });
  }

  #isIgnored(path: string): boolean {
    return this.#request.rules.ignores(path);
  }

  #holdsNamed(folder: string): boolean {
    for (const named of this.#request.namedFiles) if (named.startsWith(`${folder}/`)) return true;
    return false;
  }

  #leaveOut(path: string, bytes: number): void {
    this.#ignoredCount += 1;
    this.#ignoredBytes += bytes;
    if (this.#examples.length < EXAMPLES) this.#examples.push(path);
  }

  #keptAnyway(path: string): void {
    const rule = this.#request.rules.decidingRule(path);
    this.#problems.push({
      severity: 'warning',
      code: 'snapshot.namedFileIgnored',
      ...(this.#request.rules.file === undefined ? {} : { file: this.#request.rules.file }),
      ...(rule === undefined ? {} : { line: rule.line }),
      message: `The rule "${rule?.text ?? ''}" would leave out ${path}, which the configuration names; it is packed all the same.`,
      remedy: `Add the line "!${path}" to say so.`,
    });
  }

  #refuse(code: string, path: string, message: string, remedy: string): void {
    this.#problems.push({ severity: 'error', code, file: path === '' ? this.#request.root : path, message, remedy });
  }

  #absolute(path: string): string {
    return path === '' ? this.#request.root : `${this.#request.root}/${path}`;
  }

  async #breathe(): Promise<void> {
    if (performance.now() < this.#turnEnds) return;
    await nextTurn();
    this.#request.signal?.throwIfAborted();
    this.#turnEnds = performance.now() + TURN_MS;
  }
}

function under(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}

type Found =
  | { readonly kind: 'file'; readonly stats: Stats | undefined }
  | { readonly kind: 'folder'; readonly linked: boolean }
  | { readonly kind: 'special' };

function kindOf(stats: Stats, linked: boolean): Found {
  if (stats.isFile()) return { kind: 'file', stats };
  return stats.isDirectory() ? { kind: 'folder', linked } : { kind: 'special' };
}

/** The names in a folder that are valid UTF-8; Node decodes the others lossily, and cannot open them by what it decoded. */
function validNames(folder: string): ReadonlySet<string> {
  const names = new Set<string>();
  for (const bytes of readdirSync(folder, { encoding: 'buffer' })) {
    const name = bytes.toString('utf8');
    if (Buffer.from(name, 'utf8').equals(bytes)) names.add(name);
  }
  return names;
}
