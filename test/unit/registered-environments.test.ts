import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { EnvironmentDefinition } from '../../src/contract/environment.ts';
import { AksmlError } from '../../src/contract/error.ts';
import {
  type EnvironmentStore,
  getEnvironment,
  listEnvironments,
  registerEnvironment,
} from '../../src/engine/environments/registered.ts';
import { openLayout } from '../../src/engine/registry/layout.ts';
import { openHome } from '../../src/home/home.ts';

async function makeStore(t: { after(work: () => Promise<void>): void }): Promise<EnvironmentStore> {
  const root = await mkdtemp(join(tmpdir(), 'aksml-environments-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const home = openHome({ AKSML_HOME: root });
  return { home, registry: openLayout(home, join(home.workspaces, 'demo')), clock: () => new Date() };
}

function define(
  name: string,
  pip: readonly string[],
  more: Partial<EnvironmentDefinition> = {},
): EnvironmentDefinition {
  return {
    name,
    environmentVariables: {},
    secretEnvironmentVariables: [],
    python: {
      userManagedDependencies: false,
      condaDependencies: { channels: ['conda-forge'], dependencies: ['python=3.11'], pip },
    },
    docker: { platform: { os: 'Linux', architecture: 'amd64' }, arguments: [], enableGpu: false },
    ...more,
  };
}

const isCode = (code: string) => (error: unknown) => AksmlError.is(error, code);

test('an environment gets the next version, and the same content the version that it has', async (t) => {
  const store = await makeStore({ after: (work) => t.after(work) });
  const one = await registerEnvironment(store, define('My Env/ä', ['numpy']));
  const two = await registerEnvironment(store, define('My Env/ä', ['pandas']));
  const again = await registerEnvironment(store, { ...define('My Env/ä', ['numpy']), version: '7' });
  await registerEnvironment(store, define('my env/ä', ['numpy']));
  assert.deepEqual([one.environment.version, two.environment.version, again.environment.version], ['1', '2', '1']);
  assert.deepEqual([one.reused, again.reused], [false, true]);
  assert.deepEqual(again.environment, one.environment);
  assert.equal((await getEnvironment(store, 'My Env/ä')).version, '2');
  assert.deepEqual(await getEnvironment(store, 'My Env/ä', '1'), one.environment);
  assert.deepEqual(
    (await listEnvironments(store)).map(({ name, version }) => `${name}:${version}`),
    ['My Env/ä:2', 'My Env/ä:1', 'my env/ä:1'],
  );
  assert.equal((await listEnvironments(store, { latest: true })).length, 2);
});

test('registering at once gives every content one version', async (t) => {
  const store = await makeStore({ after: (work) => t.after(work) });
  const contents = ['a', 'b', 'c', 'a', 'b', 'c'];
  const registered = await Promise.all(contents.map((pip) => registerEnvironment(store, define('e', [pip]))));
  assert.deepEqual([...new Set(registered.map(({ environment }) => environment.version))].sort(), ['1', '2', '3']);
});

test('what is not there is named, with what to do', async (t) => {
  const store = await makeStore({ after: (work) => t.after(work) });
  const { name: _name, ...unnamed } = define('', []);
  await assert.rejects(registerEnvironment(store, unnamed), isCode('environment.nameMissing'));
  await assert.rejects(getEnvironment(store, ''), isCode('environment.notFound'));
  await assert.rejects(
    getEnvironment(store, 'AzureML-sklearn-1.0'),
    (error) => AksmlError.is(error, 'environment.notFound') && /Curated/.test(error.remedy ?? ''),
  );
  await registerEnvironment(store, define('e', []));
  await assert.rejects(
    getEnvironment(store, 'e', '2'),
    (error) => AksmlError.is(error, 'environment.notFound') && /versions 1/.test(error.remedy ?? ''),
  );
});

test('no secret enters the registry, and who registered it can still install', async (t) => {
  const store = await makeStore({ after: (work) => t.after(work) });
  const definition = (secret: string): EnvironmentDefinition =>
    define(
      'private',
      [
        `--extra-index-url https://build:${secret}@feed.example/simple`,
        `--index-url https://${secret}@feed.example/simple`,
        'git+ssh://git@github.example/team/package.git',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: pip's own form of a reference
        'package @ https://${USER}:${TOKEN}@feed.example/package.whl',
      ],
      {
        environmentVariables: { OPEN: 'yes', HIDDEN: secret },
        secretEnvironmentVariables: ['HIDDEN'],
        docker: {
          ...define('', []).docker,
          baseImageRegistry: { address: 'registry.example', username: 'me', password: secret },
        },
      },
    );
  await registerEnvironment(store, definition('s3cret-one'));
  const { environment, reused } = await registerEnvironment(store, definition('s3cret-two'));
  assert.equal(reused, true, 'a secret does not count as content');
  const shown = await getEnvironment(store, 'private');
  assert.deepEqual(shown, environment);
  assert.deepEqual(shown.definition.environmentVariables, { OPEN: 'yes' });
  assert.deepEqual(shown.definition.docker.baseImageRegistry, { address: 'registry.example', username: 'me' });
  assert.deepEqual(shown.definition.python.condaDependencies?.pip, [
    '--extra-index-url https://feed.example/simple',
    '--index-url https://feed.example/simple',
    ...(definition('').python.condaDependencies?.pip.slice(2) ?? []),
  ]);
  const whole = await getEnvironment(store, 'private', '1', { withSecrets: true });
  assert.deepEqual(whole.definition, { ...definition('s3cret-two'), version: '1' });

  for (const entry of await readdir(store.home.root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile() || !(await readFile(path, 'utf8')).includes('s3cret')) continue;
    assert.match(path, /secrets/);
    if (process.platform !== 'win32') assert.equal((await stat(path)).mode & 0o777, 0o600);
  }
});
