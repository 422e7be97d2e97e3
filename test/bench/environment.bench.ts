import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EnvironmentDefinition } from '../../src/contract/environment.ts';
import { prepareEnvironment } from '../../src/engine/environments/environment.ts';
import { openHome } from '../../src/home/home.ts';

/** The sample's kind of environment: from a machine without uv and packages, to one where everything is there. */
const definition: EnvironmentDefinition = {
  environmentVariables: {},
  secretEnvironmentVariables: [],
  python: {
    userManagedDependencies: false,
    condaDependencies: { channels: [], dependencies: ['scikit-learn'], pip: ['azureml-defaults', 'joblib'] },
  },
  docker: { platform: { os: 'Linux', architecture: 'amd64' }, arguments: [], enableGpu: false },
};

const root = await mkdtemp(join(tmpdir(), 'aksml-bench-'));
const home = openHome({ AKSML_HOME: root });
const environment = { ...process.env, UV_CACHE_DIR: undefined };

async function measure(refresh = false): Promise<{ readonly seconds: number; readonly packages: number }> {
  const start = performance.now();
  const { lock } = await prepareEnvironment({ home, environment, clock: () => new Date() }, definition, { refresh });
  return { seconds: (performance.now() - start) / 1000, packages: lock.length };
}

async function remove(...folders: string[]): Promise<void> {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
}

try {
  const rows = [];
  rows.push({ case: 'cold: nothing there, not even uv', ...(await measure()) });
  await remove(home.environments);
  rows.push({ case: 'cached: packages in the cache, resolved anew', ...(await measure()) });
  const locks = join(home.environments, 'locks');
  for (const name of await readdir(locks)) {
    const { hash } = JSON.parse(await readFile(join(locks, name), 'utf8')) as { hash: string };
    await remove(join(home.environments, hash));
  }
  rows.push({ case: 'locked: folder gone, lock kept', ...(await measure()) });
  rows.push({ case: 'refresh: resolved anew to the same', ...(await measure(true)) });
  rows.push({ case: 'reused', ...(await measure()) });
  console.table(rows.map((row) => ({ ...row, seconds: row.seconds.toFixed(3) })));
} finally {
  await remove(root);
}
