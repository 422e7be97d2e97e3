import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { AksmlError } from '../../contract/error.ts';
import { type Descriptor, type Manifest, type ManifestOptions, MEDIA_TYPE, type Registry } from './registry.ts';

type ClaimedRegistry = Pick<Registry, 'putManifest' | 'deleteManifest' | 'listTags'>;

interface ClaimOptions extends ManifestOptions {
  readonly tag: string;
  /** An empty document, which is in the repository. */
  readonly empty: Descriptor;
}

const ARTIFACT = 'application/vnd.aksml.claim.v1';
/** A writer's own tag beside the one that it wants. */
export const CLAIM_TAG = /\.claim-[0-9a-f]{16}$/;
const ATTEMPTS = 6;
const LONGEST_WAIT_MS = 400;

/**
 * Puts a manifest under a tag that must not exist. Registries know no compare-and-swap, so each writer first leaves a claim, a tag that is
 * its own, and then lists what is there: at most one of them can find its claim alone, because of two writers the one that lists later
 * sees the other's. Whoever is not alone withdraws and tries again. False when the tag exists, or when somebody's claim stays: that
 * writer was killed, and whoever needs a tag takes the next one.
 */
export async function putIfAbsent(
  registry: ClaimedRegistry,
  repository: string,
  manifest: Manifest,
  options: ClaimOptions,
): Promise<boolean> {
  const { signal } = options;
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await tryOnce(registry, repository, manifest, options);
    if (outcome !== 'contended') return outcome === 'won';
    if (attempt === ATTEMPTS) return false;
    await sleep(Math.random() * LONGEST_WAIT_MS, undefined, signal === undefined ? {} : { signal });
  }
}

async function tryOnce(
  registry: ClaimedRegistry,
  repository: string,
  manifest: Manifest,
  { tag, after, empty, later, signal }: ClaimOptions,
): Promise<'won' | 'exists' | 'contended'> {
  const aborting = signal === undefined ? {} : { signal };
  const prefix = `${tag}.claim-`;
  const own = prefix + randomBytes(8).toString('hex');
  // Whoever is stopped waits for it: a claim that was sent, and not taken back, would cost the next one the tag.
  const claim = await registry.putManifest(repository, claimManifest(empty), { tag: own });
  let isLeft = false;
  try {
    signal?.throwIfAborted();
    const tags = await registry.listTags(repository, signal);
    if (tags.includes(tag)) return 'exists';
    if (tags.some((other) => other.startsWith(prefix) && other !== own)) return 'contended';
    await after;
    await registry.putManifest(repository, manifest, { tag, ...aborting });
    // Who looks for the tag finds it, with or without the claim.
    isLeft = later !== undefined;
    later?.(withdraw(registry, repository, claim.descriptor.digest));
    return 'won';
  } finally {
    if (!isLeft) await withdraw(registry, repository, claim.descriptor.digest);
  }
}

/** A registry that deletes nothing keeps the claim, which then only takes up room. */
async function withdraw(registry: ClaimedRegistry, repository: string, claim: string): Promise<void> {
  try {
    await registry.deleteManifest(repository, claim);
  } catch (error) {
    if (!AksmlError.is(error)) throw error;
  }
}

/** No two are equal, so that one can be deleted without the others. */
function claimManifest(empty: Manifest['config']): Manifest {
  return {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    artifactType: ARTIFACT,
    config: empty,
    layers: [empty],
    annotations: { 'dev.aksml.claim': randomUUID() },
  };
}
