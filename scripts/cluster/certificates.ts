import { generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { writeFileAtomic } from '../../src/home/atomic-file.ts';
import { NETWORK, NODE_NAME } from './addresses.ts';
import { run } from './command.ts';
import { apiServerUrl, type Place } from './place.ts';

/** Who speaks to the API server, by the names that Kubernetes gives rights to; also the two servers' own certificates. */
const IDENTITIES: Readonly<Record<string, { readonly subject: string; readonly names?: readonly string[] }>> = {
  admin: { subject: '/O=system:masters/CN=admin' },
  'kube-apiserver': {
    subject: '/CN=kube-apiserver',
    names: [
      ...[`IP:${NETWORK.node}`, `IP:${NETWORK.apiServerService}`, 'IP:127.0.0.1', 'DNS:localhost'],
      ...['DNS:kubernetes', 'DNS:kubernetes.default', 'DNS:kubernetes.default.svc'],
    ],
  },
  'kubelet-client': { subject: '/O=system:masters/CN=kubelet-client' },
  'kube-controller-manager': { subject: '/CN=system:kube-controller-manager' },
  'kube-scheduler': { subject: '/CN=system:kube-scheduler' },
  kubelet: {
    subject: `/O=system:nodes/CN=system:node:${NODE_NAME}`,
    names: [`IP:${NETWORK.node}`, `DNS:${NODE_NAME}`],
  },
  'kube-proxy': { subject: '/CN=system:kube-proxy' },
};

export const ADMIN_KUBECONFIG = 'admin.kubeconfig';
const DAYS = '365';
/** openssl's own configuration differs between machines, so none of it is used. */
const CONFIGURATION = '[req]\ndistinguished_name = subject\n[subject]\n';

export function certificate(place: Place, name: string): string {
  return place.path('pki', `${name}.crt`);
}

export function privateKey(place: Place, name: string): string {
  return place.path('pki', `${name}.key`);
}

export function kubeconfig(place: Place, name: string): string {
  return name === 'admin' ? place.path(ADMIN_KUBECONFIG) : place.path('pki', `${name}.kubeconfig`);
}

/** A certificate authority, a certificate and a kubeconfig for every part, and the key that signs service accounts' tokens. */
export async function makeCertificates(place: Place): Promise<void> {
  await mkdir(place.path('pki'), { recursive: true, mode: 0o700 });
  await writeFile(place.path('pki', 'openssl.cnf'), CONFIGURATION);
  await issue(place, 'ca', '/CN=aksml-test-cluster', [
    'basicConstraints=critical,CA:TRUE',
    'keyUsage=critical,digitalSignature,keyCertSign,cRLSign',
  ]);
  for (const [name, { subject, names }] of Object.entries(IDENTITIES)) {
    await issue(place, name, subject, [
      'basicConstraints=critical,CA:FALSE',
      'keyUsage=critical,digitalSignature',
      'extendedKeyUsage=serverAuth,clientAuth',
      ...(names === undefined ? [] : [`subjectAltName=${names.join(',')}`]),
    ]);
    if (!existsSync(kubeconfig(place, name))) await writeKubeconfig(place, name);
  }
  await makeServiceAccountKey(place);
}

async function issue(place: Place, name: string, subject: string, extensions: readonly string[]): Promise<void> {
  const file = certificate(place, name);
  if (existsSync(file)) return;
  const authority = name === 'ca' ? [] : ['-CA', certificate(place, 'ca'), '-CAkey', privateKey(place, 'ca')];
  await run('openssl', [
    ...['req', '-x509', '-config', place.path('pki', 'openssl.cnf'), '-days', DAYS, '-subj', subject, '-nodes'],
    ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
    ...extensions.flatMap((extension) => ['-addext', extension]),
    ...['-keyout', privateKey(place, name), '-out', `${file}.new`, ...authority],
  ]);
  await rename(`${file}.new`, file);
}

async function writeKubeconfig(place: Place, name: string): Promise<void> {
  const data = async (file: string) => (await readFile(file)).toString('base64');
  const cluster = { server: apiServerUrl(place), 'certificate-authority-data': await data(certificate(place, 'ca')) };
  const user = {
    'client-certificate-data': await data(certificate(place, name)),
    'client-key-data': await data(privateKey(place, name)),
  };
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'aksml-test', cluster }],
    users: [{ name, user }],
    contexts: [{ name: 'aksml-test', context: { cluster: 'aksml-test', user: name } }],
    'current-context': 'aksml-test',
  };
  await writeFileAtomic(kubeconfig(place, name), `${JSON.stringify(content, undefined, 2)}\n`);
}

/** RSA, so that tokens are signed with RS256, as on AKS. */
async function makeServiceAccountKey(place: Place): Promise<void> {
  if (existsSync(privateKey(place, 'service-account'))) return;
  const { privateKey: key } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  await writeFileAtomic(privateKey(place, 'service-account'), key);
}
