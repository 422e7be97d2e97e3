import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Endpoint } from '../../src/contract/endpoint.ts';
import { AksmlError } from '../../src/contract/error.ts';
import { deploy } from '../../src/engine/endpoints/deploy.ts';
import { rollback } from '../../src/engine/endpoints/history.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openLayout } from '../../src/engine/registry/layout.ts';
import { openHome } from '../../src/home/home.ts';
import { environmentDefinition, writeSmallBase } from '../images/package-world.ts';

/** What the image of the first revision is for, of which nodes the cluster is then, and what becomes of going back to it. */
const CASES: readonly {
  readonly what: string;
  readonly stated?: string;
  readonly base: string;
  /** What the name of the base image stands for by the time of the rollback. */
  readonly baseNow?: string;
  readonly nodes: readonly string[];
  readonly expected: { readonly architecture: string } | { readonly code: string; readonly message: RegExp };
}[] = [
  {
    what: 'its own nodes, which are there',
    base: 'arm64',
    nodes: ['amd64', 'arm64'],
    expected: { architecture: 'arm64' },
  },
  { what: 'its own nodes alone', base: 'arm64', nodes: ['arm64'], expected: { architecture: 'arm64' } },
  {
    what: 'none of the nodes that are left, as is its base image',
    base: 'arm64',
    nodes: ['amd64'],
    // As of a deploy, the build reads the base image and says so.
    expected: { code: 'image.wrongPlatform', message: /is for linux\/arm64, not for linux\/amd64\.$/ },
  },
  {
    what: 'none of the several nodes that are left, as is its base image',
    base: 's390x',
    nodes: ['amd64', 'arm64'],
    expected: {
      code: 'update.invalid',
      message: /^Revision 1: The base image .* is for linux\/s390x, not for linux\/amd64 or linux\/arm64\.$/,
    },
  },
  {
    what: 'none of the nodes that are left, as its environment says',
    stated: 'arm64',
    base: 'arm64',
    nodes: ['amd64'],
    expected: {
      code: 'update.invalid',
      message: /^Revision 1: The environment is for arm64, and the nodes of west are amd64\.$/,
    },
  },
  {
    what: 'none of the nodes that are left, while its base image is for them now',
    base: 'arm64',
    baseNow: 'amd64',
    nodes: ['amd64'],
    expected: { architecture: 'amd64' },
  },
];

for (const { what, stated = 'amd64', base, baseNow = base, nodes, expected } of CASES) {
  test(`going back to a revision whose image is for ${what}`, async (t) => {
    const { engine, cluster, deployOn, image } = await makeWorld(t);
    cluster.nodes = ['amd64', 'arm64', 's390x'];
    await writeSmallBase(image('first'), { architecture: base });
    await writeSmallBase(image('second'), { architecture: 'amd64' });
    await deployOn('first', stated);
    assert.equal(cluster.architecture(), base);
    await deployOn('second', 'amd64');
    assert.equal(cluster.architecture(), 'amd64');
    const { endpoint } = cluster;

    cluster.nodes = nodes;
    if (baseNow !== base) {
      await rm(image('first'), { recursive: true });
      await writeSmallBase(image('first'), { architecture: baseNow });
    }
    const going = rollback(engine, { name: 'web', wait: false });
    if ('architecture' in expected) {
      await going;
      assert.equal(cluster.architecture(), expected.architecture);
      return;
    }
    await assert.rejects(going, expected);
    assert.equal(cluster.endpoint, endpoint, 'nothing was handed over');
  });
}

async function makeWorld(t: { after(work: () => Promise<void>): void }) {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-rollback-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const source = join(folder, 'source');
  await mkdir(source);
  await writeFile(join(source, 'score.py'), 'def init():\n    pass\n');
  const home = openHome({ AKSML_HOME: join(folder, 'home') });
  const registry = openLayout(home, join(home.workspaces, 'test'));
  const cluster = {
    nodes: [] as readonly string[],
    endpoint: undefined as Endpoint | undefined,
    architecture: () => cluster.endpoint?.spec.versions[0]?.nodeSelector?.['kubernetes.io/arch'],
  };
  const target = {
    name: 'west',
    kind: 'kubernetes',
    record: { name: 'west', namespace: 'team' },
    status: async () => ({ architectures: cluster.nodes }),
    getEndpoint: async () => {
      if (cluster.endpoint) return cluster.endpoint;
      throw new AksmlError('service.notFound', 'There is none.');
    },
    applyEndpoint: async (endpoint: Endpoint) => {
      cluster.endpoint = endpoint;
      return endpoint;
    },
  };
  const engine = {
    ...{ home, registry, target, fetch, environment: {}, clock: () => new Date() },
    ...{ user: 'ada', version: '0.0.0-test', workspace: { name: 'test' } },
    images: async () => ({ registry, pullAddress: 'registry.example' }),
  } as unknown as Engine;
  const image = (name: string) => join(folder, name);
  const deployOn = (base: string, architecture: string) => {
    const definition = {
      ...environmentDefinition({ python: { userManagedDependencies: true } }),
      docker: { platform: { os: 'Linux', architecture }, arguments: [], enableGpu: false, baseImage: image(base) },
    };
    const environment = { kind: 'inline' as const, definition };
    const inference = { sourceDirectory: source, entryScript: 'score.py', namedFiles: [], environment };
    return deploy(engine, {
      ...{ name: 'web', models: [], cwd: folder, overwrite: true, wait: false, build: {} },
      configuration: { valid: true, problems: [], spec: {}, inference },
    });
  };
  return { engine, cluster, deployOn, image };
}
