import type { GivenCertificate } from '../cluster/certificate-secret.ts';
import { checkCertificate, putCertificate, removeCertificate } from '../cluster/install/certificate.ts';
import { installObjects } from '../cluster/install/install.ts';
import { INSTALLER, requireRights } from '../cluster/install/rights.ts';
import type { Manifest } from '../cluster/manifests.ts';
import { clusterManifests } from '../cluster/manifests.ts';
import { ACME_CERTIFICATE_SECRET, CERTIFICATE_SECRET, FRONT_END_NAME, SYSTEM_NAMESPACE } from '../cluster/names.ts';
import type { ComputeTargetRecord, FrontEndRecord, TlsRecord } from '../contract/compute-record.ts';
import { AksmlError } from '../contract/error.ts';
import type { Problem } from '../contract/problem.ts';
import { findComputeRecord, putComputeRecord } from '../engine/compute/compute.ts';
import { readConnection } from '../engine/compute/connection.ts';
import { type RunOptions, runStage } from '../engine/endpoints/stages.ts';
import type { AccessQuestion, KubeClient } from '../kube/kube.ts';
import { CONFIG_MAPS, DEPLOYMENTS, NODES, POD_DISRUPTION_BUDGETS, SECRETS, SERVICES } from '../kube/resource.ts';
import type { AttachHost } from './attach.ts';
import { connectCluster } from './clusters.ts';
import { clusterSettings, type FrontEndRequest, frontEndRecord } from './front-end.ts';

/** What of an attached cluster's front end is to be different. */
export interface UpdateRequest extends Omit<FrontEndRequest, 'frontEndImage'> {
  readonly name: string;
  readonly tls?: TlsChange;
  readonly allowInsecureConnections?: boolean;
}

export type TlsChange =
  | { readonly kind: 'disable' }
  /** A new certificate of the same ACME server, before its time. */
  | { readonly kind: 'renew' }
  | { readonly kind: 'files'; readonly certificate: GivenCertificate; readonly hosts: readonly string[] }
  /** From an ACME server, for these hosts or for the one that the label makes. */
  | {
      readonly kind: 'auto';
      readonly hosts: readonly string[];
      readonly dnsLabel?: string;
      /** Whether another label than the present one may be taken. */
      readonly overwriteDomain: boolean;
      readonly directory?: string;
      readonly email?: string;
    };

const DEFAULT_DIRECTORY = 'https://acme-v02.api.letsencrypt.org/directory';
const HOST = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$/i;

/**
 * Changes how the front end of an attached cluster is reached. Takes effect without an interruption, except where its address changes.
 * @throws AksmlError `computeTarget.*` | `certificate.invalid` | `frontEnd.invalid` | `kube.*`
 */
export async function updateCluster(
  host: AttachHost,
  request: UpdateRequest,
  options: RunOptions,
): Promise<ComputeTargetRecord> {
  const { signal } = options;
  const known = await findComputeRecord(host.workspace, request.name, signal);
  if (known === undefined) throw notAttached(request.name);
  const connection = await readConnection(host.access.home, known.clusterId);
  if (connection === undefined) throw notAttached(request.name);
  const kube = await connectCluster(host.access, connection);
  try {
    return await runStage('apply', `Changing the front end of ${known.name}`, options, async () => {
      const record = await changed(kube, known, request, host.clock(), signal);
      for (const problem of problemsOf(request, host.clock())) options.onProgress?.({ type: 'problem', problem });
      await requireRights(kube, neededFor(request), signal);
      await apply(kube, host, record, request, signal);
      await putComputeRecord(host.workspace, record, signal);
      return { value: record, reused: false, detail: '' };
    });
  } finally {
    await kube.close();
  }
}

function neededFor({ routers }: UpdateRequest): readonly AccessQuestion[] {
  const sizing = routers === undefined ? [] : [DEPLOYMENTS, POD_DISRUPTION_BUDGETS];
  return [SERVICES, CONFIG_MAPS, SECRETS, ...sizing].flatMap((resource) =>
    ['get', 'create', 'patch', 'delete'].map((verb) => ({ verb, resource, namespace: SYSTEM_NAMESPACE })),
  );
}

function problemsOf({ tls }: UpdateRequest, now: Date): readonly Problem[] {
  return tls?.kind === 'files' ? checkCertificate(tls.certificate, tls.hosts, now) : [];
}

async function changed(
  kube: KubeClient,
  known: ComputeTargetRecord,
  request: UpdateRequest,
  now: Date,
  signal: AbortSignal | undefined,
): Promise<ComputeTargetRecord> {
  const before: FrontEndRecord = known.frontEnd ?? { service: { type: 'LoadBalancer', internal: false } };
  const dnsLabel = request.tls?.kind === 'auto' ? request.tls.dnsLabel : undefined;
  const { service, ...front } = frontEndRecord(request, before);
  if (dnsLabel !== undefined) refuseOtherLabel(before.service.dnsLabel, dnsLabel, request.tls);
  const { tls: present, ...rest } = front;
  const hosts = dnsLabel === undefined ? [] : [`${dnsLabel}.${await regionOf(kube, signal)}.cloudapp.azure.com`];
  const tls = withPolicy(tlsRecord(request.tls, present, hosts, now), request.allowInsecureConnections);
  return {
    ...known,
    frontEnd: {
      ...rest,
      service: dnsLabel === undefined ? service : { ...service, dnsLabel },
      ...(tls === undefined ? {} : { tls }),
    },
  };
}

