import { readFile } from 'node:fs/promises';
import type { GivenCertificate } from '../cluster/certificate-secret.ts';
import { AksmlError } from '../contract/error.ts';

/** From two PEM files. @throws AksmlError `certificate.unreadable` */
export async function readCertificate(certificateFile: string, keyFile: string): Promise<GivenCertificate> {
  return {
    certificate: await content(certificateFile, '--ssl-cert-file'),
    key: await content(keyFile, '--ssl-key-file'),
  };
}

async function content(path: string, option: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new AksmlError('certificate.unreadable', `${path} cannot be read.`, {
      fault: 'input',
      subject: option,
      remedy: 'Name a file that you can read.',
      cause,
    });
  }
}
