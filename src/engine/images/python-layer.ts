import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import { explainFailure, pythonInstallCommand } from '../environments/uv.ts';
import { PYTHON_DOWNLOAD_TIMEOUT_MS } from '../environments/uv-session.ts';
import { compileModules } from './bytecode.ts';
import { type LayerTarget, type LayerWorkshop, uvPlatform, type WorkshopSession } from './environment-layer.ts';
import { folderEntries } from './folder-entries.ts';
import { ENVIRONMENT_IMAGES } from './image-repositories.ts';
import { type Compression, type Layer, type LayerEntry, packEntries, storeLayer } from './layer.ts';
import { layerOnce } from './layer-once.ts';

/** Where the Python of a base image that has none is. */
const PYTHON_FOLDER = 'opt/aksml/python';
/** Changes when the same Python would be packed differently. */
const FORMAT = 2;

/** Absolute in the image. */
export function pythonPath(minor: string): string {
  return `/${PYTHON_FOLDER}/bin/python${minor}`;
}

/**
 * A Python that runs from a folder of its own on any Linux with that C library, as uv manages them, as a layer. Made once a registry.
 * @throws AksmlError `python.unobtainable`
 */
export async function pythonLayer(
  workshop: LayerWorkshop,
  target: LayerTarget,
  { compression, refresh }: { readonly compression: Compression; readonly refresh: boolean },
): Promise<Layer> {
  const { registry, signal } = workshop;
  const name = `cpython-${target.minor}-${uvTarget(target)}`;
  const make = async (): Promise<Layer> => {
    await mkdir(workshop.home.cache, { recursive: true, mode: 0o700 });
    const work = await mkdtemp(join(workshop.home.cache, 'python-'));
    try {
      const session = await workshop.openSession(work);
      const entries = await pythonEntries(await install(session, name, work));
      const compiler = await session.compilerFor(target.minor);
      const compiled = compiler && (await compileModules(compiler, entries, target, join(work, 'bytecode'), signal));
      return await storeLayer(registry, ENVIRONMENT_IMAGES, packEntries([...entries, ...(compiled ?? [])], signal), {
        compression,
        ...(signal === undefined ? {} : { signal }),
      });
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  };
  const place = { registry, repository: ENVIRONMENT_IMAGES };
  return layerOnce(place, `python-v${FORMAT}-${name}-${compression}`, make, signal, refresh);
}

/** `linux-x86_64-gnu` */
function uvTarget(target: LayerTarget): string {
  return uvPlatform(target).replace(/^(\w+)-unknown-linux/, 'linux-$1');
}

/** The folder that it was installed in. */
async function install({ session }: WorkshopSession, name: string, work: string): Promise<string> {
  const folder = join(work, 'pythons');
  const command = pythonInstallCommand(session.uv, name, folder);
  const result = await session.run(command, undefined, PYTHON_DOWNLOAD_TIMEOUT_MS);
  const installed = result.exitCode === 0 ? await readdir(folder, { withFileTypes: true }) : [];
  // Beside it there may be a link that has the minor version for its name.
  const found = installed.find((item) => item.isDirectory() && item.name.startsWith('cpython-'));
  if (found) return join(folder, found.name);
  const explanation = explainFailure(result.stderr);
  throw new AksmlError('python.unobtainable', `uv could not fetch ${name}: ${explanation[0] ?? 'no reason is told'}.`, {
    logTail: explanation,
    remedy:
      'Name a base image that has Python, or the mirror from which uv is to fetch it (UV_PYTHON_INSTALL_MIRROR), or write the Docker build context instead.',
  });
}

/** Where a Python notes the folder that it was installed in. */
const NOTES_FOLDER = /\/(?:_sysconfigdata_[^/]*\.py|_sysconfig_vars_[^/]*\.json|pkgconfig\/[^/]+\.pc)$/;

/** Nothing of this machine is left in it. */
export async function pythonEntries(folder: string): Promise<LayerEntry[]> {
  const entries = await folderEntries(folder, PYTHON_FOLDER);
  return Promise.all(
    entries
      .filter(({ path }) => !path.endsWith('.pyc'))
      .map(async (entry) => {
        if (entry.kind !== 'file' || !NOTES_FOLDER.test(entry.path) || entry.content instanceof Uint8Array)
          return entry;
        const text = await readFile(entry.content.source, 'utf8');
        return { ...entry, content: Buffer.from(text.replaceAll(folder, `/${PYTHON_FOLDER}`)) };
      }),
  );
}
