import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import type { Platform } from './base-image.ts';
import { type PackageFile, packageFiles } from './debian-package.ts';
import { neededLibraries, relocated } from './elf.ts';
import packages from './haproxy-packages.json' with { type: 'json' };
import type { ImageTools } from './image-request.ts';
import type { LayerEntry } from './layer.ts';

/** A package as `scripts/haproxy-packages.ts` has noted it down. */
interface PinnedPackage {
  /** Below a Debian mirror. */
  readonly path: string;
  readonly sha256: string;
}

interface Target {
  readonly libraries: string;
  readonly loader: string;
  readonly packages: readonly PinnedPackage[];
}

const TARGETS: Readonly<Record<string, Target>> = {
  'linux/amd64': {
    libraries: 'usr/lib/x86_64-linux-gnu',
    loader: 'ld-linux-x86-64.so.2',
    packages: packages.amd64,
  },
  'linux/arm64': {
    libraries: 'usr/lib/aarch64-linux-gnu',
    loader: 'ld-linux-aarch64.so.1',
    packages: packages.arm64,
  },
};

/** Where every version of every package is kept for ever. */
const ARCHIVE = 'https://snapshot.debian.org/archive';
const DEFAULT_MIRROR = 'https://deb.debian.org';
const PROGRAM = 'usr/sbin/haproxy';
/** Of what is made of the packages. */
const FORMAT = 1;

/** Changes whenever the files do. @throws AksmlError `haproxy.unfit` */
export function haproxyKey(platform: Platform, prefix: string): string {
  const hash = createHash('sha256').update(JSON.stringify([FORMAT, prefix]));
  for (const { sha256 } of targetOf(platform).packages) hash.update(sha256);
  return `haproxy-${hash.digest('hex')}`;
}

/**
 * HAProxy with all its libraries, the C library and the loader included, so that it runs on any Linux of that architecture: the program is
 * `bin/haproxy` below `prefix`, where the files must be in the end. Debian's packages, each checked against its pinned SHA-256, are fetched
 * once and kept. `AKSML_DEBIAN_MIRROR` names another mirror, with `debian` and `debian-security` below it.
 * @throws AksmlError `haproxy.unfit` | `haproxy.unobtainable`
 */
export async function haproxyFiles(
  tools: Pick<ImageTools, 'home' | 'environment' | 'fetch'>,
  platform: Platform,
  prefix: string,
  signal?: AbortSignal,
): Promise<readonly LayerEntry[]> {
  const { libraries, loader, packages: pinned } = targetOf(platform);
  const isWanted = (path: string) =>
    path === PROGRAM ||
    (path.startsWith(`${libraries}/`) && !path.slice(libraries.length + 1).includes('/')) ||
    /^usr\/share\/doc\/[^/]+\/copyright$/.test(path);
  const files = new Map<string, PackageFile>();
  for (const one of pinned) {
    const deb = await fetchPackage(tools, one, signal);
    for (const file of await packageFiles(deb, isWanted)) files.set(file.path, file);
  }
  const program = contentOf(files, PROGRAM);
  const needed = closure(files, libraries, program);
  const at = prefix.replace(/^\/+/, '');
  return [
    {
      ...entry(
        `${at}/bin/haproxy`,
        relocated(program, { loader: `${prefix}/lib/${loader}`, libraries: '$ORIGIN/../lib' }),
      ),
      executable: true,
    },
    ...[...needed].map(([name, content]) => ({ ...entry(`${at}/lib/${name}`, content), executable: name === loader })),
    ...[...files.keys()]
      .filter((path) => path.startsWith('usr/share/doc/'))
      .map((path) => entry(`${at}/doc/${path.split('/')[3]}/copyright`, contentOf(files, path))),
  ];
}

function entry(path: string, content: Buffer) {
  return { kind: 'file', path, executable: false, content } as const;
}

/** The libraries that a program needs, and those that these need. */
function closure(
  files: ReadonlyMap<string, PackageFile>,
  folder: string,
  program: Buffer,
): ReadonlyMap<string, Buffer> {
  const found = new Map<string, Buffer>();
  const wanted = [...neededLibraries(program)];
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    if (found.has(name)) continue;
    const library = contentOf(files, `${folder}/${name}`);
    found.set(name, library);
    wanted.push(...neededLibraries(library));
  }
  return found;
}

/** Links lead from a library's name to the file with its version, in the same folder. */
function contentOf(files: ReadonlyMap<string, PackageFile>, path: string): Buffer {
  const file = files.get(path);
  if (file?.kind === 'file') return file.content;
  if (file?.kind === 'link') return contentOf(files, join(path, '..', basename(file.target)));
  throw new Error(`no package of HAProxy has ${path}`);
}

async function fetchPackage(
  { home, environment, fetch }: Pick<ImageTools, 'home' | 'environment' | 'fetch'>,
  { path, sha256 }: PinnedPackage,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const kept = join(home.tools, 'debian', `${sha256}.deb`);
  const known = await readFile(kept).catch(() => undefined);
  if (known !== undefined && digestOf(known) === sha256) return known;
  const mirror = (environment['AKSML_DEBIAN_MIRROR'] || DEFAULT_MIRROR).replace(/\/+$/, '');
  const [archive = '', ...rest] = path.split('/');
  const places = [`${mirror}/${path}`, [ARCHIVE, archive, packages.time, ...rest].join('/')];
  const failures: unknown[] = [];
  for (const url of places) {
    try {
      const response = await fetch(url, signal === undefined ? {} : { signal });
      if (!response.ok) throw new Error(`it answered ${response.status}`);
      const content = Buffer.from(await response.arrayBuffer());
      if (digestOf(content) !== sha256) throw new Error('its content is not the pinned one');
      await writeFileAtomic(kept, content);
      return content;
    } catch (error) {
      signal?.throwIfAborted();
      failures.push(`${url}: ${error instanceof Error ? error.message : error}`);
    }
  }
  throw new AksmlError('haproxy.unobtainable', `HAProxy could not be fetched. ${failures.join('; ')}.`, {
    subject: basename(path),
    remedy:
      'Name a Debian mirror that can be reached with AKSML_DEBIAN_MIRROR, or an image that has the front end with --front-end-image.',
  });
}

function digestOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

function targetOf({ os, architecture }: Platform): Target {
  const target = TARGETS[`${os}/${architecture}`];
  if (target) return target;
  throw new AksmlError('haproxy.unfit', `There is no HAProxy for ${os}/${architecture}.`, {
    fault: 'input',
    remedy: 'Name an image that has the front end with --front-end-image.',
  });
}
