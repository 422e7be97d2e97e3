import type { Problem, Severity } from '../../contract/problem.ts';

/** Where a value came from: a key of a file, or a flag. */
export interface Origin {
  readonly file?: string;
  /** Key path, or `--flag`. */
  readonly path?: string;
  readonly line?: number;
}

/** More of one kind help nobody: a file of another program has thousands of unknown keys. */
const MOST_OF_A_KIND = 100;

/** Collects every problem of a run; nothing is thrown until all are found. */
export class Report {
  readonly #problems: Problem[] = [];
  readonly #known = new Set<string>();
  /** By code: how many there are, and the first that is not listed. */
  readonly #counts = new Map<string, { count: number; unlisted?: Problem }>();

  error(code: string, origin: Origin, message: string, remedy?: string): void {
    this.add('error', code, origin, message, remedy);
  }

  warning(code: string, origin: Origin, message: string, remedy?: string, suggestion?: string): void {
    this.add('warning', code, origin, message, remedy, suggestion);
  }

  notice(code: string, origin: Origin, message: string, remedy?: string): void {
    this.add('notice', code, origin, message, remedy);
  }

  add(severity: Severity, code: string, origin: Origin, message: string, remedy?: string, suggestion?: string): void {
    this.addAll([
      {
        severity,
        code,
        ...(origin.file === undefined ? {} : { file: origin.file }),
        ...(origin.path === undefined ? {} : { path: origin.path }),
        ...(origin.line === undefined || origin.line === 0 ? {} : { line: origin.line }),
        message,
        ...(remedy === undefined ? {} : { remedy }),
        ...(suggestion === undefined ? {} : { suggestion }),
      },
    ]);
  }

  addAll(problems: readonly Problem[]): void {
    for (const problem of problems) {
      const { code, file, path, line } = problem;
      const identity = JSON.stringify([code, file, path, line]);
      if (this.#known.has(identity)) continue;
      this.#known.add(identity);
      const kind = this.#counts.get(code) ?? { count: 0 };
      this.#counts.set(code, kind);
      kind.count += 1;
      if (kind.count <= MOST_OF_A_KIND) this.#problems.push(problem);
      else kind.unlisted ??= problem;
    }
  }

  hasErrorAt({ file, path }: Origin): boolean {
    return this.#problems.some((known) => known.severity === 'error' && known.file === file && known.path === path);
  }

  get problems(): readonly Problem[] {
    return [...this.#problems, ...this.#unlisted()];
  }

  #unlisted(): readonly Problem[] {
    return [...this.#counts].flatMap(([code, { count, unlisted }]) =>
      unlisted === undefined
        ? []
        : [
            {
              severity: unlisted.severity,
              code: 'problems.more',
              ...(unlisted.file === undefined ? {} : { file: unlisted.file }),
              message: `There are ${count - MOST_OF_A_KIND} more problems of the kind ${code}.`,
            },
          ],
    );
  }

  get hasErrors(): boolean {
    return this.#problems.some(({ severity }) => severity === 'error');
  }
}
