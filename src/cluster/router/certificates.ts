import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RouterCertificate } from './table-facts.ts';

/** HAProxy's run-time interface: carries commands out and tells what it said to each. */
interface Runtime {
  run(commands: readonly string[]): Promise<string[]>;
}

/** A certificate in the form in which HAProxy reads it. */
interface Shown {
  /** Of its file. */
  readonly path: string;
  /** Host names, `*.` in front for all names one level below; none: whoever asks for a name that no other is for. */
  readonly hosts: readonly string[];
  /** Certificate, chain and key. */
  readonly pem: string;
}

const HOST = /^(\*\.)?[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?$/;
const NAME = /^[a-z0-9][a-z0-9.-]{0,252}$/;
const BLOCK = /-----BEGIN ([A-Z ]+)-----\s+[A-Za-z0-9+/=\s]+-----END \1-----/g;

export const CERTIFICATE_LIST = 'certificates.list';

/**
 * The certificates that HAProxy shows. What is renewed, comes or goes while there are others takes effect at run time: connections stay, and
 * new ones are shown the new certificate. Other host names, and another first one, which is shown to who asks for an unknown name, need a reload.
 */
export class Certificates {
  readonly #folder: string;
  readonly #log: (line: string) => void;
  #shown: readonly Shown[] = [];

  constructor(folder: string, log: (line: string) => void) {
    this.#folder = folder;
    this.#log = log;
  }

  /** Whether there is one, so that HAProxy can listen for TLS. */
  get any(): boolean {
    return this.#shown.length > 0;
  }

  /** Whether HAProxy has to read its configuration again before these are in force. */
  needReload(certificates: readonly RouterCertificate[]): boolean {
    const wanted = this.#wanted(certificates);
    const known = new Map(this.#shown.map((one) => [one.path, entryOf(one)]));
    const isOther = (one: Shown) => (known.get(one.path) ?? entryOf(one)) !== entryOf(one);
    return wanted[0]?.path !== this.#shown[0]?.path || wanted.some(isOther);
  }

  /** For an HAProxy that reads its configuration afterwards. */
  async write(certificates: readonly RouterCertificate[]): Promise<void> {
    const wanted = this.#wanted(certificates);
    await mkdir(join(this.#folder, 'certificates'), { recursive: true, mode: 0o700 });
    for (const { path, pem } of wanted) await this.#put(path, pem);
    await this.#put(join(this.#folder, CERTIFICATE_LIST), listOf(wanted));
    for (const { path } of this.#shown) if (!wanted.some((one) => one.path === path)) await rm(path, { force: true });
    this.#shown = wanted;
  }

  /** For one that runs. @throws what the interface throws */
  async change(certificates: readonly RouterCertificate[], runtime: Runtime): Promise<void> {
    const before = this.#shown;
    await this.write(certificates);
    const list = join(this.#folder, CERTIFICATE_LIST);
    for (const line of changes(before, this.#shown, list)) {
      const [answer = ''] = await runtime.run([line]);
      if (REFUSED.test(answer)) this.#log(`HAProxy refused a certificate: ${answer}`);
    }
  }

  /** One that cannot be shown must not keep a router from the others. */
  #wanted(certificates: readonly RouterCertificate[]): readonly Shown[] {
    const shown = certificates.flatMap(({ name, hosts, certificate, key }): Shown[] => {
      const pem = NAME.test(name) ? pemOf(certificate, key) : undefined;
      if (pem === undefined) {
        this.#log(`the Secret ${name} holds no certificate with its key`);
        return [];
      }
      const path = join(this.#folder, 'certificates', `${name}.pem`);
      return [{ path, hosts: hosts.map((host) => host.toLowerCase()).filter((host) => HOST.test(host)), pem }];
    });
    const rank = ({ hosts, path }: Shown) => `${hosts.length === 0 ? 0 : 1}${path}`;
    return shown.sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
  }

  async #put(path: string, text: string): Promise<void> {
    await writeFile(`${path}.new`, text, { mode: 0o600 });
    await rename(`${path}.new`, path);
  }
}

const REFUSED = /can't|unable|error|invalid|failed|not found|doesn't|already/i;

/** Nothing but the certificates and the key, if they belong together. */
function pemOf(certificate: string, key: string): string | undefined {
  const chain = blocks(certificate).filter((block) => block.startsWith('-----BEGIN CERTIFICATE-'));
  const [own] = blocks(key).filter((block) => block.includes('PRIVATE KEY-----'));
  const [leaf] = chain;
  if (leaf === undefined || own === undefined) return undefined;
  try {
    if (!new X509Certificate(leaf).checkPrivateKey(createPrivateKey(own))) return undefined;
  } catch {
    return undefined;
  }
  return `${[...chain, own].join('\n')}\n`;
}

/** Without empty lines, which end what HAProxy is told at run time. */
function blocks(text: string): readonly string[] {
  return [...text.matchAll(BLOCK)].map(([block]) => block.replace(/\s*\n\s*/g, '\n'));
}

function listOf(shown: readonly Shown[]): string {
  return shown.map((one) => `${entryOf(one)}\n`).join('');
}

function entryOf({ path, hosts }: Shown): string {
  return [path, ...hosts].join(' ');
}

/** What makes HAProxy show the one instead of the other; each is a command with what belongs to it. */
function changes(before: readonly Shown[], after: readonly Shown[], list: string): readonly string[] {
  const old = new Map(before.map((one) => [one.path, one]));
  const kept = new Set(after.map(({ path }) => path));
  return [
    ...after.flatMap((one) => {
      const known = old.get(one.path);
      if (known?.pem === one.pem) return [];
      const content = [`set ssl cert ${one.path} <<\n${one.pem}`, `commit ssl cert ${one.path}`];
      if (known !== undefined) return content;
      return [`new ssl cert ${one.path}`, ...content, `add ssl crt-list ${list} <<\n${entryOf(one)}\n`];
    }),
    ...before
      .filter(({ path }) => !kept.has(path))
      .flatMap(({ path }) => [`del ssl crt-list ${list} ${path}`, `del ssl cert ${path}`]),
  ];
}
