import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import tar from 'tar-stream';
import packageJson from '../../package.json' with { type: 'json' };
import { debianBaseImage, pushBaseImage } from '../../scripts/cluster/base-image.ts';
import { openPlace } from '../../scripts/cluster/place.ts';
import { findDockerRegistry } from '../../scripts/cluster/registry.ts';
import type { Platform } from '../../src/engine/images/base-image.ts';
import { decompressed } from '../../src/engine/images/base-python.ts';
import { pushControllerImage } from '../../src/engine/images/controller-image.ts';
import { findImage } from '../../src/engine/images/image-source.ts';
import { DistributionRegistry } from '../../src/engine/registry/distribution.ts';
import { type ImageIndex, type Manifest, MEDIA_TYPE, type Registry } from '../../src/engine/registry/registry.ts';
import { openHome } from '../../src/home/home.ts';
import { startDockerRegistry } from './docker-registry.ts';
import { ARCHITECTURE, writeSmallBase } from './package-world.ts';
import { findPodman, openPodman } from './podman.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const found = findDockerRegistry();
const debian = 'skip' in found ? found : await debianBaseImage();
const podmanFound = findPodman();

async function openScene(t: TestContext, command: string) {
  const running = await startDockerRegistry(command);
  const folder = await mkdtemp(join(tmpdir(), 'aksml-controller-'));
  t.after(async () => {
    await running.stop();
    await rm(folder, { recursive: true, force: true });
  });
  return { host: running.host, folder };
}

function toolsOf(home: string, fetching: typeof fetch = fetch) {
  return {
    home: openHome({ AKSML_HOME: home }),
    environment: process.env,
    clock: () => new Date(),
    fetch: fetching,
    version: packageJson.version,
  };
}

if ('skip' in found) test('the image of the controller', { skip: found.skip }, () => {});
else if ('skip' in debian) test('the image of the controller', { skip: debian.skip }, () => {});
else {
  test(
    'Node and the bundles run in an image that was composed of them, which is pushed once',
    podmanFound,
    async (t) => {
      const { host, folder } = await openScene(t, found.command);
      const podman = await openPodman();
      t.after(() => podman.close());
      const base = await pushBaseImage(debian, new DistributionRegistry(host, { fetch }));
      const tools = toolsOf(folder);
      const push = () =>
        pushControllerImage(tools, new DistributionRegistry(`${host}/team`, { fetch }), {
          base,
          platforms: [{ os: 'linux', architecture: ARCHITECTURE }],
          content: [{ from: join(ROOT, 'dist'), to: '/opt/aksml/dist' }],
          arguments: ['/opt/aksml/dist/cli.cjs'],
        });
      const pushed = await push();
      assert.equal(pushed.reference, `${host}/team/controller@${pushed.digest}`);
      assert.deepEqual(await push(), { ...pushed, reused: true });
      await podman.run('pull', '--tls-verify=false', pushed.reference);
      const run = ['run', '--rm', '--network', 'host', '--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];
      const said = await podman.run(...run, '--env', 'AKSML_HOME=/tmp/home', pushed.reference, '--version');
      assert.ok(said.includes(packageJson.version), said);
    },
  );

  test('where the base image that nobody named cannot be reached, the error says how to name another', async (t) => {
    const { host, folder } = await openScene(t, found.command);
    const cutOff: typeof fetch = async () => {
      throw new TypeError('fetch failed', { cause: new Error('ENOTFOUND') });
    };
    const pushing = pushControllerImage(toolsOf(folder, cutOff), new DistributionRegistry(host, { fetch }), {
      platforms: [{ os: 'linux', architecture: ARCHITECTURE }],
      content: [],
      arguments: [],
    });
    await assert.rejects(pushing, { code: 'registry.unreachable', remedy: /--controller-base/ });
  });

  test('for nodes of two architectures an index is made, and each image has programs of its own', async (t) => {
    const { host, folder } = await openScene(t, found.command);
    const registry = new DistributionRegistry(`${host}/team`, { fetch });
    const platforms = Object.keys(ELF_MACHINES).map((architecture) => ({ os: 'linux', architecture }));
    const tools = toolsOf(openPlace().cache);
    const base = await pushTwoBases(registry, folder, platforms);
    const push = () =>
      pushControllerImage(tools, registry, {
        base,
        platforms,
        frontEnd: true,
        content: [{ from: join(ROOT, 'package.json'), to: '/opt/aksml/package.json' }],
        arguments: ['/opt/aksml/package.json'],
      });
    const pushed = await push();
    const { bytes, descriptor } = await registry.getRawManifest('controller', packageJson.version);
    assert.deepEqual([descriptor.mediaType, descriptor.digest], [MEDIA_TYPE.index, pushed.digest]);
    const index: ImageIndex = JSON.parse(Buffer.from(bytes).toString());
    assert.deepEqual(
      index.manifests.map(({ platform }) => platform),
      platforms,
    );
    for (const { digest, platform } of index.manifests) {
      const machine = ELF_MACHINES[platform.architecture];
      const loader = platform.architecture === 'arm64' ? 'ld-linux-aarch64.so.1' : 'ld-linux-x86-64.so.2';
      const machines = await elfMachines(registry, 'controller', digest);
      for (const path of ['bin/node', 'haproxy/bin/haproxy', `haproxy/lib/${loader}`, 'haproxy/lib/libc.so.6'])
        assert.equal(machines.get(`opt/aksml/${path}`), machine, `${path} of ${platform.architecture}`);
      assert.deepEqual(new Set(machines.values()), new Set([machine]));
    }
    assert.deepEqual(await push(), { ...pushed, reused: true });
  });
}

/** `e_machine` */
const ELF_MACHINES: Readonly<Record<string, number>> = { amd64: 0x3e, arm64: 0xb7 };

/** Small images for the platforms, under one name. */
async function pushTwoBases(registry: DistributionRegistry, folder: string, platforms: readonly Platform[]) {
  const manifests: ImageIndex['manifests'][number][] = [];
  for (const platform of platforms) {
    const layout = join(folder, platform.architecture);
    await writeSmallBase(layout, { architecture: platform.architecture });
    const source = await findImage(layout, { fetch });
    const manifest: Manifest = JSON.parse(Buffer.from(await source.manifest(undefined)).toString());
    for (const blob of [manifest.config, ...manifest.layers]) {
      if (await registry.hasBlob('base', blob.digest)) continue;
      await registry.putBlob('base', await source.blob(blob.digest), { mediaType: blob.mediaType, expected: blob });
    }
    manifests.push({ ...(await registry.putManifest('base', manifest, {})).descriptor, platform });
  }
  await registry.putIndex('base', { schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests }, '1');
  return `${registry.location}/base:1`;
}

/** Of the programs and libraries in an image. */
async function elfMachines(registry: Registry, repository: string, digest: string): Promise<Map<string, number>> {
  const machines = new Map<string, number>();
  const { manifest } = await registry.getManifest(repository, digest);
  for (const layer of manifest.layers) {
    const extract = tar.extract();
    const content = decompressed(layer, await registry.getBlob(repository, layer.digest));
    content.pipe(extract as unknown as NodeJS.WritableStream);
    for await (const entry of extract) {
      for await (const chunk of entry as unknown as AsyncIterable<Buffer>) {
        const isFirst = !machines.has(entry.header.name);
        if (isFirst && chunk.toString('latin1', 0, 4) === '\x7fELF')
          machines.set(entry.header.name, chunk.readUInt16LE(18));
      }
    }
  }
  return machines;
}
