import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import type { OnProgress } from '../../contract/event.ts';
import type { Problem } from '../../contract/problem.ts';
import type { Home } from '../../home/home.ts';
import { withLock } from '../../home/lock.ts';
import { together } from '../../parallel/parallel.ts';
import type { Command } from '../environments/command.ts';
import { shortHash } from '../environments/store.ts';
import { classifyFailure, explainFailure, parseLock, type Uv } from '../environments/uv.ts';
import type { UvSession } from '../environments/uv-session.ts';
import type { Registry } from '../registry/registry.ts';
import type { Platform } from './base-image.ts';
import { compileModules, type ModuleCompiler } from './bytecode.ts';
import { ENVIRONMENT_IMAGES } from './image-repositories.ts';
import { type Compression, type Layer, type LayerEntry, packEntries, storeLayer } from './layer.ts';
import { findKept, hasDiffId, keep } from './layer-once.ts';
import { venvEntries } from './venv-entries.ts';

/** The Python of the image that the packages are for. */
export interface LayerTarget {
  readonly platform: Platform;
  readonly libc: 'gnu' | 'musl';
  /** `3.11` */
  readonly minor: string;
  /** Absolute in the image. */
  readonly python: string;
}

export interface EnvironmentLayer extends Layer {
  /** Exact requirements, with hashes. */
  readonly lock: readonly string[];
  /** Their modules, compiled; absent where whoever built it had no Python of that minor version, nor could fetch one. */
  readonly bytecode?: Layer;
  readonly reused: boolean;
}

export interface EnvironmentLayerRequest {
  readonly target: LayerTarget;
  /** Requirements without credentials, as the plan has them. Decides, with the target, what is built. */
  readonly identity: unknown;
  readonly preReleases: boolean;
  readonly compression: Compression;
  /** Resolve anew, whatever was locked before. */
  readonly refresh?: boolean;
  /** Exactly these packages instead of what would be resolved. */
  readonly lock?: readonly string[];
}

export interface WorkshopSession {
  readonly session: UvSession;
  readonly hostPython: string;
  /** Undefined where there is no Python of that minor version, and none can be fetched. */
  readonly compilerFor: (minor: string) => Promise<ModuleCompiler | undefined>;
}

