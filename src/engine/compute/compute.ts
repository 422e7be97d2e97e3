import { buffer } from 'node:stream/consumers';
import type { ComputeTargetRecord } from '../../contract/compute-record.ts';
import { AksmlError } from '../../contract/error.ts';
import { COMPUTE_NAME, followsRule } from '../../contract/names.ts';
import type { Home } from '../../home/home.ts';
import { recallDocument } from '../registry/documents.ts';
import { putEmpty } from '../registry/empty.ts';
import { MEDIA_TYPE, type Registry } from '../registry/registry.ts';

/** Where a workspace's compute targets are recorded: in its registry, so that everybody who works in the workspace sees them. */
export interface ComputeStore {
  readonly registry: Registry;
  /** Where a record that was read before is kept. */
  readonly home?: Home;
}

const REPOSITORY = 'compute-targets';
const ARTIFACT = 'application/vnd.aksml.compute-target.v1';
const DETACHED = 'application/vnd.aksml.compute-target.detached.v1';
const CONFIG = 'application/vnd.aksml.compute-target.config.v1+json';
/** v1 kept these names to itself. */
const RESERVED = ['local', 'amlcompute', 'containerinstance'];

/** @throws AksmlError `computeTarget.badName` */
export function checkComputeName(name: string): void {
  const reserved = RESERVED.includes(name.toLowerCase());
  if (followsRule(COMPUTE_NAME, name) && !reserved) return;
  throw new AksmlError(
    'computeTarget.badName',
    reserved
      ? `The name ${name} is reserved, as in Azure Machine Learning v1.`
      : `${JSON.stringify(name)} is not a valid compute target name.`,
    { fault: 'input', subject: `computeTarget/${name}`, remedy: `Use ${COMPUTE_NAME.hint}.` },
  );
}

/** By name. */
export async function listComputeRecords(store: ComputeStore, signal?: AbortSignal): Promise<ComputeTargetRecord[]> {
  const tags = await store.registry.listTags(REPOSITORY, signal);
  const records = await Promise.all(tags.map((tag) => read(store, tag, signal)));
  return records.filter((record) => record !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
}

export async function findComputeRecord(
  store: ComputeStore,
  name: string,
  signal?: AbortSignal,
): Promise<ComputeTargetRecord | undefined> {
  return followsRule(COMPUTE_NAME, name) ? read(store, tagOf(name), signal) : undefined;
}

/** Records a target, or replaces the record of that name. */
export async function putComputeRecord(
  store: ComputeStore,
  record: ComputeTargetRecord,
  signal?: AbortSignal,
): Promise<void> {
  checkComputeName(record.name);
  await write(store, tagOf(record.name), ARTIFACT, record, signal);
}

/** Nothing happens when there is none of that name. */
export async function removeComputeRecord(store: ComputeStore, name: string, signal?: AbortSignal): Promise<void> {
  const tag = tagOf(name);
  if ((await read(store, tag, signal)) === undefined) return;
  try {
    await store.registry.deleteManifest(REPOSITORY, tag, signal);
  } catch (error) {
    if (AksmlError.is(error, 'registry.notFound')) return;
    // Many registries let nobody delete, or only some: then a mark takes the record's place.
    if (!AksmlError.is(error)) throw error;
    await write(store, tag, DETACHED, {}, signal);
  }
}

function tagOf(name: string): string {
  return name.toLowerCase();
}

async function read(
  { registry, home }: ComputeStore,
  tag: string,
  signal: AbortSignal | undefined,
): Promise<ComputeTargetRecord | undefined> {
  try {
    const { manifest } = await registry.getManifest(REPOSITORY, tag, signal);
    if (manifest.artifactType !== ARTIFACT) return undefined;
    const { digest } = manifest.config;
    const get = async () => buffer(await registry.getBlob(REPOSITORY, digest, signal));
    const content = home === undefined ? await get() : await recallDocument(home, digest, get);
    return JSON.parse(Buffer.from(content).toString('utf8')) as ComputeTargetRecord;
  } catch (error) {
    if (AksmlError.is(error, 'registry.notFound')) return undefined;
    throw error;
  }
}

async function write(
  { registry }: ComputeStore,
  tag: string,
  artifactType: string,
  content: unknown,
  signal: AbortSignal | undefined,
): Promise<void> {
  const aborting = signal === undefined ? {} : { signal };
  const bytes = Buffer.from(JSON.stringify(content));
  const config = await registry.putBlob(REPOSITORY, bytes, { mediaType: CONFIG, ...aborting });
  const empty = await putEmpty(registry, REPOSITORY, signal);
  await registry.putManifest(
    REPOSITORY,
    { schemaVersion: 2, mediaType: MEDIA_TYPE.manifest, artifactType, config, layers: [empty] },
    { tag, ...aborting },
  );
}
