import { isDigest } from './reference.ts';
import type { Manifest } from './registry.ts';

/** Meanwhile nobody else is expected to collect the garbage of a registry that is being deployed to. */
const TRUSTED_MS = 60_000;

/**
 * What a registry must have because a manifest that names it was read just now, so that it need not be asked for each part. Registries lose
 * content all the same, when somebody deletes it by hand: once something is missing, nothing is taken for granted any more.
 */
export class KnownContent {
  readonly #now: () => number;
  /** When a manifest that names the blob was read last, by repository and digest. */
  readonly #blobs = new Map<string, number>();
  /** Repositories that are in the index. */
  readonly #noted = new Set<string>();
  #isTrusted = true;

  /** @param now milliseconds since the epoch */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** A manifest that was read by tag or digest. */
  add(repository: string, reference: string, { config, layers }: Manifest): void {
    const now = this.#now();
    for (const { digest } of [config, ...layers]) this.#blobs.set(keyOf(repository, digest), now);
    // Nothing gets a tag before its repository is in the index.
    if (!isDigest(reference)) this.#noted.add(repository);
  }

  hasBlob(repository: string, digest: string): boolean {
    const read = this.#blobs.get(keyOf(repository, digest));
    return this.#isTrusted && read !== undefined && this.#now() - read < TRUSTED_MS;
  }

  isNoted(repository: string): boolean {
    return this.#noted.has(repository);
  }

  /** After a manifest was deleted, whose blobs may go with it. */
  forget(repository: string): void {
    for (const key of this.#blobs.keys()) if (key.startsWith(keyOf(repository, ''))) this.#blobs.delete(key);
  }

  distrust(): void {
    this.#isTrusted = false;
  }
}

function keyOf(repository: string, digest: string): string {
  return `${repository}@${digest}`;
}