export interface LayerWorkshop {
  readonly home: Home;
  /** Where layers are kept, in {@link ENVIRONMENT_IMAGES}, so that the same environment is built once. */
  readonly registry: Registry;
  /** Called only when the layer must be built. */
  readonly openSession: (folder: string) => Promise<WorkshopSession>;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

const ARTIFACT = 'application/vnd.aksml.environment-layer.v1';
const RECORD = 'application/vnd.aksml.environment-layer.config.v1+json';
/** Changes when the same packages would be packed differently. */
const FORMAT = 2;

/**
 * The packages of an environment as an image layer, built by uv for the image's Python and platform without running a container. Built
 * once: the same request finds it again, with the versions that were locked then.
 * @throws AksmlError `environment.unresolvable` | `environment.installFailed`
 */
export async function environmentLayer(
  workshop: LayerWorkshop,
  request: EnvironmentLayerRequest,
): Promise<EnvironmentLayer> {
  const { target, compression, lock } = request;
  const identity = lock === undefined ? request.identity : { lock };
  const key = `layer-${shortHash({ format: FORMAT, target, identity, compression })}`;
  const options = workshop.signal === undefined ? {} : { signal: workshop.signal };
  return withLock(
    workshop.home,
    `environment-${key}`,
    async () => {
      const known = await readKnown(workshop, key);
      if (known && !request.refresh) return { ...known, reused: true };
      const built = await build(workshop, request, key);
      await remember(workshop, key, built);
      return { ...built, reused: false };
    },
    options,
  );
}

type BuiltLayer = Omit<EnvironmentLayer, 'reused'>;

async function build(workshop: LayerWorkshop, request: EnvironmentLayerRequest, key: string): Promise<BuiltLayer> {
  const work = join(workshop.home.cache, `environment-${key}`);
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true, mode: 0o700 });
  try {
    const { session, hostPython, compilerFor } = await workshop.openSession(work);
    const options: UvOptions = { hostPython, noIndex: session.noIndex, preReleases: request.preReleases };
    const lock = request.lock ?? (await resolveFor(session, request.target, options));
    const folder = join(work, 'packages');
    await install(session, request.target, options, lock, folder);
    workshop.onProgress?.({
      type: 'progress',
      stage: 'environment',
      done: lock.length,
      total: lock.length,
      unit: 'packages',
      detail: 'packing',
    });
    const entries = await venvEntries(folder, request.target);
    const store = (packed: readonly LayerEntry[]) =>
      storeLayer(workshop.registry, ENVIRONMENT_IMAGES, packEntries(packed, workshop.signal), {
        compression: request.compression,
        ...(workshop.signal === undefined ? {} : { signal: workshop.signal }),
      });
    const compile = async (): Promise<Layer | undefined> => {
      const compiler = await compilerFor(request.target.minor);
      if (!compiler) return undefined;
      const compiled = await compileModules(compiler, entries, request.target, join(work, 'bytecode'), workshop.signal);
      return compiled && store(compiled);
    };
    const [layer, bytecode] = await together(store(entries), compile());
    if (bytecode === undefined) workshop.onProgress?.({ type: 'problem', problem: uncompiled(request.target.minor) });
    return { ...layer, lock, ...(bytecode === undefined ? {} : { bytecode }) };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function uncompiled(minor: string): Problem {
  return {
    severity: 'notice',
    code: 'environment.notCompiled',
    message: `The packages are not compiled, as no Python ${minor} of this machine could do it and none could be fetched: each replica compiles what it imports when it starts.`,
    remedy: `Install Python ${minor} for a faster start, and deploy once with --refresh.`,
  };
}

interface UvOptions {
  /** uv wants a Python to work with, whatever the target. */
  readonly hostPython: string;
  readonly noIndex: boolean;
  readonly preReleases: boolean;
}

async function resolveFor(session: UvSession, target: LayerTarget, options: UvOptions): Promise<string[]> {
  const file = join(session.folder, 'requirements.in');
  await writeFile(file, `${session.requirements.join('\n')}\n`, { mode: 0o600 });
  const result = await session.run(resolveCommand(session.uv, file, target, options));
  if (result.exitCode === 0) return parseLock(session.redact(result.stdout));
  throw uvFailed('environment.unresolvable', `The packages cannot be resolved for ${nameOf(target)}`, result.stderr);
}

async function install(
  session: UvSession,
  target: LayerTarget,
  options: UvOptions,
  lock: readonly string[],
  folder: string,
): Promise<void> {
  const file = join(session.folder, 'requirements.lock');
  await writeFile(file, `${lock.join('\n')}\n`, { mode: 0o600 });
  const result = await session.run(installForCommand(session.uv, file, target, options, folder));
  if (result.exitCode === 0) return;
  throw uvFailed(
    'environment.installFailed',
    `The packages could not be installed for ${nameOf(target)}`,
    result.stderr,
  );
}

/** Resolves for another machine than this one. Source distributions are refused: they would be built for this one. */
export function resolveCommand(uv: Uv, requirementsFile: string, target: LayerTarget, options: UvOptions): Command {
  return call(uv, [
    ...['pip', 'compile', requirementsFile, '--generate-hashes', '--no-header', '--no-annotate', '--upgrade'],
    ...forTarget(target, options),
  ]);
}

export function installForCommand(
  uv: Uv,
  lockFile: string,
  target: LayerTarget,
  options: UvOptions,
  folder: string,
): Command {
  return call(uv, [
    ...['pip', 'install', '--target', folder, '--requirements', lockFile, '--no-deps', '--no-compile-bytecode'],
    ...forTarget(target, options),
  ]);
}

function forTarget(target: LayerTarget, { hostPython, noIndex, preReleases }: UvOptions): string[] {
  return [
    ...['--python', hostPython, '--python-version', target.minor, '--python-platform', uvPlatform(target)],
    ...['--only-binary', ':all:', '--index-strategy', 'unsafe-best-match'],
    ...(preReleases ? ['--prerelease', 'allow'] : []),
    ...(noIndex ? ['--no-index'] : []),
  ];
}

const UV_ARCHITECTURE: Readonly<Record<string, string>> = { amd64: 'x86_64', arm64: 'aarch64' };

/** uv's name of a platform. @throws AksmlError `image.wrongPlatform` */
export function uvPlatform({ platform, libc }: LayerTarget): string {
  const architecture = UV_ARCHITECTURE[platform.architecture];
  if (platform.os === 'linux' && architecture !== undefined) return `${architecture}-unknown-linux-${libc}`;
  throw new AksmlError('image.wrongPlatform', `There are no packages for ${platform.os}/${platform.architecture}.`, {
    fault: 'input',
    remedy: 'Use linux with the architecture amd64 or arm64 as docker.platform of the environment.',
  });
}

function nameOf({ minor, platform }: LayerTarget): string {
  return `Python ${minor} on ${platform.os}/${platform.architecture}`;
}

function call(uv: Uv, args: readonly string[]): Command {
  return { command: uv.path, args: [...args, '--color', 'never'], env: uv.env, cwd: uv.cwd };
}

/** @param stderr redacted */
function uvFailed(code: string, what: string, stderr: string): AksmlError {
  const failure = classifyFailure(stderr);
  const explanation = explainFailure(stderr);
  const isInput = ['notFound', 'noWheel', 'conflict', 'build'].includes(failure);
  return new AksmlError(code, `${what}: ${(explanation[0] ?? 'uv failed').replace(/^\s*(error:|\u00d7)\s*/, '')}`, {
    fault: isInput ? 'input' : 'failed',
    logTail: explanation,
    remedy:
      failure === 'noWheel'
        ? 'Choose versions that have a wheel for it, or write the Docker build context instead, where packages can be built.'
        : 'See the log, change the environment, and run the command again.',
  });
}

/** Undefined when it was never built, or the cache was cleared. */
async function readKnown({ registry, signal }: LayerWorkshop, key: string): Promise<BuiltLayer | undefined> {
  const { record, descriptors } = (await findKept({ registry, repository: ENVIRONMENT_IMAGES }, key, signal)) ?? {};
  const [descriptor, compiled] = descriptors ?? [];
  if (!descriptor || !isRecord(record)) return undefined;
  const { diffId, lock, bytecodeDiffId } = record;
  const isCompiled = compiled !== undefined && bytecodeDiffId !== undefined;
  const bytecode = isCompiled ? { bytecode: { descriptor: compiled, diffId: bytecodeDiffId } } : {};
  return { descriptor, diffId, lock, ...bytecode };
}

function remember({ registry, signal }: LayerWorkshop, key: string, built: BuiltLayer): Promise<void> {
  const { descriptor, diffId, lock, bytecode } = built;
  const place = { registry, repository: ENVIRONMENT_IMAGES };
  const descriptors = [descriptor, ...(bytecode === undefined ? [] : [bytecode.descriptor])];
  const record: LayerRecord = { diffId, lock, ...(bytecode === undefined ? {} : { bytecodeDiffId: bytecode.diffId }) };
  return keep(place, key, { artifactType: ARTIFACT, recordType: RECORD, descriptors, record }, signal);
}

interface LayerRecord {
  readonly diffId: string;
  readonly lock: readonly string[];
  /** Of the second layer that is kept. */
  readonly bytecodeDiffId?: string;
}

function isRecord(record: unknown): record is LayerRecord {
  return hasDiffId(record) && 'lock' in record && Array.isArray(record.lock);
}
