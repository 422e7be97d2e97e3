import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { AksmlError } from '../../contract/error.ts';
import type { Problem } from '../../contract/problem.ts';
import type { KubeClient } from '../../kube/kube.ts';
import { SECRETS } from '../../kube/resource.ts';
import { certificateSecret, type GivenCertificate } from '../certificate-secret.ts';
import { CERTIFICATE_SECRET, SYSTEM_NAMESPACE } from '../names.ts';
import { INSTALLER } from './rights.ts';

const SOON_MS = 14 * 24 * 3600_000;

/**
 * What is to be said of a certificate before routers show it to clients.
 * @throws AksmlError `certificate.invalid` where it is none, is not for the key or the hosts, or is out of date
 */
export function checkCertificate(given: GivenCertificate, hosts: readonly string[], now: Date): readonly Problem[] {
  const chain = chainOf(given.certificate);
  const [leaf] = chain;
  if (leaf === undefined) throw invalid('The certificate file has no certificate in PEM form.', '--ssl-cert-file');
  if (!leaf.checkPrivateKey(keyOf(given.key))) {
    throw invalid('The private key is not the one of the certificate.', '--ssl-key-file');
  }
  const strangers = hosts.filter((host) => leaf.checkHost(host) === undefined);
  if (strangers.length > 0) {
    const names = leaf.subjectAltName ?? leaf.subject;
    throw invalid(`The certificate is not for ${strangers.join(', ')}, but for ${names}.`, '--ssl-cname');
  }
  const ends = new Date(leaf.validTo);
  if (ends <= now) throw invalid(`The certificate has been out of date since ${day(ends)}.`, '--ssl-cert-file');
  if (new Date(leaf.validFrom) > now) {
    throw invalid(`The certificate is not valid before ${day(new Date(leaf.validFrom))}.`, '--ssl-cert-file');
  }
  chain.slice(1).forEach((issuer, index) => {
    const issued = chain[index];
    if (issued?.checkIssued(issuer)) return;
    throw invalid('The certificates of the file do not follow from one another.', '--ssl-cert-file');
  });
  return [...shortChain(chain), ...endsSoon(ends, now)];
}

function shortChain(chain: readonly X509Certificate[]): Problem[] {
  const last = chain.at(-1);
  const isSelfSigned = last?.checkIssued(last) === true;
  if (chain.length > 1 || last === undefined) return [];
  return [
    {
      severity: 'warning',
      code: 'certificate.short',
      message: isSelfSigned
        ? 'The certificate is its own issuer: clients must be told to trust it.'
        : 'The file has only the certificate itself: clients that do not know its issuer will refuse it.',
      remedy: isSelfSigned
        ? 'For others use one of a certificate authority.'
        : 'Append the certificates of its issuers.',
    },
  ];
}

function endsSoon(ends: Date, now: Date): Problem[] {
  if (ends.getTime() - now.getTime() > SOON_MS) return [];
  return [
    {
      severity: 'warning',
      code: 'certificate.endsSoon',
      message: `The certificate ends on ${day(ends)}.`,
      remedy: 'Run the same command with a newer one in time; connections stay.',
    },
  ];
}

/** Shows it to clients of these hosts from now on, without a connection lost. */
export async function putCertificate(
  kube: KubeClient,
  given: GivenCertificate,
  hosts: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  const aborting = signal === undefined ? {} : { signal };
  const secret = certificateSecret(CERTIFICATE_SECRET, given, hosts);
  await kube.apply(SECRETS, secret, { fieldManager: INSTALLER, force: true, ...aborting });
}

export async function removeCertificate(kube: KubeClient, name: string, signal?: AbortSignal): Promise<void> {
  await kube.remove(SECRETS, { name, namespace: SYSTEM_NAMESPACE }, signal === undefined ? {} : { signal });
}

function chainOf(text: string): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    return [];
  }
}

function keyOf(text: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch {
    // What the library says could have parts of the key in it.
    throw invalid('The key file has no private key in PEM form without a passphrase.', '--ssl-key-file');
  }
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function invalid(message: string, subject: string): AksmlError {
  return new AksmlError('certificate.invalid', message, {
    fault: 'input',
    subject,
    remedy: 'Nothing was changed. Give a certificate with its chain, its key, and the host names that it is for.',
  });
}
