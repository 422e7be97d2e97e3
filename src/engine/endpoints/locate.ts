import { setTimeout as sleep } from 'node:timers/promises';
import type { ComputeTarget } from '../../contract/compute-target.ts';
import type { Endpoint } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import type { Problem } from '../../contract/problem.ts';

/** A compute target that is opened when it is needed; opening may fail, as when this machine has no credentials for it. */
export interface TargetSource {
  readonly name: string;
  open(): Promise<ComputeTarget>;
}

export interface Patience {
  /** Milliseconds that a target may take to answer. */
  readonly forAnswer: number;
  /** Milliseconds that the others may still take once one has the endpoint. */
  readonly onceFound: number;
}

const PATIENCE: Patience = { forAnswer: 15_000, onceFound: 2_000 };

type Answer =
  | { readonly kind: 'found'; readonly target: ComputeTarget }
  | { readonly kind: 'absent'; readonly source: string }
  | { readonly kind: 'failed'; readonly source: string; readonly error: unknown };

/**
 * v1 named no compute target for a service that exists: all targets are asked at once. One that fails or is slow keeps nobody from a
 * service that another one has.
 * @throws AksmlError `service.notFound` | `service.ambiguous` | the failure of a target, when no other has the endpoint
 */
export async function locateEndpoint(
  sources: readonly TargetSource[],
  name: string,
  signal?: AbortSignal,
  patience: Patience = PATIENCE,
): Promise<{ readonly target: ComputeTarget; readonly problems: readonly Problem[] }> {
  const leave = new AbortController();
  const asking = signal ? AbortSignal.any([signal, leave.signal]) : leave.signal;
  const answers = new Map<string, Answer>();
  const found = Promise.withResolvers<void>();
  const all = sources.map(async (source) => {
    const answer = await ask(source, name, asking);
    answers.set(source.name, answer);
    if (answer.kind === 'found') found.resolve();
  });
  const everybody = Promise.all(all);
  const wait = (milliseconds: number) => sleep(milliseconds, undefined, { signal: asking }).catch(() => undefined);
  try {
    await Promise.race([everybody, wait(patience.forAnswer), found.promise.then(() => wait(patience.onceFound))]);
    signal?.throwIfAborted();
  } finally {
    leave.abort();
  }
  return judge(
    name,
    sources.map((source) => answers.get(source.name) ?? silent(source.name)),
  );
}

async function ask(source: TargetSource, name: string, signal: AbortSignal): Promise<Answer> {
  try {
    const target = await source.open();
    await target.getEndpoint(name, signal);
    return { kind: 'found', target };
  } catch (error) {
    return AksmlError.is(error, 'service.notFound')
      ? { kind: 'absent', source: source.name }
      : { kind: 'failed', source: source.name, error };
  }
}

function silent(source: string): Answer {
  return { kind: 'failed', source, error: new Error('it did not answer in time') };
}

function judge(
  name: string,
  answers: readonly Answer[],
): { readonly target: ComputeTarget; readonly problems: readonly Problem[] } {
  const targets = answers.flatMap((answer) => (answer.kind === 'found' ? [answer.target] : []));
  const failed = answers.filter((answer) => answer.kind === 'failed');
  const [target] = targets;
  if (targets.length > 1) {
    throw new AksmlError('service.ambiguous', `${name} is on several compute targets: ${names(targets)}.`, {
      fault: 'input',
      subject: name,
      remedy: 'Say which one is meant with --compute-target NAME.',
    });
  }
  if (target) return { target, problems: failed.map(({ source, error }) => notAsked(source, error)) };
  const isDamaged = ({ error }: { readonly error: unknown }) => AksmlError.is(error, 'service.damaged');
  const failure = failed.find(isDamaged) ?? failed[0];
  if (failure === undefined) throw notFound(name, answers);
  if (answers.length === 1 || isDamaged(failure)) throw failure.error;
  const others = answers.flatMap((answer) => (answer.kind === 'absent' ? [answer.source] : []));
  throw new AksmlError(
    'computeTarget.unreachable',
    `${JSON.stringify(name)} is not on ${others.join(', ') || 'any compute target that answered'}, and ${failure.source} could not be asked: ${reason(failure.error)}`,
    {
      subject: `computeTarget/${failure.source}`,
      remedy: remedyOf(failure.error) ?? `See "aksml computetarget show -n ${failure.source}".`,
      cause: failure.error,
    },
  );
}

function notFound(name: string, answers: readonly Answer[]): AksmlError {
  const places = answers.flatMap((answer) => (answer.kind === 'absent' ? [answer.source] : []));
  const where =
    places.length === 1 ? `the compute target ${places[0]}` : `any of the compute targets ${places.join(', ')}`;
  return new AksmlError('service.notFound', `There is no service or endpoint ${JSON.stringify(name)} on ${where}.`, {
    fault: 'input',
    subject: name,
    remedy: 'See "aksml service list" for those there are.',
  });
}

/** What all targets have, and which of them could not say. */
export async function listEverywhere(
  sources: readonly TargetSource[],
  signal?: AbortSignal,
  patience: Patience = PATIENCE,
): Promise<{
  readonly found: readonly { readonly target: ComputeTarget; readonly endpoints: readonly Endpoint[] }[];
  readonly problems: readonly Problem[];
}> {
  const late = AbortSignal.timeout(patience.forAnswer);
  const asking = signal ? AbortSignal.any([signal, late]) : late;
  const answers = await Promise.all(
    sources.map(async (source) => {
      try {
        return await untilAborted(asking, async () => {
          const target = await source.open();
          return { target, endpoints: await target.listEndpoints(asking) };
        });
      } catch (error) {
        return notAsked(source.name, late.aborted ? new Error('it did not answer in time') : error);
      }
    }),
  );
  signal?.throwIfAborted();
  return {
    found: answers.filter((answer) => 'target' in answer),
    problems: answers.filter((answer) => 'severity' in answer),
  };
}

/** Also where what is asked does not heed the signal. */
export function untilAborted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const leave = () => reject(signal.reason);
  signal.addEventListener('abort', leave, { once: true });
  return Promise.race([work(), promise]).finally(() => signal.removeEventListener('abort', leave));
}

function notAsked(source: string, error: unknown): Problem {
  const remedy = remedyOf(error);
  return {
    severity: 'warning',
    code: 'computeTarget.unreachable',
    message: `The compute target ${source} could not be asked: ${reason(error)}`,
    ...(remedy === undefined ? {} : { remedy }),
  };
}

function reason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.endsWith('.') ? message : `${message}.`;
}

function remedyOf(error: unknown): string | undefined {
  return AksmlError.is(error) ? error.remedy : undefined;
}

function names(targets: readonly ComputeTarget[]): string {
  return targets.map((target) => target.name).join(', ');
}
