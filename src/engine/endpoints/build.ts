import type { SecretVariables } from '../../contract/compute-target.ts';
import type { EffectiveSettings } from '../../contract/deployment.ts';
import type { EnvironmentDefinition } from '../../contract/environment.ts';
import type { Model } from '../../contract/model.ts';
import type { Revision } from '../../contract/revision.ts';
import { together } from '../../parallel/parallel.ts';
import type { Engine } from '../engine.ts';
import { NO_ENVIRONMENT } from '../environments/no-environment.ts';
import type { BaseImage } from '../images/base-image.ts';
import {
  createRevision,
  findNewestRevision,
  getRevision,
  isRevision,
  type StoredRevision,
} from '../revisions/revisions.ts';
import type { BuildAhead } from './ahead.ts';
import { gitProperties } from './git.ts';
import type { Begun } from './handed-over.ts';
import type { CodeSource, PackedCode, Recipe } from './recipe.ts';
import type { SplitVariables } from './secrets.ts';
import type { RunOptions } from './stages.ts';

/** An environment as it was found a moment ago. */
export interface KnownEnvironment {
  readonly definition: EnvironmentDefinition;
  /** Of what {@link BuildRequest.architectures} leaves to choose from. */
  readonly base?: BaseImage;
}

export interface BuildRequest {
  readonly endpoint: string;
  readonly version: string;
  readonly source: CodeSource;
  readonly models: readonly Model[];
  readonly settings: EffectiveSettings;
  /** Added to the environment's own. */
  readonly environmentVariables?: Readonly<Record<string, string>>;
  /** The version exists, so that secret values may be stored already. */
  readonly secretsMayBeStored: boolean;
  readonly build: BuildOptions;
  /** Of the cluster's nodes, where it is known already. */
  readonly architectures?: readonly string[];
  /** What has been read of the environment already. */
  readonly known?: KnownEnvironment;
  /** Digest of the image that the version runs now. */
  readonly formerImage?: string;
  /** What was handed over before, of which this is to be made again: it is no new revision. */
  readonly begun?: Begun;
  /** Of this source. */
  readonly ahead?: BuildAhead;
}

/** What the person asks of the build beyond the configuration. */
export interface BuildOptions {
  /** Interpreter or version to use instead of the one that the environment names. */
  readonly python?: string;
  /** Resolve the environment anew instead of using what was locked. */
  readonly refreshEnvironment?: boolean;
  readonly liftSnapshotLimits?: boolean;
  /** On this machine: run the source directory itself, with a debugger at this loopback port. */
  readonly debugPort?: number;
}

/** A version whose parts are where its replicas find them. */
export interface MadeVersion {
  readonly recipe: Recipe;
  readonly image: string;
  readonly imageRepository?: string;
  /** Of the nodes that can run the image, as Kubernetes names it. */
  readonly architecture?: string;
  readonly code?: PackedCode;
  readonly environment?: Pick<Revision['environment'], 'hash' | 'pythonVersion' | 'lock'>;
  /** The environment's and the deployment's, secret ones as references. */
  readonly variables: Readonly<Record<string, string>>;
  readonly split: SplitVariables;
}

/** Records the revision that a version is of. It may be called again when the version had to be made again. */
export type Recorder = (made: MadeVersion) => Promise<StoredRevision>;

export interface RecordedVersion {
  readonly made: MadeVersion;
  readonly recorded: StoredRevision;
  /** See {@link BuiltVersion.describe}. */
  readonly describe?: () => Promise<void>;
}

export interface BuiltVersion {
  readonly image: string;
  readonly imageRepository?: string;
  /** See {@link MadeVersion.architecture}. */
  readonly architecture?: string;
  readonly revision: Revision;
  readonly revisionDigest: string;
  readonly environment: { readonly name?: string; readonly version?: string; readonly hash: string };
  /** The origins that the scoring server's own variable `AML_CORS_ORIGINS` allows; absent when it is not set. */
  readonly corsAllowedOrigins?: readonly string[];
  /** Values for the compute target's secret store, by variable name. */
  readonly secretVariables: SecretVariables;
  /**
   * Stores what is known about the image beside it, and clears up after the revision. Nothing that serves waits for it, so it is the last
   * to be done; of a deploy that was killed before it, the next one does it.
   */
  readonly describe?: () => Promise<void>;
}

