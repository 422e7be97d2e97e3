import { generateKeyPairSync } from 'node:crypto';
import { Client, crypto } from 'acme-client';
import { AksmlError } from '../../contract/error.ts';
import type { GivenCertificate } from '../certificate-secret.ts';

export interface AcmeOrder {
  /** URL of the ACME server's directory. */
  readonly directory: string;
  readonly email?: string;
  /** PEM; who asks. An account is made for it where the server has none. */
  readonly accountKey: string;
  readonly hosts: readonly string[];
  /** Resolves when whoever asks for the token over HTTP, at any of the hosts, gets the answer. */
  readonly answer: (token: string, answer: string) => Promise<void>;
}

/** Gets a certificate, with its chain and a new key, by showing that port 80 of the hosts is ours. @throws AksmlError `certificate.notIssued` */
export async function orderCertificate(order: AcmeOrder): Promise<GivenCertificate> {
  const { directory, email, accountKey, hosts, answer } = order;
  const key = newKey();
  try {
    const client = new Client({ directoryUrl: directory, accountKey });
    const [, csr] = await crypto.createCsr({ altNames: [...hosts] }, key);
    const certificate = await client.auto({
      csr,
      ...(email === undefined ? {} : { email }),
      termsOfServiceAgreed: true,
      challengePriority: ['http-01'],
      // From here the hosts may lead elsewhere than for the server.
      skipChallengeVerification: true,
      challengeCreateFn: (_authorization, challenge, keyAuthorization) => answer(challenge.token, keyAuthorization),
      challengeRemoveFn: async () => undefined,
    });
    return { certificate, key };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AksmlError(
      'certificate.notIssued',
      `${directory} issues no certificate for ${hosts.join(', ')}: ${why}`,
      {
        subject: hosts[0] ?? '',
        remedy: 'Let port 80 of the host names lead to the front end.',
        cause,
      },
    );
  }
}

/** A private key, PEM. */
export function newKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}
