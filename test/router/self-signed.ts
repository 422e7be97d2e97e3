import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A certificate of nobody's, by openssl. `days`: how long it is good. */
export async function selfSigned(
  hosts: readonly string[],
  days = 30,
): Promise<{ readonly certificate: string; readonly key: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-certificate-'));
  const [certificate, key] = [join(folder, 'crt'), join(folder, 'key')];
  const names = hosts.map((host) => `DNS:${host}`).join(',');
  try {
    await promisify(execFile)('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-keyout', key, '-out', certificate, '-days', String(days), '-subj', `/CN=${hosts[0]}`],
      ...['-addext', `subjectAltName=${names}`],
    ]);
    return { certificate: await readFile(certificate, 'utf8'), key: await readFile(key, 'utf8') };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
