import { copyFile, mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { EnvironmentDefinition } from '../../src/contract/environment.ts';
import { type PreparedEnvironment, prepareEnvironment } from '../../src/engine/environments/environment.ts';
import { openHome } from '../../src/home/home.ts';

/** An `AKSML_HOME` below `.cache`, kept from run to run: uv, its package cache and installed environments. Nothing else belongs there. */
export function sharedToolsHome(): string {
  return join(import.meta.dirname, '..', '..', '.cache', 'test-home');
}

/** The process's variables with the package cache shared: what a test that installs packages into a home of its own gives to it. */
export function sharedVariables(root: string): Record<string, string | undefined> {
  return { ...process.env, AKSML_HOME: root, UV_CACHE_DIR: join(sharedToolsHome(), 'cache', 'uv') };
}

/** Installs an environment in the shared home, once for all tests and runs. */
export function prepareShared(definition: EnvironmentDefinition): Promise<PreparedEnvironment> {
  const root = sharedToolsHome();
  return prepareEnvironment(
    { home: openHome({ AKSML_HOME: root }), environment: sharedVariables(root), clock: () => new Date() },
    definition,
  );
}

/** The scoring server and nothing else, which installs in a moment. */
export const SCORING_SERVER_ONLY: EnvironmentDefinition = {
  environmentVariables: {},
  secretEnvironmentVariables: [],
  python: {
    userManagedDependencies: false,
    condaDependencies: { channels: [], dependencies: [], pip: ['azureml-inference-server-http'] },
  },
  docker: { platform: { os: 'Linux', architecture: 'amd64' }, arguments: [], enableGpu: false },
};

/**
 * Lends uv and every environment of the shared home to a home of a test's own, which then finds them installed: at least
 * {@link SCORING_SERVER_ONLY}. Prepare what else the test needs with {@link prepareShared} before.
 */
export async function lendEnvironments(root: string): Promise<void> {
  await prepareShared(SCORING_SERVER_ONLY);
  const shared = openHome({ AKSML_HOME: sharedToolsHome() });
  const own = openHome({ AKSML_HOME: root });
  await mkdir(join(own.environments, 'locks'), { recursive: true });
  await mkdir(own.tools, { recursive: true });
  const link = (from: string, to: string): Promise<void> => symlink(from, to, 'junction');
  for (const name of await readdir(shared.tools)) {
    if (!name.startsWith('.')) await link(join(shared.tools, name), join(own.tools, name));
  }
  for (const name of await readdir(shared.environments)) {
    if (name !== 'locks') await link(join(shared.environments, name), join(own.environments, name));
  }
  for (const name of await readdir(join(shared.environments, 'locks'))) {
    if (name.endsWith('.json'))
      await copyFile(join(shared.environments, 'locks', name), join(own.environments, 'locks', name));
  }
}
