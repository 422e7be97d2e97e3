import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { axios } from 'acme-client';
import { openPlace } from '../../scripts/cluster/place.ts';
import { buildPebble } from '../../scripts/cluster/programs.ts';
import { isOnPath } from '../../scripts/packages.ts';
import { selfSigned } from '../router/self-signed.ts';
import { freePorts } from '../router/test-router.ts';
import { eventually } from './world.ts';

/** An ACME server of a test's own, for which every host name leads to 127.0.0.1. */
export interface Pebble {
  readonly directory: string;
  /** Where it asks for the answers to its questions. */
  readonly httpPort: number;
}

interface Cleanup {
  after(work: () => Promise<void>): void;
}

/** Or why it cannot be had. */
export async function pebblePrograms(): Promise<string | { readonly skip: string }> {
  if (!isOnPath('go')) return { skip: 'Pebble is built with Go' };
  return buildPebble(openPlace());
}

/** `days`: the life of the certificates that it issues. */
export async function startPebble(t: Cleanup, programs: string): Promise<Pebble> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-pebble-'));
  const [port = 0, managementPort = 0, httpPort = 0, tlsPort = 0, dnsPort = 0, dnsManagement = 0] = await freePorts(
    6,
    '127.0.0.1',
  );
  const { certificate, key } = await selfSigned(['localhost']);
  const files = { certificate: join(folder, 'crt.pem'), privateKey: join(folder, 'key.pem') };
  await writeFile(files.certificate, certificate);
  await writeFile(files.privateKey, key);
  const config = {
    pebble: {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${managementPort}`,
      ...files,
      httpPort,
      tlsPort,
      ocspResponderURL: '',
      externalAccountBindingRequired: false,
      profiles: { default: { description: 'for tests', validityPeriod: 90 * 24 * 3600 } },
    },
  };
  await writeFile(join(folder, 'pebble.json'), JSON.stringify(config));
  const start = (name: string, ...args: readonly string[]) => {
    const child = spawn(join(programs, name), args, {
      stdio: 'ignore',
      env: { PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '5' },
    });
    t.after(async () => {
      child.kill();
    });
  };
  start(
    'pebble-challtestsrv',
    ...['-dnsserver', `127.0.0.1:${dnsPort}`, '-management', `127.0.0.1:${dnsManagement}`],
    ...['-http01', '', '-https01', '', '-tlsalpn01', '', '-doh', '', '-defaultIPv6', '', '-defaultIPv4', '127.0.0.1'],
  );
  start('pebble', '-config', join(folder, 'pebble.json'), '-dnsserver', `127.0.0.1:${dnsPort}`);
  const agent = new Agent({ ca: await readFile(files.certificate, 'utf8') });
  axios.defaults.httpsAgent = agent;
  t.after(async () => {
    axios.defaults.httpsAgent = undefined;
    agent.destroy();
    await rm(folder, { recursive: true, force: true });
  });
  const directory = `https://localhost:${port}/dir`;
  await eventually('Pebble answers', () =>
    promisify(execFile)('curl', ['--silent', '--fail', '--cacert', files.certificate, directory]).then(
      () => true,
      () => false,
    ),
  );
  return { directory, httpPort };
}
