import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CustomContainer } from '../../src/contract/endpoint.ts';
import { AksmlError } from '../../src/contract/error.ts';
import type { Model } from '../../src/contract/model.ts';
import type { Problem } from '../../src/contract/problem.ts';
import { type ArchitectureFacts, judgeArchitecture } from '../../src/engine/endpoints/architecture.ts';
import type { ClusterFacts } from '../../src/engine/endpoints/cluster-facts.ts';
import { settingsOf } from '../../src/engine/endpoints/settings.ts';
import { updateVersion } from '../../src/engine/endpoints/update.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { registerEnvironment } from '../../src/engine/environments/registered.ts';
import { openLayout } from '../../src/engine/registry/layout.ts';
import { createRevision } from '../../src/engine/revisions/revisions.ts';
import { openHome } from '../../src/home/home.ts';
import { environmentDefinition, writeSmallBase } from '../images/package-world.ts';
import { clusterEndpoint } from './cluster-samples.ts';

/** What an environment says, what its base image or its container's image is for, what the nodes are, and what the plan says of it. */
const CASES: readonly {
  readonly what: string;
  readonly stated?: string;
  readonly base: string;
  readonly as?: 'container' | 'registered' | 'kept' | 'kept container';
  readonly steps?: string;
  readonly nodes: readonly string[];
  readonly expected: readonly (readonly [string, RegExp])[];
}[] = [
  { what: 'nodes that are as it says', base: 'amd64', nodes: ['amd64'], expected: [] },
  {
    what: 'some nodes that are',
    base: 'amd64',
    nodes: ['arm64', 'amd64'],
    expected: [['notice cluster.oneArchitecture', /nodes of west that are amd64: .* others are arm64\.$/]],
  },
  {
    what: 'a base image for the other nodes',
    base: 'arm64',
    nodes: ['amd64', 'arm64'],
    expected: [['notice cluster.oneArchitecture', /nodes of west that are arm64: .* others are amd64\.$/]],
  },
  {
    what: 'a container for the other nodes',
    base: 'arm64',
    as: 'container',
    nodes: ['amd64', 'arm64'],
    expected: [['notice cluster.oneArchitecture', /that are arm64: /]],
  },
  {
    what: 'nodes that are all of another architecture, as is the base image',
    base: 'arm64',
    nodes: ['arm64'],
    expected: [],
  },
  {
    what: 'a base image for no node',
    base: 's390x',
    nodes: ['amd64', 'arm64'],
    expected: [['error cluster.architecture', /is for linux\/s390x, not for linux\/amd64 or linux\/arm64\.$/]],
  },
  {
    what: 'a base image for other nodes than those that were chosen',
    stated: 'arm64',
    base: 'amd64',
    nodes: ['amd64', 'arm64'],
    // The build reads the base image, and says so.
    expected: [],
  },
  {
    what: 'nodes that are all of another architecture than the one that was chosen',
    stated: 'arm64',
    base: 'arm64',
    nodes: ['amd64'],
    expected: [['error cluster.architecture', /is for arm64, and the nodes of west are amd64\.$/]],
  },
  {
    what: 'a registered environment, whose base image is for the other nodes',
    base: 'arm64',
    as: 'registered',
    nodes: ['amd64', 'arm64'],
    expected: [['notice cluster.oneArchitecture', /that are arm64: /]],
  },
  {
    what: 'a registered environment that is for no node',
    stated: 'arm64',
    base: 'arm64',
    as: 'registered',
    nodes: ['amd64'],
    expected: [['error cluster.architecture', /is for arm64, and the nodes of west are amd64\.$/]],
  },
  {
    what: 'the environment that an update keeps, whose base image is for the other nodes',
    base: 'arm64',
    as: 'kept',
    nodes: ['amd64', 'arm64'],
    expected: [['notice cluster.oneArchitecture', /that are arm64: /]],
  },
  {
    what: 'the container that an update keeps, which is for no node',
    base: 's390x',
    as: 'kept container',
    nodes: ['amd64', 'arm64'],
    expected: [['error cluster.architecture', /is for linux\/s390x, not for linux\/amd64 or linux\/arm64\.$/]],
  },
  {
    what: 'Docker steps, which are built for what it says',
    base: 'arm64',
    steps: 'RUN true',
    nodes: ['arm64'],
    expected: [['error cluster.architecture', /is for amd64, and the nodes of west are arm64\.$/]],
  },
];

for (const { what, stated = 'amd64', base, as, steps, nodes, expected } of CASES) {
  test(`on which nodes a version can run: ${what}`, async (t) => {
    const engine = await makeEngine(t);
    const image = join(engine.home.root, 'base');
    await writeSmallBase(image, { architecture: base });
    const definition = {
      ...environmentDefinition({ python: { userManagedDependencies: true } }),
      name: 'team',
      docker: {
        platform: { os: 'Linux', architecture: stated },
        arguments: [],
        enableGpu: false,
        ...(as?.endsWith('container') ? {} : { baseImage: image }),
        ...(steps === undefined ? {} : { extraSteps: steps }),
      },
    };
    if (as === 'registered') await registerEnvironment(engine, definition);
    const environment = as === 'registered' ? { kind: as, name: 'team' } : { kind: 'inline' as const, definition };
    const container = { image } as unknown as CustomContainer;
    const kept = {
      environment: { definition, hash: '', pythonVersion: '', lock: [] },
      ...(as === 'kept container' ? { container } : {}),
    };
    const problems = await judge(engine, nodes, {
      configuration: {
        valid: true,
        ...(as === 'container' || as?.startsWith('kept')
          ? {}
          : { inference: { entryScript: 'score.py', namedFiles: [], environment } }),
      },
      deployment: as === 'container' ? { container } : {},
      ...(as?.startsWith('kept') ? { kept } : {}),
    });
    expectProblems(problems, expected);
  });
}

