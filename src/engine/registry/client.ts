import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer, Fetch } from '../../http/fetch.ts';
import { Authenticator } from './auth.ts';
import type { CredentialSource } from './credentials.ts';
import { RegistryFailures } from './failures.ts';
import type { HttpPorts, HttpRequest } from './http.ts';
import { apiOrigin, parseRegistryAddress } from './image-reference.ts';
import { checkRepository, checkTag, isDigest } from './reference.ts';

export interface ClientOptions extends Partial<Omit<HttpPorts, 'fetch'>> {
  readonly fetch: Fetch;
  /** Default: anonymous. */
  readonly credentials?: CredentialSource;
}

/** What a repository is asked for: `pull`, `pull,push` or `pull,push,delete`. */
type Actions = 'pull' | 'pull,push' | 'pull,push,delete';

const PAGE = 1000;

/** What all requests to one registry have in common: where it is, how they authenticate, how their failures read. */
export class RegistryClient {
  /** `HOST[:PORT][/PREFIX]` */
  readonly location: string;
  readonly origin: string;
  /** Before every repository name; empty, or ends in `/`. */
  readonly prefix: string;
  readonly ports: HttpPorts;
  readonly failures: RegistryFailures;
  readonly #auth: Authenticator;

  constructor(address: string, options: ClientOptions) {
    const { host, prefix } = parseRegistryAddress(address);
    this.location = prefix === '' ? host : `${host}/${prefix}`;
    this.failures = new RegistryFailures(this.location);
    this.origin = apiOrigin(host);
    this.prefix = prefix === '' ? '' : `${prefix}/`;
    this.ports = {
      fetch: options.fetch,
      sleep: options.sleep ?? (async (ms, signal) => sleep(ms, undefined, { signal })),
      now: options.now ?? Date.now,
      random: options.random ?? Math.random,
    };
    this.#auth = new Authenticator(host, this.ports, options.credentials ?? (async () => undefined));
  }

  send(
    method: HttpRequest['method'],
    url: URL,
    actions: Actions,
    repository: string,
    rest: {
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: Uint8Array<ArrayBuffer>;
      readonly signal: AbortSignal | undefined;
    },
  ): Promise<Answer> {
    const { signal, ...request } = rest;
    return this.sendWithin({ method, url, ...request, ...optionalSignal(signal) }, [this.scope(repository, actions)]);
  }

  /** Asks with the rights that the scopes name. */
  sendWithin(request: HttpRequest, scopes: readonly string[]): Promise<Answer> {
    return this.#auth.send(request, scopes);
  }

  scope(repository: string, actions: Actions): string {
    return `repository:${this.prefix}${repository}:${actions}`;
  }

  /** @throws AksmlError when the name is none that repositories can have */
  url(repository: string, path: string): URL {
    checkRepository(repository);
    return new URL(`/v2/${this.prefix}${repository}/${path}`, this.origin);
  }

  manifestUrl(repository: string, reference: string): URL {
    if (!isDigest(reference)) checkTag(reference);
    return this.url(repository, `manifests/${reference}`);
  }

  /** All tags, page by page; none when there is no such repository. */
  async listTags(repository: string, signal?: AbortSignal): Promise<string[]> {
    const found: string[] = [];
    const first = this.url(repository, 'tags/list');
    first.searchParams.set('n', String(PAGE));
    for (let url: URL | undefined = first; url !== undefined; ) {
      const response = await this.send('GET', url, 'pull', repository, { signal });
      if (response.status === 404) {
        await response.body?.cancel();
        break;
      }
      if (!response.ok) throw await this.failures.of(response, `listing the tags of ${repository}`);
      found.push(...tagsOf(await response.json()));
      url = this.#nextPage(response.headers.get('link'), url);
    }
    return [...new Set(found)];
  }

  #nextPage(link: string | null, current: URL): URL | undefined {
    const target = link?.match(/<([^>]*)>\s*;[^,]*\brel="?next"?/)?.[1];
    if (target === undefined) return undefined;
    const next = new URL(target, current);
    // Proxies answer with their inner address; the pages are where the first one was.
    return new URL(next.pathname + next.search, this.origin);
  }
}

export function optionalSignal(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

function tagsOf(answer: unknown): string[] {
  if (typeof answer !== 'object' || answer === null || !('tags' in answer)) return [];
  return Array.isArray(answer.tags) ? answer.tags.filter((item) => typeof item === 'string') : [];
}
