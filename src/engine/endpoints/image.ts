import { createHash } from 'node:crypto';
import { access, link, mkdir, readdir, readFile, rm, stat, symlink, utimes } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import type { Bundle } from '../../contract/bundle.ts';
import type { EffectiveSettings } from '../../contract/deployment.ts';
import type { CustomContainer } from '../../contract/endpoint.ts';
import type { Model } from '../../contract/model.ts';
import type { CodeReference } from '../../contract/revision.ts';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import type { Home } from '../../home/home.ts';
import { withLock } from '../../home/lock.ts';
import type { Registry } from '../registry/registry.ts';
import { materializeCode } from '../revisions/materialize.ts';
import type { DebuggedSource } from './debugging.ts';

/** The parts of a deployment image, all of them already in place on this machine. */
export interface ImageParts {
  readonly code?: CodeReference;
  readonly models: readonly { readonly model: Model; readonly folder: string }[];
  readonly environment: {
    readonly hash: string;
    readonly python?: string;
    readonly variables: Readonly<Record<string, string>>;
  };
  readonly settings: EffectiveSettings;
  readonly container?: CustomContainer;
  /** Runs from the working tree instead of the packed code. */
  readonly debugged?: DebuggedSource;
  /** Changes when secret values were given anew, so that replicas pick them up. */
  readonly secretsNonce?: string;
}

/** v1's place of the registered files below the app root: facts of the container's contract. */
const MODELS_FOLDER = 'azureml-models';

/** Below the bundle's folder. The marker is written last. */
const MARKER = 'bundle.json';
const FILES = 'files.json';
const APP_ROOT = 'app';

/**
 * Composes what a replica of the embedded target runs from and returns its digest. Files of models are hard-linked, not copied.
 * Composing the same parts again costs one look-up.
 */
export async function composeBundle(
  store: { readonly home: Home; readonly registry: Registry },
  parts: ImageParts,
): Promise<{ readonly image: string; readonly reused: boolean }> {
  const image = imageDigest(parts);
  const folder = bundleFolder(store.home, image);
  if (await reuseBundle(store.home, image)) return { image, reused: true };
  return withLock(store.home, `bundle-${image.slice(7, 23)}`, async () => {
    if (await reuseBundle(store.home, image)) return { image, reused: true };
    // One that was finished once and has lost files may still be run from: it is mended where it stands.
    if (!(await isThere(join(folder, MARKER)))) await rm(folder, { recursive: true, force: true });
    const appRoot = join(folder, APP_ROOT);
    await mkdir(appRoot, { recursive: true, mode: 0o700 });
    if (parts.debugged) await linkSource(parts.debugged, appRoot);
    else if (parts.code) await materializeCode(store, parts.code, appRoot);
    for (const { model, folder: source } of parts.models) {
      await linkTree(
        source,
        join(appRoot, MODELS_FOLDER, model.name, String(model.version), model.basename),
        model.isFolder,
      );
    }
    const bundle: Bundle = {
      image,
      appRoot,
      environmentVariables: replicaVariables(parts),
      workers: parts.settings.maxConcurrentRequestsPerContainer,
      scoringTimeoutMs: parts.settings.scoringTimeoutMs,
      ...(parts.environment.python === undefined ? {} : { python: parts.environment.python }),
      ...(parts.container === undefined ? {} : { container: parts.container }),
    };
    await writeFileAtomic(join(folder, FILES), JSON.stringify(await filesIn(appRoot)));
    await writeFileAtomic(join(folder, MARKER), `${JSON.stringify(bundle, null, 2)}\n`);
    return { image, reused: false };
  });
}

export function bundleFolder(home: Home, image: string): string {
  return join(home.bundles, image.slice('sha256:'.length));
}

/** Undefined when it is not on this machine. */
export async function readBundle(home: Home, image: string): Promise<Bundle | undefined> {
  const text = await readFile(join(bundleFolder(home, image), MARKER), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Bundle);
}

