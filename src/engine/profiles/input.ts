import { readFile, stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { AksmlError } from '../../contract/error.ts';

/**
 * The request bodies of a profiling input. v1 took a dataset with one column of texts; its counterpart is a file: one body a line, a `.csv`
 * with one column, or a `.json` with an array of texts (any other JSON document is one body).
 * @throws AksmlError `profileInput.notFound` | `profileInput.invalid` | `profileInput.empty`
 */
export async function readProfileInput(file: string): Promise<readonly string[]> {
  const isFile = await stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
  if (!isFile) {
    throw new AksmlError('profileInput.notFound', `There is no file ${file} with requests to profile with.`, {
      fault: 'input',
      subject: file,
      remedy:
        'aksml keeps no datasets: give a file with one request body a line, a .csv with one column, or a .json array.',
    });
  }
  const bodies = parseProfileInput((await readFile(file, 'utf8')).replace(/^\ufeff/, ''), file);
  if (bodies.length > 0) return bodies;
  throw new AksmlError('profileInput.empty', `${file} holds no request.`, {
    fault: 'input',
    subject: file,
    remedy: 'Write at least one request body into it.',
  });
}

/** `file` decides by its extension. @throws AksmlError `profileInput.invalid` */
export function parseProfileInput(text: string, file: string): readonly string[] {
  switch (extname(file).toLowerCase()) {
    case '.csv':
      return parseColumn(text, file);
    case '.json':
      return parseDocument(text, file);
    default:
      return text.split(/\r?\n/).filter((line) => line.trim() !== '');
  }
}

function parseDocument(text: string, file: string): readonly string[] {
  if (text.trim() === '') return [];
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw invalid(file, cause instanceof Error ? cause.message : String(cause));
  }
  const isList = Array.isArray(document) && document.every((item) => typeof item === 'string');
  return isList ? (document as string[]) : [text];
}

/** RFC 4180. The first row is the name of the column, as v1 read it, unless it is a request itself. */
function parseColumn(text: string, file: string): readonly string[] {
  const values: string[] = [];
  const row = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(\r?\n|,|$)/y;
  while (row.lastIndex < text.length) {
    const line = values.length + 1;
    const match = row.exec(text);
    if (!match) throw invalid(file, `row ${line} has a quotation mark where none may be`);
    if (match[3] === ',') throw invalid(file, `row ${line} has more than one column`);
    values.push(match[1] === undefined ? (match[2] ?? '') : match[1].replaceAll('""', '"'));
  }
  const [first, ...others] = values;
  return (first !== undefined && isJsonObject(first) ? values : others).filter((value) => value.trim() !== '');
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null;
  } catch {
    return false;
  }
}

function invalid(file: string, why: string): AksmlError {
  return new AksmlError('profileInput.invalid', `${file} cannot be read: ${why}.`, {
    fault: 'input',
    subject: file,
    remedy:
      'Write one request body a row, in quotation marks, with each quotation mark in it doubled; or one a line of a .jsonl.',
  });
}
