import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debianBaseImage, pushBaseImage } from '../../scripts/cluster/base-image.ts';
import { run } from '../../scripts/cluster/command.ts';
import { findDockerRegistry } from '../../scripts/cluster/registry.ts';
import { isOnPath } from '../../scripts/packages.ts';
import { DistributionRegistry } from '../../src/engine/registry/distribution.ts';
import { joinTeam, type Teammate } from '../images/deployment-world.ts';
import { startDockerRegistry } from '../images/docker-registry.ts';
import { environmentDefinition } from '../images/package-world.ts';
import { median } from './median.ts';

/**
 * From a list of packages to an image in a registry: layers composed by aksml against buildah, which runs the same installation in a
 * container. Cold: neither has packages nor base image. Warm: both have them, and the list has changed. Target: ahead in both.
 */
const ROUNDS = 3;
const PACKAGES = ['azureml-inference-server-http', 'scikit-learn==1.5.2', 'pandas==2.2.3'];
/** Changes the list, not what is installed. */
const CHANGED = [...PACKAGES, 'joblib'];
const CERTIFICATES = '/etc/ssl/certs';

const cleanups: (() => Promise<void>)[] = [];
const t = { after: (work: () => Promise<void>) => void cleanups.push(work) };
const base = await debianBaseImage();
const program = findDockerRegistry();
if ('skip' in base || 'skip' in program || !isOnPath('buildah')) {
  console.log('needs a base image, docker-registry and buildah');
  process.exit(1);
}
const running = await startDockerRegistry(program.command);
cleanups.push(() => running.stop());

try {
  const baseImage = await pushBaseImage(base, new DistributionRegistry(running.host, { fetch }));
  const times = { cold: { aksml: [], buildah: [] }, warm: { aksml: [], buildah: [] } } as Times;
  for (let round = 1; round <= ROUNDS; round += 1) {
    const layers = await composed(baseImage, `aksml-${round}`);
    const container = await built(baseImage, `buildah-${round}`);
    for (const [state, packages] of [
      ['cold', PACKAGES],
      ['warm', CHANGED],
    ] as const) {
      times[state].aksml.push(await timed(() => layers(packages)));
      times[state].buildah.push(await timed(() => container(packages)));
    }
  }
  console.table(
    Object.fromEntries(
      Object.entries(times).map(([state, { aksml, buildah }]) => [
        state,
        {
          'aksml, s': median(aksml).toFixed(1),
          'buildah, s': median(buildah).toFixed(1),
          'aksml / buildah': (median(aksml) / median(buildah)).toFixed(2),
        },
      ]),
    ),
  );
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup();
}

type Times = Record<'cold' | 'warm', Record<'aksml' | 'buildah', number[]>>;
type Build = (packages: readonly string[]) => Promise<unknown>;

async function composed(baseImage: string, name: string): Promise<Build> {
  const cache = await temporaryFolder();
  const environment = { ...process.env, UV_CACHE_DIR: cache };
  const teammate: Teammate = await joinTeam(t, `${running.host}/${name}`, { environment });
  const sourceDirectory = join(teammate.engine.home.root, 'source');
  await mkdir(sourceDirectory, { recursive: true });
  await writeFile(join(sourceDirectory, 'score.py'), 'def init():\n  pass\n\ndef run(data):\n  return data\n');
  return (packages) => {
    const definition = environmentDefinition({
      python: {
        userManagedDependencies: false,
        condaDependencies: { channels: [], dependencies: [], pip: [...packages] },
      },
    });
    const docker = { ...definition.docker, baseImage };
    return teammate.build({ sourceDirectory, definition: { ...definition, docker } });
  };
}

async function built(baseImage: string, name: string): Promise<Build> {
  const folder = await temporaryFolder();
  const cache = join(folder, 'pip');
  const context = join(folder, 'context');
  for (const made of [cache, context]) await mkdir(made);
  const storage = ['--root', join(folder, 'storage'), '--runroot', join(folder, 'run')];
  t.after(async () => {
    await run('buildah', [...storage, 'rmi', '--all', '--force']);
  });
  const certificates = existsSync(CERTIFICATES) ? ['--volume', `${CERTIFICATES}:${CERTIFICATES}:ro`] : [];
  const image = `${running.host}/${name}/image:1`;
  return async (packages) => {
    await writeFile(join(context, 'requirements.txt'), packages.join('\n'));
    await writeFile(join(context, 'Dockerfile'), dockerfile(baseImage));
    await run('buildah', [
      ...[...storage, 'build', '--isolation', 'chroot', '--network', 'host', '--layers', '--tls-verify=false'],
      ...['--ulimit', 'nofile=1024:1024', '--volume', `${cache}:/root/.cache/pip`, ...certificates],
      ...['--tag', image, context],
    ]);
    await run('buildah', [...storage, 'push', '--tls-verify=false', image]);
  };
}

function dockerfile(baseImage: string): string {
  return `FROM ${baseImage}
COPY requirements.txt /requirements.txt
RUN python3 -m venv /environment
RUN PIP_CERT=${CERTIFICATES}/ca-certificates.crt /environment/bin/pip install --disable-pip-version-check -r /requirements.txt
`;
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-bench-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}
