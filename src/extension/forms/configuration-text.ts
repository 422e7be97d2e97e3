import { type ParseError, parse } from 'jsonc-parser';
import type { FileView } from '../../contract/webview/configuration.ts';
import { insertItem, put, remove, withoutComments } from './json-edit.ts';

export type FileContent = Pick<FileView, 'state' | 'values'>;

/** What a form can show of a configuration file's text. */
export function contentOf(text: string): FileContent {
  const bare = withoutComments(text);
  if (bare.trim() === '') return { state: 'object', values: {} };
  const errors: ParseError[] = [];
  const values: unknown = parse(bare, errors, { allowTrailingComma: true });
  return errors.length > 0 || !isObject(values) ? { state: 'text', values: {} } : { state: 'object', values };
}

/**
 * The text with one key changed, or taken out where the value is undefined. Everything else stays: unknown keys, comments, order and layout.
 * Only what differs is written, also inside of objects and lists; a section that would be left empty goes with its last key.
 */
export function editedText(text: string, path: readonly string[], value: unknown): string {
  const start = withoutComments(text).trim() === '' ? `${text}{}\n` : text;
  const { values } = contentOf(start);
  if (value === undefined) return isPresent(values, path) ? remove(start, emptied(values, path)) : text;
  return merged(start, path, valueAt(values, path), value);
}

/** The one stretch in which two texts differ. */
export function difference(before: string, after: string): { start: number; end: number; text: string } | undefined {
  if (before === after) return undefined;
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start += 1;
  let tail = 0;
  while (tail < shorter - start && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail += 1;
  return { start, end: before.length - tail, text: after.slice(start, after.length - tail) };
}

type Path = readonly (string | number)[];

function merged(text: string, path: Path, before: unknown, after: unknown): string {
  if (isObject(before) && isObject(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].reduce(
      (result, key) =>
        key in after ? merged(result, [...path, key], before[key], after[key]) : remove(result, [...path, key]),
      text,
    );
  }
  if (Array.isArray(before) && Array.isArray(after)) return mergedList(text, path, before, after);
  return JSON.stringify(before) === JSON.stringify(after) ? text : put(text, path, after);
}

/** Entries in common at both ends stay as they are, with their comments. */
function mergedList(text: string, path: Path, before: readonly unknown[], after: readonly unknown[]): string {
  const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && isSame(before[head], after[head])) head += 1;
  let tail = 0;
  while (tail < shorter - head && isSame(before[before.length - 1 - tail], after[after.length - 1 - tail])) tail += 1;
  const replaced = shorter - tail;
  let result = text;
  for (let index = head; index < replaced; index += 1) {
    result = merged(result, [...path, index], before[index], after[index]);
  }
  for (let index = before.length - tail - 1; index >= replaced; index -= 1) result = remove(result, [...path, index]);
  for (let index = replaced; index < after.length - tail; index += 1) {
    result = insertItem(result, path, index, after[index]);
  }
  return result;
}

function emptied(values: Readonly<Record<string, unknown>>, path: readonly string[]): readonly string[] {
  const parent = path.slice(0, -1);
  const siblings = valueAt(values, parent);
  return parent.length > 0 && isObject(siblings) && Object.keys(siblings).length === 1 ? emptied(values, parent) : path;
}

function valueAt(values: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, part) => (isObject(value) && Object.hasOwn(value, part) ? value[part] : undefined),
    values,
  );
}

function isPresent(values: unknown, path: readonly string[]): boolean {
  const parent = valueAt(values, path.slice(0, -1));
  return isObject(parent) && Object.hasOwn(parent, path.at(-1) ?? '');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
