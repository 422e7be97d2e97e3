import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { buildAll } from '../../scripts/build.ts';
import type { BundledPackage } from '../../scripts/notices.ts';

const root = join(import.meta.dirname, '..', '..');
const run = promisify(execFile);
const isWindows = process.platform === 'win32';

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

describe('the package as it is shipped', () => {
  let folder: string;
  let installed: string;
  let bundled: readonly BundledPackage[];
  let packed: Packed;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aksml-package-'));
    const source = join(folder, 'source');
    for (const name of ['package.json', 'bin', 'runtime', 'LICENSE', 'README.md', 'CHANGELOG.md', 'src', 'samples']) {
      if (await stat(join(root, name)).catch(() => undefined))
        await cp(join(root, name), join(source, name), { recursive: true });
    }
    bundled = await buildAll(join(source, 'dist'));
    packed = await pack(source);
    const target = join(folder, 'empty');
    await mkdir(target);
    await npm(
      ['install', '--offline', '--no-audit', '--no-fund', '--prefix', target, join(source, packed.filename)],
      target,
    );
    installed = join(target, 'node_modules', 'aksml');
  });
  after(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));

  test('holds what runs and nothing else', () => {
    const paths = packed.files.map(({ path }) => path);
    const strange = paths.filter(
      (path) =>
        !/^(package\.json|README\.md|CHANGELOG\.md|LICENSE|bin\/(aksml\.js|package\.json)|dist\/[^/]+\.js|dist\/(cli|launch)\.cjs|dist\/[^/]+\.txt|runtime\/python\/(scaffolds\/)?[\w-]+\.py)$/.test(
          path,
        ),
    );
    assert.deepEqual(strange, []);
    for (const needed of [
      'bin/aksml.js',
      'dist/cli.cjs',
      'dist/supervisor.js',
      'dist/gateway.js',
      'runtime/python/replica.py',
    ])
      assert.ok(paths.includes(needed), needed);
  });

  test('installs without a registry, and runs', async () => {
    const environment = { ...process.env, AKSML_HOME: join(folder, 'home'), NO_COLOR: '1' };
    const command = join(installed, 'bin', 'aksml.js');
    const help = await run(process.execPath, [command, '--help'], { env: environment });
    assert.match(help.stdout, /model/);
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
    assert.equal(
      (await run(process.execPath, [command, '--version'], { env: environment })).stdout,
      `aksml ${version}\n`,
    );
    const list = await run(process.execPath, [command, 'model', 'list', '-o', 'json'], { env: environment });
    assert.equal(list.stdout, '[]\n');
  });

  test('names everyone whose code it contains, with the licence in full', async () => {
    const notices = await readFile(join(installed, 'dist', 'THIRD-PARTY-NOTICES.txt'), 'utf8');
    assert.ok(bundled.length > 10);
    for (const { name, version, licence, source, licenceText } of bundled) {
      assert.ok(notices.includes(`${name} ${version}\nLicence: ${licence}\nSource: ${source}\n`), name);
      assert.ok(licenceText.length > 200 && notices.includes(licenceText), `the licence of ${name}`);
      assert.match(source, /^(https:\/\/|npm package )/);
    }
    assert.match(notices, /@jmespath-community\/jmespath \S+\nLicence: MPL-2\.0/);
  });

  test('is built to the same bytes again', async () => {
    const again = join(folder, 'again');
    await buildAll(again);
    for (const file of ['cli.cjs', 'THIRD-PARTY-NOTICES.txt'])
      assert.deepEqual(await readFile(join(again, file)), await readFile(join(folder, 'source', 'dist', file)), file);
  });

  test('on a Node that is too old, says which one it needs', async (context) => {
    const old = await oldNode();
    if (old === undefined) return context.skip('no Node older than 22.19 is on this machine or could be fetched');
    const { status, stdout, stderr } = spawnSync(old, [join(installed, 'bin', 'aksml.js'), '--help'], {
      encoding: 'utf8',
    });
    assert.equal(status, 2, stderr);
    assert.equal(stdout, '');
    assert.match(
      stderr,
      /^aksml needs Node 22\.19 or later, and this is Node \d+\.\d+\.\d+ \(.+\)\. Install a newer Node/,
    );
  });
});

async function pack(folder: string): Promise<Packed> {
  // The build that packing would begin with has been made already.
  const { stdout } = await npm(['pack', '--json', '--ignore-scripts'], folder);
  const answer = JSON.parse(stdout) as readonly Packed[] | Readonly<Record<string, Packed>>;
  const [packed] = Object.values(answer);
  assert.ok(packed);
  return packed;
}

/** npm by the way that works on Windows too, where it is a script for a shell. */
function npm(args: readonly string[], cwd: string): Promise<{ stdout: string }> {
  const script = process.env['npm_execpath'];
  if (script !== undefined) return run(process.execPath, [script, ...args], { cwd });
  return run(isWindows ? 'npm.cmd' : 'npm', args, { cwd, shell: isWindows });
}

/** An old Node of this machine, else one that npm fetches once. */
async function oldNode(): Promise<string | undefined> {
  const executable = isWindows ? 'node.exe' : 'node';
  const cache = join(root, '.cache', 'node-20');
  const fetched = join(cache, 'node_modules', 'node', 'bin', executable);
  const candidates = [...(process.env['PATH'] ?? '').split(delimiter).map((path) => join(path, executable)), fetched];
  const found = candidates.find(isOld);
  if (found !== undefined) return found;
  await mkdir(cache, { recursive: true });
  await writeFile(join(cache, 'package.json'), '{"private":true}\n');
  await npm(['install', '--no-audit', '--no-fund', '--prefix', cache, 'node@20'], cache).catch(() => undefined);
  return isOld(fetched) ? fetched : undefined;
}

function isOld(node: string): boolean {
  const { status, stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  const [, major = '0', minor = '0'] = /^v(\d+)\.(\d+)/.exec(stdout ?? '') ?? [];
  return status === 0 && Number(major) >= 18 && (Number(major) < 22 || (Number(major) === 22 && Number(minor) < 19));
}
