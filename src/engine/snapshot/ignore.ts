import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Problem } from '../../contract/problem.ts';

/**
 * What v1 left out of a snapshot: the rules of `.amlignore` in the root folder, else of `.gitignore` there, never both, and never those
 * of nested files. v1 matched with the Python library pathspec (before 1.0, "gitwildmatch"), which differs from git: every path is
 * judged on its own, so that a file can be kept although its folder is left out. In one point we differ: a line break in a file name is
 * matched like any other character.
 */
export interface IgnoreRules {
  /** The file's base name; undefined without one, when nothing is left out. */
  readonly file: '.amlignore' | '.gitignore' | undefined;
  readonly problems: readonly Problem[];
  /** Judges a path relative to the root, `/`-separated. */
  ignores(path: string): boolean;
  /** Whether everything below this folder is ignored, whatever its name, so that the folder need not be read. */
  ignoresAllBelow(folder: string): boolean;
  /** The rule that decides about this path, the last that matches it. */
  decidingRule(path: string): IgnoreRule | undefined;
}

export interface IgnoreRule {
  readonly text: string;
  /** 1-based. */
  readonly line: number;
  /** A rule with `!`: what it matches is packed. */
  readonly keeps: boolean;
}

interface CompiledRule extends IgnoreRule, Pattern {
  readonly expression: RegExp;
}

/** A pattern as parts of a regular expression, without its anchors. */
interface Pattern {
  /** Matches at any depth. */
  readonly floating: boolean;
  readonly body: string;
  /** A negated character class may match `/`, so that matching a folder says nothing about what is below it. */
  readonly crossesFolders: boolean;
}

/** Reads the rules that hold for this folder. Faulty lines are reported as problems and have no effect. */
export async function readIgnoreRules(sourceDirectory: string): Promise<IgnoreRules> {
  for (const file of ['.amlignore', '.gitignore'] as const) {
    const bytes = await readIfFile(join(sourceDirectory, file));
    if (bytes !== undefined) return parseIgnoreRules(decode(bytes), file);
  }
  return parseIgnoreRules('', undefined);
}

export function parseIgnoreRules(text: string, file: IgnoreRules['file']): IgnoreRules {
  const problems: Problem[] = [];
  const rules: CompiledRule[] = [];
  for (const [index, line] of text.split(/\r\n|\r|\n/).entries()) {
    try {
      const rule = compileRule(line, index + 1);
      if (rule) rules.push(rule);
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      problems.push(faultyLine(file, index + 1, line, error.message));
    }
  }
  rules.reverse();
  const candidate = rules.length === 0 ? undefined : anyOf(rules);
  const decidingRule = (path: string) =>
    candidate?.test(path) ? rules.find((rule) => rule.expression.test(path)) : undefined;
  return {
    file,
    problems,
    decidingRule,
    ignores: (path) => decidingRule(path)?.keeps === false,
    ignoresAllBelow(folder) {
      for (const rule of rules) {
        if (rule.keeps) return false;
        if (!rule.crossesFolders && rule.expression.test(`${folder}/`)) return true;
      }
      return false;
    },
  };
}

class PatternError extends Error {}

const ANYWHERE = '(?:.+/)?';
/** The matched path itself, or anything below it. */
const SELF_OR_BELOW = '(?:/.*)?';

function compileRule(line: string, number: number): CompiledRule | undefined {
  const text = stripLine(line);
  if (text === '' || text === '/' || text.startsWith('#')) return undefined;
  const keeps = text.startsWith('!');
  const pattern = translate(keeps ? text.slice(1) : text);
  const expression = new RegExp(`^${pattern.floating ? ANYWHERE : ''}${pattern.body}$`, 'su');
  return { text, line: number, keeps, expression, ...pattern };
}

/** One expression that matches what any of the rules matches: most paths match none, and one test is cheaper than one a rule. */
function anyOf(rules: readonly CompiledRule[]): RegExp {
  const bodies = (floating: boolean) =>
    rules
      .filter((rule) => rule.floating === floating)
      .map((rule) => rule.body)
      .join('|') || '(?!)';
  return new RegExp(`^(?:${bodies(false)})$|^${ANYWHERE}(?:${bodies(true)})$`, 'su');
}

/** Surrounding white space goes, as Python's `str.strip` defines it, but an escaped space at the end stays. */
function stripLine(line: string): string {
  let start = 0;
  let end = line.length;
  while (start < end && isSpace(line, start)) start += 1;
  if (!line.endsWith('\\ ')) while (end > start && isSpace(line, end - 1)) end -= 1;
  return line.slice(start, end);
}

