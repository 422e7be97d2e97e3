import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AksmlError } from '../../src/contract/error.ts';
import type { ProgressEvent } from '../../src/contract/event.ts';
import { type DeployRequest, deploy } from '../../src/engine/endpoints/deploy.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openLayout } from '../../src/engine/registry/layout.ts';
import type { Registry } from '../../src/engine/registry/registry.ts';
import { openHome } from '../../src/home/home.ts';
import { environmentDefinition, writeSmallBase } from '../images/package-world.ts';
import { clusterEndpoint } from './cluster-samples.ts';

const WRITES = ['putBlob', 'putManifest', 'putReferrer', 'mountBlob', 'deleteManifest'];

for (const [size, content] of [
  ['small', 'def run(data):\n    return data\n'],
  ['large', '#'.repeat(3 << 20)],
] as const) {
  test(`while a deploy of ${size} code is judged nothing is stored or told, and none of it where it is refused`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'aksml-ahead-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const [sourceDirectory, base] = [join(folder, 'source'), join(folder, 'base')];
    await mkdir(sourceDirectory);
    await writeFile(join(sourceDirectory, 'score.py'), content);
    await writeSmallBase(base);
    const home = openHome({ AKSML_HOME: join(folder, 'home') });
    const layout = openLayout(home, join(home.workspaces, 'test'));
    const calls: string[] = [];
    const registry: Registry = new Proxy(layout, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]) => {
          calls.push(String(name));
          return Reflect.apply(member, target, args);
        };
      },
    });
    const status = Promise.withResolvers<{ architectures: string[] }>();
    const target = {
      kind: 'kubernetes',
      name: 'west',
      record: { name: 'west', namespace: 'team', purpose: 'DevTest' },
      getEndpoint: async () => clusterEndpoint(),
      status: () => status.promise,
    };
    const engine = { home, registry, target, environment: {}, clock: () => new Date() } as unknown as Engine;
    const { docker, ...definition } = environmentDefinition({ python: { userManagedDependencies: true } });
    const environment = {
      kind: 'inline',
      definition: { ...definition, docker: { ...docker, baseImage: base } },
    } as const;
    const inference = { sourceDirectory, entryScript: 'score.py', namedFiles: [], environment };
    const request: DeployRequest = {
      name: 'web',
      models: [],
      configuration: { valid: true, problems: [], inference, spec: {} },
      overwrite: false,
      wait: false,
      build: {},
      cwd: folder,
    };
    const events: ProgressEvent[] = [];
    const deploying = deploy(engine, request, { onProgress: (event) => events.push(event) });
    while (!calls.includes('listTags')) await nextTurn();
    // Nothing tells that the code is packed, which is done in turns.
    for (let turn = 0; turn < 1000; turn += 1) await nextTurn();
    status.resolve({ architectures: ['amd64'] });
    await assert.rejects(deploying, (error) => AksmlError.is(error, 'deployment.invalid'));
    await nextTurn();
    assert.deepEqual(
      calls.filter((call) => WRITES.includes(call)),
      [],
    );
    assert.deepEqual(events, []);
  });
}
