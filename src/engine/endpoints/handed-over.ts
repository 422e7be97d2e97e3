import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { EndpointSecrets } from '../../contract/compute-target.ts';
import type { Endpoint, EndpointSpec, VersionSpec } from '../../contract/endpoint.ts';
import type { AksmlError } from '../../contract/error.ts';
import { ensureFolder } from '../../home/folder.ts';
import type { Engine } from '../engine.ts';
import { sha256 } from '../registry/reference.ts';
import { isVerdict } from './watch.ts';

/** What is made anew: an endpoint, or one more version of it. */
export interface Making {
  readonly endpoint: string;
  readonly version?: string;
}

/** A version as a command has handed it over, or was about to: noted until that command knows how it ended. */
export type HandOver = Pick<VersionSpec, 'name' | 'revision' | 'updatedTime'>;

/** Of a command that was cut off, or is still at it. */
export async function readHandOver(engine: Engine, making: Making): Promise<HandOver | undefined> {
  try {
    return JSON.parse(await readFile(noteOf(engine, making), 'utf8')) as HandOver;
  } catch {
    return undefined;
  }
}

/** What a command that was cut off has made, for the same command, run again. */
export interface Begun {
  readonly endpoint: Endpoint;
  readonly version: VersionSpec;
  /** For one that would make something else: what it is to make is there. */
  readonly refusal: AksmlError;
}

/** Undefined where nothing was handed over, or somebody has deployed another in place of it. */
export function begunBy(
  handOver: HandOver | undefined,
  endpoint: Endpoint | undefined,
  refusal: (endpoint: Endpoint) => AksmlError,
): Begun | undefined {
  const version = endpoint?.spec.versions.find(
    ({ name, revision, updatedTime }) =>
      name === handOver?.name && revision === handOver.revision && updatedTime === handOver.updatedTime,
  );
  return endpoint && version && { endpoint, version, refusal: refusal(endpoint) };
}

/**
 * Notes what `work` hands over until its end is known, also when that end is a bad one: after a kill or a Ctrl+C in between, the same command
 * finds by the note that it is to wait for what is there, not to refuse it.
 */
export async function noted<T>(
  engine: Engine,
  making: Making,
  { name, revision, updatedTime }: HandOver,
  work: () => Promise<T>,
): Promise<T> {
  const file = noteOf(engine, making);
  const note: HandOver = { name, revision, updatedTime };
  // A deploy is as good without it, and waits for no disk: only the command cannot be run again in the same words.
  await ensureFolder(engine.home.handOvers, 0o700)
    .then(() => writeFile(file, JSON.stringify(note), { mode: 0o600 }))
    .catch(() => undefined);
  const forget = () => rm(file, { force: true }).catch(() => undefined);
  try {
    const result = await work();
    await forget();
    return result;
  } catch (error) {
    if (isVerdict(error)) await forget();
    throw error;
  }
}

function noteOf({ home, workspace, target }: Engine, { endpoint, version }: Making): string {
  const digest = sha256(JSON.stringify([workspace.name, target.name, endpoint, version]));
  return join(home.handOvers, `${digest.slice('sha256:'.length)}.json`);
}

/**
 * Whatever would be handed over must be there, values of secrets included; when it was does not matter.
 * @throws AksmlError {@link Begun.refusal}
 */
export async function refuseOther(
  { target }: Engine,
  { endpoint, refusal }: Begun,
  wanted: Endpoint,
  { keys, environmentVariables = {} }: EndpointSecrets,
  signal?: AbortSignal,
): Promise<void> {
  const { metadata, spec } = endpoint;
  const given = Object.entries(environmentVariables);
  // On this machine, an image with secret values is another each time.
  const ignoresImage = target.kind === 'local' && given.length > 0;
  if (!isDeepStrictEqual(essence(spec, ignoresImage), essence(wanted.spec, ignoresImage))) throw refusal;
  const stored = given.length === 0 ? {} : await target.getSecretVariables(endpoint, signal);
  if (!given.every(([version, values]) => holds(stored[version], values))) throw refusal;
  if (keys && spec.auth === 'key' && !holds(await target.getKeys(metadata.name), keys)) throw refusal;
}

/** Without when it was written, and what the compute target has added. */
function essence(spec: EndpointSpec, ignoresImage: boolean): unknown {
  const versions = spec.versions
    .map(({ createdTime: _created, updatedTime: _updated, variablesRevision: _variables, ...version }) => {
      const { imagePullSecret: _pull, image, ...rest } = version;
      return ignoresImage ? rest : { ...rest, image };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  // What is undefined is not there.
  return JSON.parse(JSON.stringify({ ...spec, versions }));
}

/** Null stands for whatever is stored. */
function holds(stored: object = {}, given: object): boolean {
  const values = new Map<string, unknown>(Object.entries(stored));
  return Object.entries(given).every(([name, value]) => value === null || values.get(name) === value);
}