function isSpace(text: string, index: number): boolean {
  const code = text.charCodeAt(index);
  return (code >= 0x1c && code <= 0x1f) || code === 0x85 || (code !== 0xfeff && /\s/.test(text.charAt(index)));
}

function translate(pattern: string): Pattern {
  const parts = pattern.split('/').filter((part, index, all) => part !== '**' || all[index - 1] !== '**');
  const foldersOnly = parts.at(-1) === '';
  // "**/" alone: everything except what lies directly in the root.
  if (parts.length === 2 && parts[0] === '**' && foldersOnly) {
    return { floating: false, body: '.+/.*', crossesFolders: false };
  }
  const named = parts.length - (foldersOnly ? 1 : 0);
  if (parts[0] === '') parts.shift();
  else if (named === 1 && parts[0] !== '**') parts.unshift('**');
  if (parts.length === 0) throw new PatternError('It names nothing.');
  if (parts.length > 1 && parts.at(-1) === '') parts[parts.length - 1] = '**';

  if (parts.length === 1 && parts[0] === '**') {
    return { floating: false, body: `[^/]+${SELF_OR_BELOW}`, crossesFolders: false };
  }
  const floating = parts[0] === '**';
  let body = '';
  let crossesFolders = false;
  for (const [index, part] of parts.entries()) {
    const last = index === parts.length - 1;
    const slash = index > (floating ? 1 : 0) ? '/' : '';
    if (part === '**') {
      if (index > 0) body += last ? '/.*' : '(?:/.+)?';
      continue;
    }
    const segment = translateSegment(part);
    crossesFolders ||= segment.crossesFolders;
    body += slash + segment.source + (last ? SELF_OR_BELOW : '');
  }
  return { floating, body, crossesFolders };
}

interface Segment {
  readonly source: string;
  readonly crossesFolders: boolean;
}

/** One path segment: `*`, `?`, `[…]`, and `\` before a literal character. */
function translateSegment(segment: string): Segment {
  if (segment === '*') return { source: '[^/]+', crossesFolders: false };
  const characters = [...segment];
  let source = '';
  let crossesFolders = false;
  for (let index = 0; index < characters.length; index += 1) {
    const character = characters[index] ?? '';
    if (character === '\\') {
      index += 1;
      const escaped = characters[index];
      if (escaped === undefined) throw new PatternError('It ends in a backslash that escapes nothing.');
      source += literal(escaped);
    } else if (character === '*') {
      while (characters[index + 1] === '*') index += 1;
      source += '[^/]*';
    } else if (character === '?') {
      source += '[^/]';
    } else if (character === '[') {
      const end = classEnd(characters, index);
      if (end === undefined) {
        source += literal('[');
        continue;
      }
      const negated = characters[index + 1] === '!' || characters[index + 1] === '^';
      crossesFolders ||= negated;
      source += `[${negated ? '^' : ''}${classRanges(characters.slice(index + (negated ? 2 : 1), end))}]`;
      index = end;
    } else {
      source += literal(character);
    }
  }
  return { source, crossesFolders };
}

/** Where the class that starts here closes; undefined when it does not, and `[` is a plain character. */
function classEnd(characters: readonly string[], start: number): number | undefined {
  let index = start + 1;
  if (characters[index] === '!' || characters[index] === '^') index += 1;
  const end = characters.indexOf(']', index + 1);
  return end === -1 ? undefined : end;
}

/** A class has no escapes: a backslash in it is a backslash. */
function classRanges(members: readonly string[]): string {
  let source = '';
  for (let index = 0; index < members.length; index += 1) {
    const from = members[index] ?? '';
    const to = members[index + 1] === '-' ? members[index + 2] : undefined;
    if (to === undefined) {
      source += literal(from);
      continue;
    }
    if ((from.codePointAt(0) ?? 0) > (to.codePointAt(0) ?? 0)) {
      throw new PatternError(`The range "${from}-${to}" in it runs backwards.`);
    }
    source += `${literal(from)}-${literal(to)}`;
    index += 2;
  }
  return source;
}

function literal(character: string): string {
  return /^[\w ]$/u.test(character) ? character : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

function faultyLine(file: string | undefined, line: number, text: string, reason: string): Problem {
  return {
    severity: 'error',
    code: 'ignore.badPattern',
    ...(file === undefined ? {} : { file }),
    line,
    message: `The pattern "${text.trim()}" cannot be read: ${reason}`,
    remedy: 'Correct the line or remove it.',
  };
}

/** UTF-8 or, as Windows shells write it, UTF-16; a byte order mark is no part of the first rule. */
function decode(bytes: Uint8Array): string {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : 'utf-8';
  return new TextDecoder(encoding).decode(bytes);
}

async function readIfFile(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return undefined;
    throw error;
  }
}
