import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type BaseImage, debianBaseImage, pushBaseImage } from '../../scripts/cluster/base-image.ts';
import { findDockerRegistry } from '../../scripts/cluster/registry.ts';
import type { ProgressEvent } from '../../src/contract/event.ts';
import { packageBuildContext } from '../../src/engine/images/build-context.ts';
import { packageImage } from '../../src/engine/images/package.ts';
import { DistributionRegistry } from '../../src/engine/registry/distribution.ts';
import { type RunningRegistry, startDockerRegistry } from './docker-registry.ts';
import { makePackageWorld, type PackageWorld } from './package-world.ts';
import { findPodman, openPodman, type Podman } from './podman.ts';

/** Packages from the package index, by whatever way this machine reaches it; one cache for all homes. */
const CACHE = join(import.meta.dirname, '..', '..', '.cache', 'test-images');
const ENVIRONMENT = { ...process.env, UV_CACHE_DIR: join(CACHE, 'uv') };
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

const registryProgram = findDockerRegistry();
const base = 'skip' in registryProgram ? registryProgram : await debianBaseImage();
const podmanFound = findPodman();

if ('skip' in registryProgram) test('packages', { skip: registryProgram.skip }, () => {});
else if ('skip' in base) test('packages', { skip: base.skip }, () => {});
else packageSuite(registryProgram.command, base);

function packageSuite(registryCommand: string, baseImage: BaseImage): void {
  let running: RunningRegistry;
  let baseName: string;
  let podman: Podman | undefined;

  before(async () => {
    running = await startDockerRegistry(registryCommand);
    baseName = await pushBaseImage(baseImage, new DistributionRegistry(running.host, { fetch }));
    if (podmanFound.skip === undefined) podman = await openPodman();
  });
  after(async () => {
    await running.stop();
    await podman?.close();
  });

  const makeWorld = (t: Parameters<typeof makePackageWorld>[0], homeName = 'home'): Promise<PackageWorld> =>
    makePackageWorld(t, { homeName, environment: ENVIRONMENT });

  test('an image composed on a base image from a registry is loaded by podman and scores', podmanFound, async (t) => {
    const world = await makeWorld(t);
    const outputPath = join(world.folder, 'image.tar');
    const request = world.request({ base: baseName, outputPath, imageName: 'localhost/composed', imageLabel: '1' });
    const { digest, reference } = await packageImage(world.store, request, { format: 'tar' });
    assert.match(await use(podman).run('load', '--input', outputPath), /localhost\/composed:1/);
    await assertScores(await use(podman).serve(reference));
    const labels = JSON.parse(await use(podman).run('inspect', '--format', '{{json .Config.Labels}}', reference));
    assert.equal(labels['dev.aksml.models'], JSON.stringify([{ id: 'factor:1', treeDigest: world.model.treeDigest }]));
    assert.match(digest, /^sha256:/);
  });

  test("v1's build context is built by podman, and its container scores", podmanFound, async (t) => {
    const world = await makeWorld(t);
    const { folder } = await packageBuildContext(
      world.store,
      world.request({ base: baseName, outputPath: join(world.folder, 'context') }),
    );
    const pip = join(world.folder, 'pip.conf');
    await writeFile(pip, existsSync(CERTIFICATES) ? `[global]\ncert = ${CERTIFICATES}\n` : '');
    const volumes = ['/etc/ssl/certs:/etc/ssl/certs:ro', `${pip}:/etc/pip.conf:ro`].flatMap((volume) => [
      '--volume',
      volume,
    ]);
    await use(podman).run(
      ...['build', '--isolation', 'chroot', '--network', 'host', '--layers=false', '--tls-verify=false', ...volumes],
      ...['--ulimit', 'nofile=1024:1024', '--tag', 'localhost/built:1', folder],
    );
    await assertScores(await use(podman).serve('localhost/built:1'));
  });

  test('the same project gives the same image in another home, and a second package builds and fetches nothing', async (t) => {
    const digests: string[] = [];
    for (const homeName of ['a', join('a'.repeat(100), 'b'.repeat(100))]) {
      const world = await makeWorld(t, homeName);
      await mkdir(join(world.folder, homeName), { recursive: true });
      const request = world.request({ base: baseName, outputPath: join(world.folder, 'image') });
      digests.push((await packageImage(world.store, request, { format: 'layout' })).digest);

      const asked: string[] = [];
      const counting: typeof fetch = async (input, init) => {
        asked.push(`${init?.method ?? 'GET'} ${input}`);
        return fetch(input, init);
      };
      const events: ProgressEvent[] = [];
      const again = await packageImage({ ...world.store, fetch: counting }, request, {
        format: 'layout',
        onProgress: (event) => events.push(event),
      });
      digests.push(again.digest);
      assert.equal(asked.length, 1, `only the manifest is asked for: ${asked.join(', ')}`);
      assert.ok(events.some((event) => event.type === 'done' && event.stage === 'environment' && event.reused));
    }
    assert.equal(new Set(digests).size, 1, digests.join(' '));
  });
}

function use<T>(value: T | undefined): T {
  assert.ok(value !== undefined);
  return value;
}

async function assertScores({ address }: { readonly address: string }): Promise<void> {
  const answer = await fetch(`${address}/score`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ data: [1, 2] }),
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  assert.deepEqual(await answer.json(), { answer: [3, 6], greeting: 'say "$hello"', uid: 1000 });
}
