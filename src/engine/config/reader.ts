import type { Problem } from '../../contract/problem.ts';
import { JsonRefusal, parsePythonJson } from './python-json.ts';
import { type SourceValue, walk } from './source.ts';
import { YamlRefusal } from './yaml-refusal.ts';
import { parseYaml11 } from './yaml11.ts';

export type ReadResult =
  | {
      readonly ok: true;
      readonly value: SourceValue;
      readonly parser: 'yaml' | 'json';
      readonly problems: readonly Problem[];
    }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Reads a configuration file as v1's command line did: UTF-8 text, tried as YAML 1.1 and, if that fails, as JSON.
 * `file` is the name to report.
 */
export function readConfiguration(file: string, content: Uint8Array): ReadResult {
  const text = decode(content);
  if (text === undefined) return refused(file, undefined, ...describeEncoding(content));
  const yaml = attempt(() => parseYaml11(text.replace(/^\uFEFF/, '')));
  if (yaml.ok) return { ok: true, value: yaml.value, parser: 'yaml', problems: duplicateKeys(file, yaml.value) };
  const json = attempt(() => parsePythonJson(text));
  if (json.ok) return { ok: true, value: json.value, parser: 'json', problems: duplicateKeys(file, json.value) };
  return explain(file, text, yaml.refusal, json.refusal);
}

type Attempt =
  | { readonly ok: true; readonly value: SourceValue }
  | { readonly ok: false; readonly refusal: YamlRefusal | JsonRefusal };

function attempt(parse: () => SourceValue): Attempt {
  try {
    return { ok: true, value: parse() };
  } catch (error) {
    if (error instanceof YamlRefusal || error instanceof JsonRefusal) return { ok: false, refusal: error };
    throw error;
  }
}

/** Python opens text files as UTF-8 with universal newlines. */
export function decode(content: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content).replace(/\r\n?/g, '\n');
  } catch {
    return undefined;
  }
}

function describeEncoding(content: Uint8Array): [message: string, remedy: string] {
  const remedy = 'Save the file as UTF-8.';
  const [first, second] = content;
  const isMarked = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
  // Without a mark, UTF-16 of Latin letters is valid UTF-8 with a null character beside each letter.
  const isUtf16 = isMarked || first === 0 || second === 0;
  return [isUtf16 ? 'The file is UTF-16; v1 reads UTF-8 only.' : 'The file is not UTF-8 text.', remedy];
}

function refused(file: string, line: number | undefined, message: string, remedy: string): ReadResult {
  const problem: Problem = {
    severity: 'error',
    code: 'file.unparsable',
    file,
    ...(line === undefined ? {} : { line }),
    message,
    remedy,
  };
  return { ok: false, problems: [problem] };
}

/** Says what is wrong in the terms of the format that the file was meant to have. */
function explain(
  file: string,
  text: string,
  yaml: YamlRefusal | JsonRefusal,
  json: YamlRefusal | JsonRefusal,
): ReadResult {
  if (text.includes('\0')) return refused(file, undefined, ...describeEncoding(new TextEncoder().encode(text)));
  const comment = findSlashComment(text);
  if (comment !== undefined) {
    return refused(
      file,
      comment,
      'A comment that starts with "//" or "/*" is neither YAML nor JSON.',
      'Remove the comment, or write it with "#", which is read as YAML.',
    );
  }
  if (!/^\uFEFF?\s*[[{]/.test(text)) {
    return refused(file, yaml.line, `The file is not YAML: ${yaml.message}.`, 'Correct this line.');
  }
  if (yaml instanceof YamlRefusal && yaml.isTab) {
    return refused(
      file,
      json.line,
      `The file is read as strict JSON, because of a tab in line ${yaml.line}, and is not: ${json.message}.`,
      'Replace the tabs by spaces, or correct the JSON.',
    );
  }
  // The reader that got further is the one that the file was written for.
  const message =
    yaml.line > json.line
      ? `The file is not YAML: ${yaml.message} (and not JSON: ${json.message}).`
      : `The file is not JSON: ${json.message} (and not YAML: ${yaml.message}).`;
  return refused(file, Math.max(yaml.line, json.line), message, 'Correct this line.');
}

/** The line of the first `//` or `/*` outside double quotes. */
function findSlashComment(text: string): number | undefined {
  let line = 1;
  let isQuoted = false;
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (character === '\n') {
      line++;
      isQuoted = false;
    } else if (character === '\\' && isQuoted) index++;
    else if (character === '"') isQuoted = !isQuoted;
    else if (!isQuoted && character === '#') {
      const end = text.indexOf('\n', index);
      index = (end < 0 ? text.length : end) - 1;
    } else if (
      !isQuoted &&
      character === '/' &&
      /[\s,{[]/.test(text[index - 1] ?? ' ') &&
      /[/*]/.test(text[index + 1] ?? '')
    )
      return line;
  }
  return undefined;
}

function duplicateKeys(file: string, value: SourceValue): Problem[] {
  const problems: Problem[] = [];
  walk(value, (part, path) => {
    if (part.type !== 'dict') return;
    for (const { key, line } of part.duplicates) {
      const fullPath = path === '' ? key : `${path}.${key}`;
      problems.push({
        severity: 'warning',
        code: 'key.duplicate',
        file,
        path: fullPath,
        line,
        message: `"${fullPath}" is given more than once; only the last value counts (line ${part.entries.get(key)?.line}).`,
        remedy: 'Remove the value that does not count.',
      });
    }
  });
  return problems;
}
