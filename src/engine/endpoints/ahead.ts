import type { InferenceSpec } from '../../contract/deployment.ts';
import type { Engine } from '../engine.ts';
import type { BaseImage } from '../images/base-image.ts';
import type { StoredRevision } from '../revisions/revisions.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { baseOf } from './architecture.ts';
import type { RunOptions } from './stages.ts';

/** What a build finds out, begun while it is judged whether there is to be one. */
export interface BuildAhead {
  readonly newest: Promise<StoredRevision | undefined>;
  readonly git: Promise<Readonly<Record<string, string>>>;
  readonly snapshot: Promise<Snapshot>;
  /** For the architecture that the environment names; undefined where it is not read ahead. */
  readonly base: Promise<BaseImage | undefined>;
}

/** Reads, and packs on this machine. Nothing is stored in a registry, or told, before `judging` has ended well; else all of it stops. */
export function readAhead(
  engine: Engine,
  request: {
    readonly endpoint: string;
    readonly version: string;
    readonly inference: InferenceSpec;
    readonly liftLimits: boolean;
  },
  judging: Promise<unknown>,
  { onProgress, signal }: RunOptions,
): BuildAhead {
  const stopping = new AbortController();
  const until = signal ? AbortSignal.any([signal, stopping.signal]) : stopping.signal;
  let isJudged = false;
  judging.then(
    () => {
      isJudged = true;
    },
    () => stopping.abort(),
  );
  const { endpoint, version, inference, liftLimits } = request;
  const { environment } = inference;
  const ahead: BuildAhead = {
    newest: import('../revisions/revisions.ts').then(({ findNewestRevision }) =>
      findNewestRevision(engine, endpoint, version, until),
    ),
    git: import('./git.ts').then(({ gitProperties }) => gitProperties(inference, engine.environment)),
    snapshot: import('../snapshot/snapshot.ts').then(({ takeSnapshot }) =>
      takeSnapshot(
        engine,
        { ...inference, liftLimits },
        {
          onProgress: (event) => isJudged && onProgress?.(event),
          signal: until,
          hold: true,
          storeAfter: judging,
        },
      ),
    ),
    // What cannot be read ahead is read again by the build, which says why.
    base:
      environment.kind === 'inline'
        ? baseOf(engine, environment.definition, undefined, undefined, until).catch(() => undefined)
        : Promise.resolve(undefined),
  };
  for (const begun of [ahead.newest, ahead.git, ahead.snapshot]) begun.catch(() => {});
  return ahead;
}
