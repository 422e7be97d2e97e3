import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type BaseImage, debianBaseImage, pushBaseImage } from '../../scripts/cluster/base-image.ts';
import { findDockerRegistry } from '../../scripts/cluster/registry.ts';
import { isOnPath } from '../../scripts/packages.ts';
import { AksmlError } from '../../src/contract/error.ts';
import { DistributionRegistry } from '../../src/engine/registry/distribution.ts';
import { joinTeam } from './deployment-world.ts';
import { type DockerDaemon, findDocker, startDockerDaemon } from './docker-daemon.ts';
import { type RunningRegistry, startDockerRegistry } from './docker-registry.ts';
import { inspectFiles } from './image-files.ts';
import { environmentDefinition } from './package-world.ts';
import { findPodman } from './podman.ts';

const found = findDockerRegistry();
const debian = 'skip' in found ? found : await debianBaseImage();
const { skip } = findPodman();
const docker = findDocker();

if ('skip' in found) test('Docker steps', { skip: found.skip }, () => {});
else if ('skip' in debian) test('Docker steps', { skip: debian.skip }, () => {});
else builderSuite(found.command, debian);

function builderSuite(registryCommand: string, base: BaseImage): void {
  let running: RunningRegistry;
  let baseImage: string;
  let folder: string;
  let daemon: DockerDaemon | undefined;

  before(async () => {
    running = await startDockerRegistry(registryCommand);
    baseImage = await pushBaseImage(base, new DistributionRegistry(running.host, { fetch }));
    folder = await mkdtemp(join(tmpdir(), 'aksml-builders-'));
    if (docker.skip === undefined) daemon = await startDockerDaemon();
  });
  after(async () => {
    await daemon?.stop();
    await running.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const reasons = {
    podman: skip,
    buildah: skip ?? (isOnPath('buildah') ? undefined : 'needs buildah on PATH'),
    docker: docker.skip,
  };
  for (const [builder, reason] of Object.entries(reasons)) {
    test(`Docker steps are carried out by ${builder} once, and packages go on top`, { skip: reason }, async (t) => {
      const environment = { ...(await onlyBuilder(folder, builder)), DOCKER_HOST: daemon?.address };
      const team = await joinTeam(t, `${running.host}/${builder}`, { environment });
      const sourceDirectory = join(team.engine.home.root, 'source');
      await mkdir(sourceDirectory, { recursive: true });
      await writeFile(join(sourceDirectory, 'score.py'), 'def init(): pass\ndef run(data): return data\n');
      const definition = environmentDefinition({
        python: {
          userManagedDependencies: false,
          condaDependencies: { channels: [], dependencies: [], pip: ['idna'] },
        },
      });
      const steps = {
        ...definition.docker,
        baseDockerfile: `ARG BASE=${baseImage}\nFROM \${BASE} AS tools\nRUN echo made > /made\nFROM ${baseImage}\nCOPY --from=tools /made /etc/made`,
        extraSteps: 'RUN cat /etc/made > /etc/extra',
      };
      const build = () => team.build({ sourceDirectory, definition: { ...definition, docker: steps } });
      const first = await build();
      const files = await inspectFiles(team.engine.registry, 'images/factor', first.image);
      assert.equal(files.get('etc/extra'), 'made\n');
      assert.ok(files.has('opt/aksml/environment/lib/python3.11/site-packages/idna/__init__.py'));
      assert.ok(first.events.some((event) => event.type === 'log' && event.source === builder));

      const second = await build();
      assert.equal(second.image, first.image);
      assert.ok(!second.events.some((event) => event.type === 'log' && event.source === builder));
    });
  }

  test('steps that fail, and machines without a builder, are named with what to do', { skip }, async (t) => {
    const { engine, build } = await joinTeam(t, `${running.host}/failing`, {
      environment: await onlyBuilder(folder, 'podman'),
    });
    const sourceDirectory = join(engine.home.root, 'source');
    await mkdir(sourceDirectory, { recursive: true });
    await writeFile(join(sourceDirectory, 'score.py'), 'def init(): pass\ndef run(data): return data\n');
    const definition = environmentDefinition();
    const project = {
      sourceDirectory,
      definition: {
        ...definition,
        docker: { ...definition.docker, baseImage, extraSteps: 'RUN echo why >&2; exit 7' },
      },
    };
    await assert.rejects(
      build(project),
      (error) => AksmlError.is(error, 'image.buildFailed') && error.logTail.some((line) => line.includes('why')),
    );
    const conda = { channels: ['conda-forge'], dependencies: ['python=3.11', 'r-base'], pip: [] };
    const fromConda = environmentDefinition({
      python: { userManagedDependencies: false, condaDependencies: conda },
      docker: { ...definition.docker, baseImage },
    });
    await assert.rejects(
      build({ sourceDirectory, definition: fromConda }),
      (error) => AksmlError.is(error, 'image.needsConda') && /mambaorg\/micromamba/.test(error.remedy ?? ''),
    );
    const bare = await joinTeam(t, `${running.host}/bare`, { environment: { ...process.env, PATH: folder } });
    await assert.rejects(bare.build(project), (error) => AksmlError.is(error, 'image.needsBuilder'));
  });
}

/** Variables under which that builder is the only one there is, works in any container, and keeps its storage in the folder. */
async function onlyBuilder(folder: string, builder: string): Promise<NodeJS.ProcessEnv> {
  const bin = join(folder, `bin-${builder}`);
  await mkdir(bin, { recursive: true });
  for (const name of [builder, 'python3', 'uv']) {
    const path = (process.env['PATH'] ?? '').split(':').find((entry) => entry !== '' && isOnPath(join(entry, name)));
    if (path !== undefined) await symlink(join(path, name), join(bin, name)).catch(() => {});
  }
  const storage = join(folder, 'storage.conf');
  const root = join(folder, `storage-${builder}`);
  await writeFile(storage, `[storage]\ndriver = "vfs"\ngraphroot = "${root}"\nrunroot = "${root}-run"\n`);
  const containers = join(folder, 'containers.conf');
  const engine = isOnPath('runc')
    ? '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\n'
    : '';
  await writeFile(
    containers,
    `[containers]\nnetns = "host"\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n${engine}`,
  );
  return {
    ...process.env,
    PATH: bin,
    BUILDAH_ISOLATION: 'chroot',
    CONTAINERS_STORAGE_CONF: storage,
    CONTAINERS_CONF: containers,
    UV_CACHE_DIR: join(import.meta.dirname, '..', '..', '.cache', 'test-images', 'uv'),
  };
}
