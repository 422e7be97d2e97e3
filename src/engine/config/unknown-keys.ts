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
  reportSection(map, section, known, indexOf(known), report);
}

/** A file may have any number of keys: what each is compared with is worked out once. */
interface KeyIndex {
  readonly paths: ReadonlySet<string>;
  readonly sections: ReadonlySet<string>;
  /** Every section and key by the normalized last part of its path; the first that has it. */
  readonly byName: ReadonlyMap<string, string>;
}

function indexOf({ paths }: KnownKeys): KeyIndex {
  const sections = new Set<string>();
  const byName = new Map<string, string>();
  for (const path of paths) {
    for (const beginning of ancestors(path)) {
      if (beginning !== path) sections.add(beginning);
      const name = normalize(beginning.slice(beginning.lastIndexOf('.') + 1));
      if (!byName.has(name)) byName.set(name, beginning);
    }
  }
  return { paths: new Set(paths), sections, byName };
}

function reportSection(map: MapValue, section: string, known: KnownKeys, index: KeyIndex, report: Report): void {
  for (const { key: name, line, value } of map.entries.values()) {
    const path = joinPath(section, name);
    if (index.paths.has(path) || path === '$schema') continue;
    if (index.sections.has(path)) {
      if (value.type === 'dict') reportSection(value, path, known, index, report);
      continue;
    }
    const suggestion = suggest(name, path, known, index);
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

function suggest(key: string, path: string, known: KnownKeys, { byName }: KeyIndex): string | undefined {
  if (Object.hasOwn(known.mistakes, key)) return known.mistakes[key];
  const wanted = normalize(key);
  const alias = known.aliases.get(wanted);
  if (alias !== undefined && alias !== path) return alias;
  const exact = byName.get(wanted);
  if (exact !== undefined) return exact;
  for (const [candidate, found] of byName) if (isNear(candidate, wanted)) return found;
  return undefined;
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
