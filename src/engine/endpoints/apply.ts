import type { EndpointSecrets } from '../../contract/compute-target.ts';
import type { Endpoint } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import { together } from '../../parallel/parallel.ts';
import type { Engine } from '../engine.ts';
import type { BuiltVersion } from './build.ts';
import { type Begun, type Making, noted, refuseOther } from './handed-over.ts';
import { type RunOptions, runStage } from './stages.ts';
import { pickVersion } from './versions.ts';
import { waitUntilHealthy } from './watch.ts';

interface Change {
  readonly versionName?: string;
  readonly secrets?: EndpointSecrets;
  readonly wait: boolean;
  readonly built?: Pick<BuiltVersion, 'describe'>;
  /** It is what is there. Whatever of the hand-over is missing is made up for. */
  readonly isThere?: boolean;
}

/** The last step of every change: one write, then the wait for what it brings about. */
export async function applyAndWait(
  engine: Engine,
  wanted: Endpoint,
  request: Change,
  options: RunOptions,
): Promise<Endpoint> {
  const { name } = wanted.metadata;
  const { wait, versionName, isThere = false } = request;
  const applied = await runStage('apply', `Handing ${name} to ${engine.target.name}`, options, async () => {
    const value = await engine.target.applyEndpoint(wanted, request.secrets, options.signal);
    const detail = isThere ? 'as handed over before' : `generation ${value.metadata.generation ?? 1}`;
    return { value, reused: isThere, detail };
  });
  const [endpoint] = await together(
    wait && versionName !== undefined ? waitUntilHealthy(engine, applied, versionName, options) : applied,
    describeImage(request.built, options),
  );
  return endpoint;
}

/** What does not serve is no reason to call a deploy failed that serves. */
async function describeImage(
  built: Pick<BuiltVersion, 'describe'> | undefined,
  { onProgress, signal }: RunOptions,
): Promise<void> {
  try {
    await built?.describe?.();
  } catch (error) {
    if (signal?.aborted || !(error instanceof AksmlError)) throw error;
    const message = `The list of what is in the image could not be stored beside it: ${error.message}`;
    const remedy = 'What is deployed does not need it; the next deploy of the same stores it.';
    onProgress?.({ type: 'problem', problem: { severity: 'warning', code: 'image.undescribed', message, remedy } });
  }
}

/**
 * The last step of what makes something new. What a command that was cut off has `begun` is waited for as it is.
 * @throws AksmlError {@link Begun.refusal} | as {@link applyAndWait}
 */
export async function applyNew(
  engine: Engine,
  making: Making,
  wanted: Endpoint,
  { begun, ...change }: Change & { readonly versionName: string; readonly begun: Begun | undefined },
  options: RunOptions,
): Promise<Endpoint> {
  if (begun) await refuseOther(engine, begun, wanted, change.secrets ?? {}, options.signal);
  const endpoint = begun?.endpoint ?? wanted;
  const version = begun?.version ?? pickVersion(wanted, change.versionName);
  const isThere = begun !== undefined;
  return noted(engine, making, version, () => applyAndWait(engine, endpoint, { ...change, isThere }, options));
}
