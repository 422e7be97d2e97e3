import { KubeClient } from './kube.ts';
import type { Answer, KubeRequest, KubeTransport } from './transport.ts';

/**
 * The API server while it is not known whether it is the right one: what is read is asked for at once, but nothing is handed out, and
 * nothing else sent, before `confirm` has ended well. Where it fails, what was asked fails so, too; what is asked later asks it again.
 */
export function onceConfirmed(kube: KubeClient, confirm: () => Promise<void>): KubeClient {
  const transport = new ConfirmedTransport(kube.transport, confirm);
  // Whoever opens it uses it, and is told then.
  transport.confirmed().catch(() => {});
  return new KubeClient(kube.context, transport);
}

class ConfirmedTransport implements KubeTransport {
  readonly server: URL;
  readonly #inner: KubeTransport;
  readonly #confirm: () => Promise<void>;
  #confirming: Promise<void> | undefined;

  constructor(inner: KubeTransport, confirm: () => Promise<void>) {
    this.server = inner.server;
    this.#inner = inner;
    this.#confirm = confirm;
  }

  confirmed(): Promise<void> {
    const confirming = this.#confirming ?? this.#confirm();
    this.#confirming = confirming;
    confirming.catch(() => {
      if (this.#confirming === confirming) this.#confirming = undefined;
    });
    return confirming;
  }

  async json<T>(request: KubeRequest): Promise<T> {
    const confirmed = this.confirmed();
    if (request.method !== 'GET') await confirmed;
    const reading = this.#inner.json<T>(request);
    reading.catch(() => {});
    await confirmed;
    return reading;
  }

  async send(request: KubeRequest): Promise<Answer> {
    await this.confirmed();
    return this.#inner.send(request);
  }

  async socketOptions(signal?: AbortSignal): ReturnType<KubeTransport['socketOptions']> {
    await this.confirmed();
    return this.#inner.socketOptions(signal);
  }

  path(request: Pick<KubeRequest, 'path' | 'query'>): string {
    return this.#inner.path(request);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