/** Garbage collection spares what is young, so a bundle that is about to be named again is made young. */
async function reuseBundle(home: Home, image: string): Promise<boolean> {
  const folder = bundleFolder(home, image);
  const now = new Date();
  try {
    await access(join(folder, MARKER));
    await utimes(folder, now, now);
    const wanted = JSON.parse(await readFile(join(folder, FILES), 'utf8')) as readonly string[];
    const present = new Set(await filesIn(join(folder, APP_ROOT)));
    return wanted.every((path) => present.has(path));
  } catch {
    return false;
  }
}

/** `/`-separated. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'));
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function imageDigest(parts: ImageParts): string {
  const identity = {
    code: parts.code && [parts.code.digest, parts.code.entryScript, parts.code.sourceDirectory ?? null],
    models: parts.models.map(({ model }) => [model.id, model.treeDigest, model.basename]),
    environment: parts.environment.hash,
    python: parts.environment.python,
    variables: Object.entries(parts.environment.variables).sort(([a], [b]) => (a < b ? -1 : 1)),
    workers: parts.settings.maxConcurrentRequestsPerContainer,
    scoringTimeoutMs: parts.settings.scoringTimeoutMs,
    appInsights: parts.settings.appInsightsEnabled,
    container: parts.container,
    secrets: parts.secretsNonce,
    debugged: parts.debugged,
  };
  return `sha256:${createHash('sha256').update(JSON.stringify(identity)).digest('hex')}`;
}

/** The variables of v1's scoring container. The user's own `AZUREML_MODEL_DIR` wins, the other two are overwritten, as v1 did. */
function replicaVariables(parts: ImageParts): Record<string, string> {
  return {
    ...(parts.models.length === 0 ? {} : { AZUREML_MODEL_DIR: modelDirectory(parts.models.map(({ model }) => model)) }),
    ...(parts.settings.appInsightsEnabled ? { AML_APP_INSIGHTS_ENABLED: 'true' } : {}),
    ...parts.environment.variables,
    ...(parts.code === undefined ? {} : { AZUREML_ENTRY_SCRIPT: parts.code.entryScript }),
    ...(parts.debugged === undefined
      ? {}
      : { AKSML_DEBUG_PORT: String(parts.debugged.port), AKSML_DEBUG_SOURCE: parts.debugged.path }),
    ...(parts.code?.sourceDirectory === undefined ? {} : { AZUREML_SOURCE_DIRECTORY: parts.code.sourceDirectory }),
  };
}

function modelDirectory(models: readonly Model[]): string {
  const [only] = models;
  return models.length === 1 && only ? `${MODELS_FOLDER}/${only.name}/${only.version}` : MODELS_FOLDER;
}

/** Folders need no privilege on Windows when they are linked as junctions. */
async function linkSource({ path }: DebuggedSource, appRoot: string): Promise<void> {
  const kind = (await stat(path)).isDirectory() ? 'junction' : 'file';
  await symlink(path, join(appRoot, basename(path)), kind);
}

/** Real folders with linked files, so that a script that walks the tree finds everything. */
async function linkTree(source: string, target: string, isFolder: boolean): Promise<void> {
  if (!isFolder) {
    await mkdir(dirname(target), { recursive: true });
    await linkFile(source, target);
    return;
  }
  await mkdir(target, { recursive: true });
  for (const entry of await readdir(source, { withFileTypes: true })) {
    await linkTree(join(source, entry.name), join(target, entry.name), entry.isDirectory());
  }
}

async function linkFile(source: string, target: string): Promise<void> {
  try {
    await link(source, target);
  } catch (error) {
    if (hasCode(error, ['EEXIST'])) return;
    // A file system without hard links, or a model cache on another one.
    if (!hasCode(error, LINK_REFUSALS)) throw error;
    await symlink(source, target, 'file');
  }
}

const LINK_REFUSALS = ['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP'];

function hasCode(error: unknown, codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
