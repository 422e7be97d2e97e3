import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { EndpointSecrets } from '../../src/contract/compute-target.ts';
import type { Endpoint, VersionSpec } from '../../src/contract/endpoint.ts';
import { AksmlError } from '../../src/contract/error.ts';
import { begunBy, noted, readHandOver, refuseOther } from '../../src/engine/endpoints/handed-over.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openHome } from '../../src/home/home.ts';
import { clusterEndpoint, clusterVersion } from './cluster-samples.ts';

const refusal = new AksmlError('service.exists', 'It is there.');
const image = (digit: string) => `sha256:${digit.repeat(64)}`;

const ENDS: readonly { readonly what: string; readonly error?: Error; readonly staysNoted: boolean }[] = [
  { what: 'when it is served', staysNoted: false },
  { what: 'when it has failed', error: new AksmlError('deployment.failed', 'init() failed.'), staysNoted: false },
  { what: 'after Ctrl+C', error: AksmlError.cancelled('Waiting'), staysNoted: true },
  { what: 'when the answer was lost', error: new AksmlError('kube.unreachable', 'It is away.'), staysNoted: true },
];

for (const { what, error, staysNoted } of ENDS) {
  test(`what was handed over is ${staysNoted ? 'still' : 'no longer'} noted ${what}`, async (t) => {
    const engine = await makeEngine(t);
    const version = clusterVersion({ revision: 'sha256:1' });
    const making = { endpoint: 'web' };
    const ended = noted(engine, making, version, async () => {
      const handOver = await readHandOver(engine, making);
      assert.ok(begunBy(handOver, clusterEndpoint({ versions: [version] }), () => refusal));
      for (const change of [{ revision: 'sha256:2' }, { updatedTime: '2026-01-02T00:00:00Z' }, { name: 'other' }]) {
        const other = clusterEndpoint({ versions: [{ ...version, ...change }] });
        assert.equal(
          begunBy(handOver, other, () => refusal),
          undefined,
          'somebody else has made it',
        );
      }
      assert.equal(await readHandOver(engine, { ...making, version: version.name }), undefined);
      if (error) throw error;
    });
    await (error ? assert.rejects(ended, error) : ended);
    assert.equal((await readHandOver(engine, making)) !== undefined, staysNoted);
  });
}

/** What a command that is run again would hand over, beside what is there. */
const REPEATS: readonly {
  readonly what: string;
  readonly spec?: Partial<Endpoint['spec']>;
  readonly version?: Partial<VersionSpec>;
  readonly secrets?: EndpointSecrets;
  readonly kind?: 'local';
  readonly isRefused: boolean;
}[] = [
  { what: 'the same, later', version: { updatedTime: '2027', createdTime: '2027' }, isRefused: false },
  { what: 'another image', version: { image: image('1') }, isRefused: true },
  { what: 'other tags', spec: { tags: { team: 'b' } }, isRefused: true },
  { what: 'a share of the traffic', version: { trafficPercentile: 5 }, isRefused: true },
  { what: 'the same key', secrets: { keys: { primaryKey: 'one' } }, isRefused: false },
  { what: 'another key', secrets: { keys: { primaryKey: 'two' } }, isRefused: true },
  { what: 'the same secret variables', secrets: variables({ TOKEN: 'red', OTHER: null }), isRefused: false },
  { what: 'another secret variable', secrets: variables({ TOKEN: 'blue' }), isRefused: true },
  {
    what: 'the same secret variables on this machine, whose images differ by them',
    version: { image: image('1') },
    secrets: variables({ TOKEN: 'red' }),
    kind: 'local',
    isRefused: false,
  },
];

for (const { what, spec = {}, version = {}, secrets = {}, kind = 'kubernetes', isRefused } of REPEATS) {
  test(`a command that would hand over ${what} is ${isRefused ? 'refused' : 'gone on with'}`, async (t) => {
    const added = { variablesRevision: 'abc', imagePullSecret: 'web-pull' };
    const there = clusterVersion({ image: image('0'), ...added });
    const endpoint = clusterEndpoint({ versions: [there] });
    const wanted = clusterEndpoint({ versions: [clusterVersion({ image: image('0'), ...version })], ...spec });
    const deciding = refuseOther(await makeEngine(t, kind), { endpoint, version: there, refusal }, wanted, secrets);
    await (isRefused ? assert.rejects(deciding, refusal) : deciding);
  });
}

function variables(values: Readonly<Record<string, string | null>>): EndpointSecrets {
  return { environmentVariables: { main: values } };
}

async function makeEngine(t: { after(work: () => Promise<void>): void }, kind = 'kubernetes'): Promise<Engine> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-handed-over-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const target = {
    ...{ name: 'west', kind },
    getKeys: async () => ({ primaryKey: 'one', secondaryKey: 'other' }),
    getSecretVariables: async () => ({ main: { TOKEN: 'red', OTHER: 'green' } }),
  };
  return { home: openHome({ AKSML_HOME: folder }), workspace: { name: 'team' }, target } as unknown as Engine;
}