function tlsRecord(
  change: TlsChange | undefined,
  present: TlsRecord | undefined,
  labelled: readonly string[],
  now: Date,
): TlsRecord | undefined {
  if (change === undefined) return present;
  if (change.kind === 'disable') return undefined;
  if (change.kind === 'renew') return renewed(present, now);
  const hosts = [...new Set([...change.hosts, ...labelled].map((host) => host.toLowerCase()))];
  for (const host of hosts) {
    if (!HOST.test(host)) throw invalid(`${JSON.stringify(host)} is not a host name.`, '--ssl-cname');
  }
  if (hosts.length === 0) throw invalid('A certificate is for at least one host name.', '--ssl-cname');
  const policy = { hosts, allowInsecureConnections: present?.allowInsecureConnections ?? false };
  if (change.kind === 'files') return policy;
  const { directory = DEFAULT_DIRECTORY, email } = change;
  return { ...policy, acme: { directory, ...(email === undefined ? {} : { email }) } };
}

function renewed(present: TlsRecord | undefined, now: Date): TlsRecord {
  if (present?.acme) return { ...present, acme: { ...present.acme, renewal: now.toISOString() } };
  const found = present === undefined ? 'There is no certificate.' : 'The certificate was given as files.';
  throw invalid(`${found} Only one of an ACME server can be renewed without new files.`, '--ssl-renew');
}

function withPolicy(tls: TlsRecord | undefined, allowInsecureConnections: boolean | undefined): TlsRecord | undefined {
  if (allowInsecureConnections === undefined) return tls;
  if (tls === undefined)
    throw invalid('Without a certificate all connections are plain HTTP.', '--allow-insecure-connections');
  return { ...tls, allowInsecureConnections };
}

function refuseOtherLabel(present: string | undefined, label: string, change: TlsChange | undefined): void {
  if (!/^[a-z][a-z0-9-]{1,61}[a-z0-9]$/.test(label)) {
    throw invalid(`${JSON.stringify(label)} is not a domain label.`, '--ssl-leaf-domain-label');
  }
  const mayChange = change?.kind === 'auto' && change.overwriteDomain;
  if (present === undefined || present === label || mayChange) return;
  throw invalid(
    `The front end has the domain label ${present}; clients that know it will not find it under ${label}.`,
    '--ssl-overwrite-domain',
  );
}

/** Azure writes it on every node. */
async function regionOf(kube: KubeClient, signal: AbortSignal | undefined): Promise<string> {
  const { items } = await kube.list(NODES, {}, signal);
  const region = items.flatMap(({ metadata }) => metadata.labels?.['topology.kubernetes.io/region'] ?? [])[0];
  if (region !== undefined) return region;
  throw invalid('The nodes of this cluster do not say in which Azure region they are.', '--ssl-leaf-domain-label');
}

/** The certificate first, so that no client meets a port without one. */
async function apply(
  kube: KubeClient,
  { version }: AttachHost,
  record: ComputeTargetRecord,
  { tls: change, routers }: UpdateRequest,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (change?.kind === 'files') await putCertificate(kube, change.certificate, change.hosts, signal);
  const manifests = clusterManifests({ ...clusterSettings(record, version), image: 'unknown' });
  await installObjects(kube, manifests.filter(isReachability), () => undefined, signal);
  if (routers !== undefined) await putRouters(kube, manifests, routers, signal);
  const obsolete =
    change === undefined ? [] : [CERTIFICATE_SECRET, ACME_CERTIFICATE_SECRET].filter((name) => name !== keptBy(change));
  for (const name of obsolete) await removeCertificate(kube, name, signal);
}

/** Their Deployment is changed in nothing else: a newer aksml may have installed it. */
async function putRouters(
  kube: KubeClient,
  manifests: readonly Manifest[],
  routers: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const name = { namespace: SYSTEM_NAMESPACE, name: FRONT_END_NAME };
  const aborting = signal === undefined ? {} : { signal };
  await kube.patch(DEPLOYMENTS, name, { spec: { replicas: routers } }, { fieldManager: INSTALLER, ...aborting });
  const budgets = manifests.filter(({ resource }) => resource.plural === POD_DISRUPTION_BUDGETS.plural);
  const own = budgets.filter(({ object }) => object.metadata.name === FRONT_END_NAME);
  await installObjects(kube, own, () => undefined, signal);
  if (own.length === 0) await kube.remove(POD_DISRUPTION_BUDGETS, name, aborting);
}

function keptBy({ kind }: TlsChange): string | undefined {
  if (kind === 'disable') return undefined;
  return kind === 'files' ? CERTIFICATE_SECRET : ACME_CERTIFICATE_SECRET;
}

/** What routers and load balancers go by; the routers themselves stay as they are. */
function isReachability({ resource, object: { metadata } }: Manifest): boolean {
  return [SERVICES, CONFIG_MAPS].some(({ plural }) => plural === resource.plural) && metadata.name === FRONT_END_NAME;
}

function notAttached(name: string): AksmlError {
  return new AksmlError(
    'computeTarget.notFound',
    `There is no attached cluster ${JSON.stringify(name)} that this machine can reach.`,
    {
      fault: 'input',
      subject: `computeTarget/${name}`,
      remedy: 'See "aksml computetarget list", and attach it from this machine first.',
    },
  );
}

function invalid(message: string, subject: string): AksmlError {
  return new AksmlError('frontEnd.invalid', message, {
    fault: 'input',
    subject,
    remedy: 'See "aksml computetarget update kubernetes --help".',
  });
}
