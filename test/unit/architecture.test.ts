import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CustomContainer } from '../../src/contract/endpoint.ts';
import { architectureProblems } from '../../src/engine/endpoints/architecture.ts';
import type { ClusterFacts } from '../../src/engine/endpoints/cluster-facts.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openHome } from '../../src/home/home.ts';
import { environmentDefinition, writeSmallBase } from '../images/package-world.ts';

/** What an environment says, what its base image or its container's image is for, what the nodes are, and what the plan says of it. */
const CASES: readonly {
  readonly what: string;
  readonly stated?: string;
  readonly base: string;
  readonly container?: true;
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
    container: true,
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
    what: 'Docker steps, which are built for what it says',
    base: 'arm64',
    steps: 'RUN true',
    nodes: ['arm64'],
    expected: [['error cluster.architecture', /is for amd64, and the nodes of west are arm64\.$/]],
  },
];

for (const { what, stated = 'amd64', base, container, steps, nodes, expected } of CASES) {
  test(`on which nodes a version can run: ${what}`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'aksml-architecture-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const image = join(folder, 'base');
    await writeSmallBase(image, { architecture: base });
    const definition = {
      ...environmentDefinition({ python: { userManagedDependencies: true } }),
      docker: {
        platform: { os: 'Linux', architecture: stated },
        arguments: [],
        enableGpu: false,
        ...(container ? {} : { baseImage: image }),
        ...(steps === undefined ? {} : { extraSteps: steps }),
      },
    };
    const engine = { home: openHome({ AKSML_HOME: folder }), environment: {}, fetch, clock: () => new Date() };
    const inference = { entryScript: 'score.py', namedFiles: [], environment: { kind: 'inline', definition } } as const;
    const cluster = { record: { name: 'west' }, status: { architectures: nodes } } as unknown as ClusterFacts;
    const problems = await architectureProblems(
      engine as unknown as Engine,
      container ? {} : { inference },
      container ? { container: { image } as unknown as CustomContainer } : {},
      cluster,
    );
    assert.deepEqual(
      problems.map(({ severity, code }) => `${severity} ${code}`),
      expected.map(([problem]) => problem),
    );
    for (const [index, [, message]] of expected.entries()) assert.match(problems[index]?.message ?? '', message);
  });
}
