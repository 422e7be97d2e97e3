import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { decode, readConfiguration } from './reader.ts';
import type { Origin, Report } from './report.ts';
import { isText, isTruthy, type MapValue, NONE, type SourceValue, show, toPlain, typeInWords } from './source.ts';
import { reportUnknownKeys } from './unknown-keys.ts';
import type { V2Key } from './v2-keys.ts';
import { findPlaceholder } from './v2-values.ts';

/** One v2 file: its values by path, with origins for problems. */
export class V2Source {
  readonly file: string;
  /** Relative paths inside the file start here. */
  readonly folder: string;
  readonly #root: MapValue;
  readonly #report: Report;

  private constructor(file: string, folder: string, root: MapValue, report: Report) {
    this.file = file;
    this.folder = folder;
    this.#root = root;
    this.#report = report;
  }

  /** Undefined: the file cannot be used, `report` says why. */
  static async open(file: string, cwd: string, keys: readonly V2Key[], report: Report): Promise<V2Source | undefined> {
    const path = resolve(cwd, file);
    const content = await readFile(path).catch(() => undefined);
    if (content === undefined) {
      report.error('file.notFound', { file }, `The file ${file} cannot be read.`, 'Correct the path.');
      return undefined;
    }
    const result = readConfiguration(file, content);
    if (!result.ok) {
      if (!reportPlaceholder(file, content, report)) report.addAll(result.problems);
      return undefined;
    }
    report.addAll(result.problems);
    if (result.value.type !== 'dict') {
      report.error(
        'v2.notMapping',
        { file },
        `The file must hold an object, but holds ${typeInWords(result.value)}.`,
        'Name a v2 YAML file.',
      );
      return undefined;
    }
    const source = new V2Source(file, dirname(path), result.value, report);
    source.#reportKeys(keys);
    return source;
  }

  /** Key by key, because some keys contain dots. */
  value(...keys: string[]): SourceValue {
    let value: SourceValue = this.#root;
    for (const key of keys) value = value.type === 'dict' ? (value.entries.get(key)?.value ?? NONE) : NONE;
    return value;
  }

  origin(...keys: string[]): Origin {
    const line = this.value(...keys).line;
    return { file: this.file, path: keys.join('.'), ...(line === 0 ? {} : { line }) };
  }

  plain(...keys: string[]): unknown {
    return toPlain(this.value(...keys));
  }

  /** Text, or a number written as text is; placeholders of samples are reported. */
  text(...keys: string[]): string | undefined {
    const value = this.value(...keys);
    if (value.type === 'NoneType') return undefined;
    if (value.type === 'int' || value.type === 'float') return String(value.value);
    if (!isText(value)) {
      this.#report.error(
        'v2.notText',
        this.origin(...keys),
        `${keys.join('.')} must be text, but is ${typeInWords(value)}.`,
        'Write text.',
      );
      return undefined;
    }
    const placeholder = findPlaceholder(value.value);
    if (placeholder === undefined) return value.value;
    this.#placeholder(this.origin(...keys), placeholder);
    return undefined;
  }

  /** A file or folder, relative to this file; the older form `{local_path}` and `file:` are understood. */
  path(...keys: string[]): string | undefined {
    const isObject = this.value(...keys).type === 'dict';
    const text = isObject ? this.text(...keys, 'local_path') : this.text(...keys);
    return text === undefined ? undefined : resolve(this.folder, text.replace(/^file:/, ''));
  }

  texts(...keys: string[]): Record<string, string> {
    const value = this.value(...keys);
    if (value.type !== 'dict') return {};
    return Object.fromEntries(
      [...value.entries.values()].map(({ key, value: item }) => [key, 'value' in item ? String(item.value ?? '') : '']),
    );
  }

  #reportKeys(keys: readonly V2Key[]): void {
    const paths = keys.map(({ path }) => path);
    reportUnknownKeys(this.#root, { file: this.file, paths, mistakes: {}, aliases: new Map() }, this.#report);
    for (const { path, reason, remedy } of keys) {
      const value = reason === undefined ? NONE : this.value(path);
      if (!isTruthy(value)) continue;
      const what = value.type === 'dict' ? path : `${path} (${show(value)})`;
      this.#report.warning(
        'v2.noCounterpart',
        this.origin(path),
        `${what} has no counterpart: ${reason}.`,
        remedy ?? 'Leave it out.',
      );
    }
  }

  #placeholder(origin: Origin, placeholder: string): void {
    const message = `${origin.path} still contains the placeholder ${placeholder}.`;
    this.#report.error('v2.placeholder', origin, message, 'Put your own value in its place.');
  }
}

/** `{{NAME}}` without quotes is no YAML value, so it is what most likely broke the file. */
function reportPlaceholder(file: string, content: Uint8Array, report: Report): boolean {
  let isFound = false;
  for (const [index, line] of (decode(content) ?? '').split('\n').entries()) {
    const placeholder = /:\s*([^"']*\{\{.*)$/.test(line) ? findPlaceholder(line) : undefined;
    if (placeholder === undefined) continue;
    isFound = true;
    const path = line.slice(0, line.indexOf(':')).trim();
    const message = `${path} still contains the placeholder ${placeholder}.`;
    report.error('v2.placeholder', { file, path, line: index + 1 }, message, 'Put your own value in its place.');
  }
  return isFound;
}
