// Notes down which Debian packages HAProxy is made of now, as apt itself resolves and authenticates them, in
// src/engine/images/haproxy-packages.json. `node scripts/haproxy-packages.ts` on a Debian machine, when Debian has mended something.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SUITE = 'trixie';
const MIRROR = 'https://deb.debian.org';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
/** The program, and every package with a library that is loaded with it. */
const NAMES =
  `haproxy libc6 libcrypt1 libgcc-s1 libjemalloc2 liblua5.4-0 libopentracing-c-wrapper0t64 libopentracing1 libpcre2-8-0 libssl3t64 libstdc++6 libzstd1
 zlib1g`.split(/\s+/);
const FILE = join(import.meta.dirname, '..', 'src', 'engine', 'images', 'haproxy-packages.json');

const folder = mkdtempSync(join(tmpdir(), 'aksml-apt-'));
try {
  const time = `${new Date().toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`;
  writeFileSync(FILE, `${JSON.stringify({ time, amd64: resolve('amd64'), arm64: resolve('arm64') }, undefined, 2)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function resolve(architecture: string) {
  const root = join(folder, architecture);
  for (const path of ['state/lists/partial', 'cache/archives/partial'])
    mkdirSync(join(root, path), { recursive: true });
  writeFileSync(join(root, 'status'), '');
  const lines = ['debian', 'debian-security'].map(
    (archive) => `deb [signed-by=${KEYRING}] ${MIRROR}/${archive} ${SUITE}${archive.slice('debian'.length)} main\n`,
  );
  writeFileSync(join(root, 'sources.list'), lines.join(''));
  const options = {
    'Dir::State': join(root, 'state'),
    'Dir::State::status': join(root, 'status'),
    'Dir::Cache': join(root, 'cache'),
    'Dir::Etc::sourcelist': join(root, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'APT::Architecture': architecture,
    'APT::Architectures': architecture,
    'APT::Sandbox::User': 'root',
  };
  const apt = (...words: readonly string[]) =>
    execFileSync('apt-get', [...Object.entries(options).map(([name, value]) => `-o${name}=${value}`), ...words], {
      encoding: 'utf8',
    });
  apt('--quiet=2', 'update');
  const printed = apt('download', '--print-uris', ...NAMES);
  return [...printed.matchAll(/^'([^']+)' \S+ \d+ SHA256:(\S+)$/gm)]
    .map(([, url = '', sha256]) => ({ path: url.slice(MIRROR.length + 1), sha256 }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}
