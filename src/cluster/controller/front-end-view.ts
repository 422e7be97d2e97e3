import type { Endpoint } from '../../contract/endpoint.ts';
import { Informer } from '../../kube/informer.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { PODS, type Pod, SECRETS, SERVICES, type Secret, type Service } from '../../kube/resource.ts';
import { FRONT_END_NAME, HOSTS_ANNOTATION, partLabels, ROUTER_SECRET_LABEL, type RouterSecretKind } from '../names.ts';
import { isReady } from './version-status.ts';

/** Where clients reach the front end. */
export interface FrontEndAddress {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
}

export interface EndpointUris {
  readonly scoringUri?: string;
  readonly swaggerUri?: string;
}

/** Keeps at hand where the front end is reached: its address may come minutes after it, and change. */
export class FrontEndView {
  readonly #services: Informer<Service>;
  readonly #certificates: Informer<Secret>;
  readonly #pods: Informer<Pod>;
  readonly #onChange: () => void;
  #told: string | undefined;

  constructor(kube: KubeClient, namespace: string, onChange: () => void, onError: (error: unknown) => void) {
    this.#onChange = onChange;
    const watch = { onChange: () => this.#settle(), onError };
    const labels = Object.entries(partLabels(FRONT_END_NAME)).map(([name, value]) => `${name}=${value}`);
    this.#services = new Informer(kube, SERVICES, {
      query: { namespace, fieldSelector: `metadata.name=${FRONT_END_NAME}` },
      ...watch,
    });
    this.#certificates = new Informer(kube, SECRETS, {
      query: { namespace, labelSelector: `${ROUTER_SECRET_LABEL}=${'certificate' satisfies RouterSecretKind}` },
      // The private key is none of the controller's business.
      keep: ({ metadata }) => ({ metadata }),
      ...watch,
    });
    this.#pods = new Informer(kube, PODS, { query: { namespace, labelSelector: labels.join(',') }, ...watch });
  }

  /** Works until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#services.run(signal), this.#certificates.run(signal), this.#pods.run(signal)]);
  }

  /** Undefined while it is not known whether there is a front end; no member where there is none. */
  urisOf(endpoint: Endpoint): EndpointUris | undefined {
    if (!this.#isKnown) return undefined;
    const address = this.#address();
    return address === undefined ? {} : endpointUris(endpoint, address);
  }

  get #isKnown(): boolean {
    return this.#services.synced && this.#certificates.synced && this.#pods.synced;
  }

  #address(): FrontEndAddress | undefined {
    const [service] = this.#services.list();
    return service && frontEndAddress(service, [...this.#certificates.list()], [...this.#pods.list()]);
  }

  #settle(): void {
    if (!this.#isKnown) return;
    const text = JSON.stringify(this.#address());
    if (text === this.#told) return;
    this.#told = text;
    this.#onChange();
  }
}

/** `certificates` for the host names, `routers` for the addresses of nodes. Undefined while it has no address. Pure. */
export function frontEndAddress(
  { spec, status }: Service,
  certificates: readonly Secret[],
  routers: readonly Pod[],
): FrontEndAddress | undefined {
  const hosts = certificates
    .flatMap(({ metadata }) => metadata.annotations?.[HOSTS_ANNOTATION]?.split(',') ?? [])
    .map((host) => host.trim())
    .filter((host) => host !== '' && !host.startsWith('*'))
    .sort();
  const isSecure = spec?.ports?.some(({ name }) => name === 'https') === true;
  const scheme = isSecure ? 'https' : 'http';
  const port = spec?.ports?.find(({ name }) => name === scheme);
  if (port === undefined) return undefined;
  const [ingress] = status?.loadBalancer?.ingress ?? [];
  const node = routers.find(isReady)?.status?.hostIP;
  const isOnNodes = spec?.type === 'NodePort';
  const own = spec?.type === 'LoadBalancer' ? (ingress?.hostname ?? ingress?.ip) : isOnNodes ? node : spec?.clusterIP;
  // A certificate is for names, not for addresses.
  const host = (isSecure ? hosts[0] : undefined) ?? own;
  if (host === undefined || host === '') return undefined;
  return { scheme, host, port: (isOnNodes ? port.nodePort : undefined) ?? port.port };
}

const USUAL = { http: 80, https: 443 } as const;

/** In v1's form for a service, which says the port, in v2's for an endpoint. */
export function endpointUris({ metadata, spec }: Endpoint, { scheme, host, port }: FrontEndAddress): EndpointUris {
  const shown = spec.form === 'service' || port !== USUAL[scheme] ? `:${port}` : '';
  const authority = host.includes(':') ? `[${host}]` : host;
  const base = `${scheme}://${authority}${shown}/api/v1/${spec.form}/${metadata.name}`;
  const hasSwagger = spec.versions.some(({ container }) => container === undefined);
  return { scoringUri: `${base}/score`, ...(hasSwagger ? { swaggerUri: `${base}/swagger.json` } : {}) };
}