test('on which nodes a model without code can run: as the image of its Python says, or its MLflow environment', async (t) => {
  const engine = await makeEngine(t, await imageInRegistry('arm64'));
  const onnx = { framework: 'Onnx', isMlflow: false } as unknown as Model;
  const resolved = { registered: [onnx], paths: [] };
  expectProblems(await judge(engine, ['amd64', 'arm64'], { resolved }), [
    ['notice cluster.oneArchitecture', /nodes of west that are arm64: /],
  ]);
  expectProblems(await judge(engine, ['amd64'], { resolved }), []);

  const path = join(engine.home.root, 'mlflow');
  await mkdir(path);
  await writeFile(join(path, 'MLmodel'), 'flavors:\n  python_function:\n    env: conda.yaml\n');
  await writeFile(join(path, 'conda.yaml'), 'dependencies:\n  - python=3.11\n  - gdal\n');
  const unregistered = { path, name: 'mlflow', isMlflow: true, reuse: false };
  // A container builder, which packages from conda need, builds for amd64.
  expectProblems(await judge(engine, ['arm64'], { resolved: { registered: [], paths: [unregistered] } }), [
    ['error cluster.architecture', /is for amd64, and the nodes of west are arm64\.$/],
  ]);
});

test('an update is refused for the nodes as a deploy is, by what it brings or by what it keeps for new models', async (t) => {
  const engine = await makeEngine(t);
  const definition = environmentDefinition({ python: { userManagedDependencies: true } });
  const platform = { os: 'Linux', architecture: 'arm64' };
  const forArm = { ...definition, docker: { ...definition.docker, platform } };
  const current = clusterEndpoint();
  const [version] = current.spec.versions;
  assert.ok(version);
  const { digest } = await createRevision(engine, {
    endpoint: current.metadata.name,
    version: version.name,
    createdTime: version.createdTime,
    createdBy: 'ada',
    aksmlVersion: '0.1.0',
    models: [],
    environment: { definition: forArm, hash: 'abc', pythonVersion: '3.11', lock: [] },
    settings: settingsOf(current.spec, version),
    git: {},
  });
  const target = {
    record: { name: 'west' },
    getEndpoint: async () => clusterEndpoint({ versions: [{ ...version, revision: digest }] }),
    status: async () => ({ architectures: ['amd64'] }),
  };
  const model = join(engine.home.root, 'model.pkl');
  await writeFile(model, '');
  const environment = { kind: 'inline', definition: forArm } as const;
  for (const change of [
    { configuration: { inference: { entryScript: 'score.py', namedFiles: [], environment } } },
    { configuration: {}, models: [{ path: model }] },
  ]) {
    const configuration = { valid: true, problems: [], spec: {}, ...change.configuration };
    const request = { name: 'web', wait: false, build: {}, cwd: engine.home.root, ...change, configuration };
    await assert.rejects(updateVersion({ ...engine, target } as unknown as Engine, request), (error) => {
      assert.ok(AksmlError.is(error, 'update.invalid'));
      assert.equal(error.message, 'The environment is for arm64, and the nodes of west are amd64.');
      return true;
    });
  }
});

async function makeEngine(t: { after(work: () => Promise<void>): void }, registryFetch = fetch): Promise<Engine> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-architecture-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const home = openHome({ AKSML_HOME: folder });
  const registry = openLayout(home, join(home.workspaces, 'test'));
  const engine = { home, registry, environment: {}, fetch, registryFetch, clock: () => new Date() };
  return engine as unknown as Engine;
}

async function judge(engine: Engine, nodes: readonly string[], facts: Partial<ArchitectureFacts>) {
  const cluster = { record: { name: 'west' }, status: { architectures: nodes } } as unknown as ClusterFacts;
  const nothing = { configuration: { valid: true }, deployment: {}, resolved: { registered: [], paths: [] } };
  return (await judgeArchitecture(engine, { ...nothing, ...facts }, cluster)).problems;
}

function expectProblems(problems: readonly Problem[], expected: readonly (readonly [string, RegExp])[]): void {
  assert.deepEqual(
    problems.map(({ severity, code }) => `${severity} ${code}`),
    expected.map(([problem]) => problem),
  );
  for (const [index, [, message]] of expected.entries()) assert.match(problems[index]?.message ?? '', message);
}

/** A registry in which every name is the same image, for one architecture. */
async function imageInRegistry(architecture: string): Promise<typeof fetch> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-architecture-'));
  await writeSmallBase(folder, { architecture });
  const blobs = join(folder, 'blobs', 'sha256');
  const names = await readdir(blobs);
  const content = new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(blobs, name))] as const)),
  );
  const { manifests } = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8'));
  await rm(folder, { recursive: true });
  return async (input) => {
    const { pathname } = new URL(String(input));
    const hex = pathname.includes('/blobs/') ? pathname.split(':').at(-1) : manifests[0].digest.split(':')[1];
    return new Response(content.get(hex ?? ''), { headers: { 'content-type': manifests[0].mediaType } });
  };
}