/** Loads what {@link buildVersion} needs while something else is waited for. */
export function preloadBuild(engine: Engine): void {
  loadMaker(engine).catch(() => {});
}

async function loadMaker({ target }: Engine) {
  return target.kind === 'local'
    ? (await import('./bundle-build.ts')).makeBundle
    : (await import('./image-build.ts')).makeDeploymentImage;
}

/** Brings every part of a version into place and records the revision. Nothing that serves is touched. */
export async function buildVersion(engine: Engine, request: BuildRequest, options: RunOptions): Promise<BuiltVersion> {
  const { ahead } = request;
  const git = ahead?.git ?? gitFacts(engine, request.source);
  const newest = ahead?.newest ?? findNewestRevision(engine, request.endpoint, request.version, options.signal);
  newest.catch(() => {});
  const left: Promise<unknown>[] = [];
  const record = async (made: MadeVersion): Promise<StoredRevision> =>
    recordRevision(engine, request, draftOf(engine, request, made, await git), made.code, options.signal, {
      finding: newest,
      later(work) {
        work.catch(() => {});
        left.push(work);
      },
    });
  const make = await loadMaker(engine);
  const { made, recorded, describe } = await make(engine, request, options, record);
  const { recipe, environment, split } = made;
  const definition = recipe.definition ?? NO_ENVIRONMENT;
  const { revision, digest } = recorded;
  return {
    image: made.image,
    ...(made.imageRepository === undefined ? {} : { imageRepository: made.imageRepository }),
    ...(made.architecture === undefined ? {} : { architecture: made.architecture }),
    revision,
    revisionDigest: digest,
    secretVariables: split.secret,
    ...(describe === undefined && left.length === 0 ? {} : { describe: () => allOf([describe?.(), ...left]) }),
    ...corsOrigins(split.plain['AML_CORS_ORIGINS']),
    environment: {
      hash: environment?.hash ?? '',
      ...(definition.name === undefined ? {} : { name: definition.name }),
      ...(definition.version === undefined ? {} : { version: definition.version }),
    },
  };
}

async function recordRevision(
  engine: Engine,
  { begun }: BuildRequest,
  draft: Omit<Revision, 'number'>,
  code: PackedCode | undefined,
  signal: AbortSignal | undefined,
  more: Parameters<typeof createRevision>[4],
): Promise<StoredRevision> {
  if (begun === undefined) return createRevision(engine, draft, code, signal, more);
  const recorded = await getRevision(engine, draft.endpoint, draft.version, begun.version.revision, signal);
  if (isRevision(recorded, draft)) return recorded;
  throw begun.refusal;
}

async function allOf(works: readonly (Promise<unknown> | undefined)[]): Promise<void> {
  await together(...works);
}

function draftOf(
  engine: Engine,
  { endpoint, version, models, settings }: BuildRequest,
  { recipe, code, environment, variables }: MadeVersion,
  git: Readonly<Record<string, string>>,
): Omit<Revision, 'number'> {
  const definition = recipe.definition ?? NO_ENVIRONMENT;
  return {
    endpoint,
    version,
    createdTime: engine.clock().toISOString(),
    createdBy: engine.user,
    aksmlVersion: engine.version,
    models: models.map(({ id, treeDigest, basename }) => ({ id, treeDigest, basename })),
    environment: {
      definition: { ...definition, environmentVariables: variables },
      hash: environment?.hash ?? '',
      pythonVersion: environment?.pythonVersion ?? '',
      lock: environment?.lock ?? [],
    },
    settings,
    git,
    ...(code === undefined ? {} : { code: code.reference }),
    ...(recipe.container === undefined ? {} : { container: recipe.container }),
    ...(recipe.noCode === undefined ? {} : { noCode: recipe.noCode }),
  };
}

function corsOrigins(list: string | undefined): Pick<BuiltVersion, 'corsAllowedOrigins'> {
  const origins = list?.split(',').map((origin) => origin.trim());
  return origins === undefined ? {} : { corsAllowedOrigins: origins.filter((origin) => origin !== '') };
}

/** Begun first and awaited last, because git may be slow. */
async function gitFacts(engine: Engine, source: CodeSource): Promise<Readonly<Record<string, string>>> {
  switch (source.kind) {
    case 'inference':
      return gitProperties(source.inference, engine.environment);
    case 'revision':
      return source.revision.git;
    case 'noCode':
    case 'container':
      return {};
  }
}
