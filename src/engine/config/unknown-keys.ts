import type { Report } from './report.ts';
import type { MapValue } from './source.ts';
import { joinPath } from './source.ts';

export interface KnownKeys {
  readonly file: string;
  /** Key paths that are read; sections are their beginnings. */
  readonly paths: readonly string[];
  /** Mistakes seen in real projects: key -> path, or the flag that does it. */
  readonly mistakes: Readonly<Record<string, string>>;
  /** SDK parameter names, and other names of a key. */
  readonly aliases: ReadonlyMap<string, string>;
}

/** v1 ignored keys that it did not know, a wrong case included, without a word. */
export function reportUnknownKeys(map: MapValue, known: KnownKeys, report: Report, section = ''): void {
  for (const { key: name, line, value } of map.entries.values()) {
    const path = joinPath(section, name);
    if (known.paths.includes(path) || path === '$schema') continue;
    const isSection = known.paths.some((candidate) => candidate.startsWith(`${path}.`));
    if (isSection) {
      if (value.type === 'dict') reportUnknownKeys(value, known, report, path);
      continue;
    }
    const suggestion = suggest(name, path, known);
    const instead = suggestion === undefined ? 'Remove it.' : describe(suggestion);
    const message = `"${path}" is not a key of this file, so it is ignored.`;
    const key = suggestion?.startsWith('--') ? undefined : suggestion;
    report.warning('key.unknown', { file: known.file, path, line }, message, instead, key);
  }
}

function describe(suggestion: string): string {
  return suggestion.startsWith('--')
    ? `Use the option ${suggestion} of the command; it is never read from the file.`
    : `Did you mean "${suggestion}"?`;
}

function suggest(key: string, path: string, known: KnownKeys): string | undefined {
  if (Object.hasOwn(known.mistakes, key)) return known.mistakes[key];
  const wanted = normalize(key);
  const alias = known.aliases.get(wanted);
  if (alias !== undefined && alias !== path) return alias;
  const candidates = known.paths.flatMap((candidate) => ancestors(candidate));
  const exact = candidates.find((candidate) => normalize(candidate.slice(candidate.lastIndexOf('.') + 1)) === wanted);
  if (exact !== undefined) return exact;
  return candidates.find((candidate) => isNear(normalize(candidate.slice(candidate.lastIndexOf('.') + 1)), wanted));
}

function ancestors(path: string): string[] {
  const parts = path.split('.');
  return parts.map((_, index) => parts.slice(0, index + 1).join('.'));
}

export function normalize(key: string): string {
  return key.replace(/[-_\s]/g, '').toLowerCase();
}

/** One letter added, left out, changed, or two neighbours swapped; short words must match. */
function isNear(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1 || Math.min(a.length, b.length) < 4) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start++;
  const restA = a.slice(start);
  const restB = b.slice(start);
  if (restA.slice(1) === restB.slice(1) || restA.slice(1) === restB || restA === restB.slice(1)) return true;
  return restA[0] === restB[1] && restA[1] === restB[0] && restA.slice(2) === restB.slice(2);
}
