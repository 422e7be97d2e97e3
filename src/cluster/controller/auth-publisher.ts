import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { AksmlError } from '../../contract/error.ts';
import { Informer } from '../../kube/informer.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { keyOf } from '../../kube/object.ts';
import { SECRETS, SERVICE_ACCOUNTS, type Secret } from '../../kube/resource.ts';
import { together } from '../../parallel/parallel.ts';
import {
  authSecretKey,
  authSecretName,
  HOP_SECRET,
  HOP_SECRET_KEY,
  MANAGED_BY,
  ROUTER_SECRET_LABEL,
  type RouterSecretKind,
  serviceAccountName,
} from '../names.ts';
import { type AuthEntry, authEntry } from './auth-entry.ts';
import type { ClusterCache } from './cluster-cache.ts';
import { FIELD_MANAGER } from './object-writer.ts';

export interface AuthPublisherParts {
  readonly kube: KubeClient;
  readonly cache: ClusterCache;
  /** aksml's own. */
  readonly namespace: string;
  /** Throws where nothing may be written any more. */
  readonly beforeWrite: (verb: 'create' | 'update', resource: string) => void;
  readonly warn: (error: unknown) => void;
}

/** Changes that come together are one write. */
const SETTLE_MS = 3;
const RETRY_MS = 100;

/**
 * Tells the routers, in Secrets of aksml's own namespace, whom they may let in: hashes of keys and the ids of the subjects of tokens, which
 * change within moments of the keys and subjects themselves.
 */
export class AuthPublisher {
  readonly #parts: AuthPublisherParts;
  readonly #shards: Informer<Secret>;
  readonly #changed = new Set<string>();
  /** Shards that were written, and whose new state the watch has not told yet. */
  readonly #unseen = new Set<string>();
  #wake: () => void = () => {};

  constructor(parts: AuthPublisherParts) {
    const { kube, namespace, warn } = parts;
    this.#parts = parts;
    this.#shards = new Informer(kube, SECRETS, {
      query: { namespace, labelSelector: `${ROUTER_SECRET_LABEL}=${'auth' satisfies RouterSecretKind}` },
      onChange: ({ object }) => {
        this.#unseen.delete(object.metadata.name);
        for (const entry of Object.keys(object.data ?? {})) this.#changed.add(entry);
        this.#wake();
      },
      onError: warn,
    });
  }

  /** Keeps what is published at hand, until the signal. */
  watch(signal: AbortSignal): Promise<void> {
    return this.#shards.run(signal);
  }

  /** Something of this endpoint, `namespace/name`, has changed. */
  changed(endpoint: string): void {
    const [namespace = '', name = ''] = endpoint.split('/');
    this.#changed.add(authSecretKey(namespace, name));
    this.#wake();
  }

  /** Publishes while this instance leads. */
  async run(signal: AbortSignal): Promise<void> {
    const { cache, warn } = this.#parts;
    const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    await Promise.race([Promise.all([this.#shards.whenSynced, cache.endpoints.whenSynced]), stopped]);
    for (const endpoint of cache.endpoints.list()) this.changed(keyOf(endpoint.metadata));
    for (const { data } of this.#shards.list()) for (const entry of Object.keys(data ?? {})) this.#changed.add(entry);
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const isBehind = await this.#publish(signal).catch((error: unknown) => {
        if (!signal.aborted && !AksmlError.is(error, 'kube.conflict')) warn(error);
        return true;
      });
      await Promise.race([isBehind ? sleep(RETRY_MS) : woken, stopped]);
      await sleep(SETTLE_MS);
    }
  }

  /** Whether there is more to do that no change will tell of. */
  async #publish(signal: AbortSignal): Promise<boolean> {
    const pending = new Map<string, Map<string, AuthEntry | undefined>>();
    const waiting: string[] = [];
    const later: string[] = [];
    for (const entry of this.#changed) {
      const wanted = this.#wanted(entry);
      if (wanted === 'unknown') {
        waiting.push(entry);
        continue;
      }
      const shard = authSecretName(split(entry).name);
      if (this.#unseen.has(shard)) later.push(entry);
      else pending.set(shard, (pending.get(shard) ?? new Map<string, AuthEntry | undefined>()).set(entry, wanted));
    }
    this.#changed.clear();
    for (const entry of [...waiting, ...later]) this.#changed.add(entry);
    await together(
      ...[...pending].map(async ([shard, entries]) => {
        try {
          await this.#writeShard(shard, entries, signal);
        } catch (error) {
          for (const entry of entries.keys()) this.#changed.add(entry);
          throw error;
        }
      }),
    );
    return waiting.length > 0;
  }

  #wanted(entry: string): AuthEntry | undefined | 'unknown' {
    const { cache } = this.#parts;
    const { namespace, name } = split(entry);
    if (!cache.serves(namespace)) return undefined;
    if (cache.whyUnknown(namespace) !== undefined) return 'unknown';
    const endpoint = cache.endpoints.get(`${namespace}/${name}`);
    if (endpoint === undefined || cache.holderOfName(name) !== endpoint) return undefined;
    const account = cache.find(SERVICE_ACCOUNTS, namespace, serviceAccountName(name));
    return authEntry(endpoint, cache.belongingTo(SECRETS, namespace, name), account);
  }

  async #writeShard(
    name: string,
    entries: ReadonlyMap<string, AuthEntry | undefined>,
    signal: AbortSignal,
  ): Promise<void> {
    const { kube, namespace, beforeWrite } = this.#parts;
    const live = this.#shards.get(`${namespace}/${name}`);
    const changes = [...entries].flatMap(([entry, wanted]) => {
      const value = wanted === undefined ? null : Buffer.from(JSON.stringify(wanted)).toString('base64');
      return (live?.data?.[entry] ?? null) === value ? [] : [[entry, value] as const];
    });
    if (changes.length === 0) return;
    const options = { fieldManager: FIELD_MANAGER, signal };
    const data = Object.fromEntries(changes);
    if (live === undefined) {
      beforeWrite('create', SECRETS.plural);
      const present = Object.fromEntries(changes.flatMap(([entry, value]) => (value === null ? [] : [[entry, value]])));
      if (Object.keys(present).length === 0) return;
      await kube.create(SECRETS, { ...routerSecret(namespace, name, 'auth'), data: present }, options);
    } else {
      beforeWrite('update', SECRETS.plural);
      const patch = { metadata: { resourceVersion: live.metadata.resourceVersion }, data };
      await kube.patch(SECRETS, { namespace, name }, patch, options);
    }
    if (this.#shards.get(`${namespace}/${name}`) === live) this.#unseen.add(name);
  }
}

/** With which routers, and the controller, prove to each other who they are. Made once. */
export function hopSecret(namespace: string): Secret {
  const secret = randomBytes(32).toString('base64url');
  return {
    ...routerSecret(namespace, HOP_SECRET, 'hop'),
    data: { [HOP_SECRET_KEY]: Buffer.from(secret).toString('base64') },
  };
}

function routerSecret(namespace: string, name: string, kind: RouterSecretKind): Secret {
  return { metadata: { name, namespace, labels: { ...MANAGED_BY, [ROUTER_SECRET_LABEL]: kind } }, type: 'Opaque' };
}

/** Neither has a dot. */
function split(entry: string): { readonly namespace: string; readonly name: string } {
  const [namespace = '', name = ''] = entry.split('.');
  return { namespace, name };
}
