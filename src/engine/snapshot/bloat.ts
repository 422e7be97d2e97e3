import type { Problem } from '../../contract/problem.ts';
import type { IgnoreRules } from './ignore.ts';

/** Folders that a deployment hardly ever needs. Without an ignore file v1 packed them too, and so do we, but not silently. */
const KINDS: ReadonlyMap<string, string> = new Map([
  ['.git', "Git's own data"],
  ['node_modules', 'Node packages'],
  ['__pycache__', 'compiled Python files'],
]);
const VIRTUAL_ENVIRONMENT = 'a Python virtual environment';
const WORTH_TELLING = 100;

interface Find {
  readonly path: string;
  files: number;
}

/** Watches a scan for such folders and tells how many files they hold. */
export class BloatWatch {
  readonly #found = new Map<string, Find>();
  #inside = false;

  /** Called on the way into a folder; call the answer on the way out. Both with the number of files found so far. */
  enter(path: string, items: readonly { readonly name: string }[], before: number): (after: number) => void {
    const kind = items.some(({ name }) => name === 'pyvenv.cfg')
      ? VIRTUAL_ENVIRONMENT
      : KINDS.get(path.slice(path.lastIndexOf('/') + 1));
    if (kind === undefined || path === '' || this.#inside) return () => {};
    this.#inside = true;
    return (after) => {
      this.#inside = false;
      const find = this.#found.get(kind) ?? { path, files: 0 };
      find.files += after - before;
      this.#found.set(kind, find);
    };
  }

  problems(ignoreFile: IgnoreRules['file']): Problem[] {
    return [...this.#found]
      .filter(([kind, { files }]) => files >= (kind === 'compiled Python files' ? WORTH_TELLING : 1))
      .map(([kind, { path, files }]) => ({
        severity: 'warning',
        code: 'snapshot.bloat',
        file: path,
        message: `The snapshot holds ${kind} (${files} files), which a service hardly ever needs.`,
        remedy: `Leave it out with the line "${path.slice(path.lastIndexOf('/') + 1)}/" in ${ignoreFile ?? '.amlignore'}.`,
      }));
  }
}
