import { X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeClient } from '../../kube/kube.ts';
import { listWatch } from '../../kube/list-watch.ts';
import { CONFIG_MAPS, type ConfigMap, PODS, type Pod, SECRETS, type Secret } from '../../kube/resource.ts';
import { certificateSecret } from '../certificate-secret.ts';
import type { AcmeSettings } from '../manifests.ts';
import {
  ACME_ACCOUNT_SECRET,
  ACME_CERTIFICATE_SECRET,
  CHALLENGE_SECRET,
  FRONT_END_ACME_KEY,
  FRONT_END_NAME,
  HOSTS_ANNOTATION,
  MANAGED_BY,
  partLabels,
  RENEWAL_ANNOTATION,
  ROUTER_PORTS,
  ROUTER_SECRET_LABEL,
  type RouterSecretKind,
} from '../names.ts';
import { newKey, orderCertificate } from './acme-order.ts';
import { type BeforeWrite, FIELD_MANAGER } from './object-writer.ts';

export interface CertificateKeeperOptions {
  readonly kube: KubeClient;
  /** aksml's own. */
  readonly namespace: string;
  readonly beforeWrite: BeforeWrite;
  readonly clock: () => Date;
  readonly log: (message: string) => void;
  readonly warn: (error: unknown) => void;
  /** Where routers answer; default: that of their pods. */
  readonly routerPort?: number;
  /** After a failure, then twice as long each time. Milliseconds. */
  readonly retryMs?: number;
}

const RETRY_MS = 60_000;
const LONGEST_RETRY_MS = 3600_000;
/** A clock may be set, and a Secret removed. */
const LOOK_MS = 600_000;
const ROUTERS_MS = 30_000;
const POLL_MS = 100;
const ASK_MS = 2_000;

/**
 * Gets the front end's certificate from an ACME server where the ConfigMap of the routers asks for it, and renews it in time. What is under way
 * when the leader goes is begun anew by the next one.
 */
export class CertificateKeeper {
  readonly #options: CertificateKeeperOptions;
  #wake: () => void = () => {};

  constructor(options: CertificateKeeperOptions) {
    this.#options = options;
  }

  /** While this instance leads. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#watch(signal), this.#keep(signal)]);
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { kube, namespace } = this.#options;
    const query = { namespace, fieldSelector: `metadata.name=${FRONT_END_NAME}` };
    for await (const event of listWatch(kube, CONFIG_MAPS, query, signal)) {
      if (event.type !== 'interrupted') this.#wake();
    }
  }

  async #keep(signal: AbortSignal): Promise<void> {
    const { warn, retryMs = RETRY_MS } = this.#options;
    const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    let failures = 0;
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      let pauseMs = LOOK_MS;
      try {
        await this.#look(signal);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        warn(error);
        pauseMs = Math.min(retryMs * 2 ** failures, LONGEST_RETRY_MS);
        failures += 1;
      }
      const rest = new AbortController();
      await Promise.race([woken, stopped, sleep(pauseMs, undefined, { signal: rest.signal }).catch(() => undefined)]);
      rest.abort();
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { kube, namespace, clock, log } = this.#options;
    const settings = acmeSettings(await kube.find(CONFIG_MAPS, { namespace, name: FRONT_END_NAME }, signal));
    if (settings === undefined) return;
    const present = await kube.find(SECRETS, { namespace, name: ACME_CERTIFICATE_SECRET }, signal);
    const why = whyDue(present, settings, clock());
    if (why === undefined) return;
    log(`gets a certificate for ${settings.hosts.join(', ')} from ${settings.directory}: ${why}`);
    // Several hosts are asked about at once.
    const answers = new Map<string, string>();
    const issued = await orderCertificate({
      ...settings,
      accountKey: await this.#accountKey(signal),
      answer: (token, answer) => this.#answer(answers.set(token, answer), token, signal),
    });
    await this.#apply(certificateSecret(ACME_CERTIFICATE_SECRET, issued, settings.hosts, settings.renewal), signal);
    log(`has a certificate for ${settings.hosts.join(', ')}`);
  }

  /** One for all certificates, because servers count accounts. */
  async #accountKey(signal: AbortSignal): Promise<string> {
    const { kube, namespace } = this.#options;
    const present = await kube.find(SECRETS, { namespace, name: ACME_ACCOUNT_SECRET }, signal);
    const known = present?.data?.['key'];
    if (known !== undefined) return Buffer.from(known, 'base64').toString();
    const key = newKey();
    await this.#apply(this.#secret(ACME_ACCOUNT_SECRET, 'account', { key }), signal);
    return key;
  }

  /** Any router may be the one that the server asks. */
  async #answer(answers: ReadonlyMap<string, string>, token: string, signal: AbortSignal): Promise<void> {
    const { kube, namespace, routerPort = ROUTER_PORTS.http } = this.#options;
    await this.#apply(this.#secret(CHALLENGE_SECRET, 'challenge', Object.fromEntries(answers)), signal);
    const late = AbortSignal.timeout(ROUTERS_MS);
    const labelSelector = Object.entries(partLabels(FRONT_END_NAME))
      .map(([label, value]) => `${label}=${value}`)
      .join(',');
    for (;;) {
      const { items } = await kube.list(PODS, { namespace, labelSelector }, signal);
      const addresses = items.flatMap(readyAddress);
      const given = await Promise.all(addresses.map((address) => asked(`${address}:${routerPort}`, token, signal)));
      if (given.length > 0 && given.every((text) => text === answers.get(token))) return;
      if (late.aborted) throw new Error('the routers do not answer its question');
      await sleep(POLL_MS, undefined, { signal });
    }
  }

  #secret(name: string, kind: RouterSecretKind, data: Readonly<Record<string, string>>): Secret {
    return {
      metadata: { name, namespace: this.#options.namespace, labels: { ...MANAGED_BY, [ROUTER_SECRET_LABEL]: kind } },
      type: 'Opaque',
      data: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')])),
    };
  }

  async #apply(secret: Secret, signal: AbortSignal): Promise<void> {
    const { kube, namespace, beforeWrite } = this.#options;
    beforeWrite('update', SECRETS.plural);
    const object = { ...secret, metadata: { ...secret.metadata, namespace } };
    await kube.apply(SECRETS, object, { fieldManager: FIELD_MANAGER, force: true, signal });
  }
}

/** Why a certificate is to be got now; undefined while the present one is good. */
export function whyDue(
  present: Secret | undefined,
  { hosts, renewal }: Pick<AcmeSettings, 'hosts' | 'renewal'>,
  now: Date,
): string | undefined {
  const text = present?.data?.['tls.crt'];
  if (text === undefined) return 'there is none';
  if (present?.metadata.annotations?.[HOSTS_ANNOTATION] !== hosts.join(',')) return 'the host names have changed';
  const isAskedFor = renewal !== undefined && renewal !== present?.metadata.annotations?.[RENEWAL_ANNOTATION];
  if (isAskedFor) return 'a new one is asked for';
  try {
    const certificate = new X509Certificate(Buffer.from(text, 'base64'));
    const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
    return now.getTime() >= from + ((to - from) * 2) / 3 ? 'two thirds of its life are over' : undefined;
  } catch {
    return 'the present one cannot be read';
  }
}

function acmeSettings(settings: ConfigMap | undefined): AcmeSettings | undefined {
  const text = settings?.data?.[FRONT_END_ACME_KEY];
  return text === undefined ? undefined : (JSON.parse(text) as AcmeSettings);
}

function readyAddress({ metadata, status }: Pod): readonly string[] {
  const isReady = status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True');
  if (!isReady || status?.podIP === undefined || metadata.deletionTimestamp !== undefined) return [];
  return [status.podIP.includes(':') ? `[${status.podIP}]` : status.podIP];
}

async function asked(address: string, token: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const url = `http://${address}/.well-known/acme-challenge/${token}`;
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(ASK_MS)]) });
    return (await response.text()).trim();
  } catch {
    return undefined;
  }
}
