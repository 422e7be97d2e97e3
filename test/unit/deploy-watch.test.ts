import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deriveStatus } from '../../src/cluster/controller/endpoint-status.ts';
import { deriveVersion } from '../../src/cluster/controller/version-status.ts';
import { Namesakes } from '../../src/cluster/target/namesakes.ts';
import type { EndpointChange } from '../../src/contract/compute-target.ts';
import type { Endpoint } from '../../src/contract/endpoint.ts';
import { AksmlError } from '../../src/contract/error.ts';
import { judge } from '../../src/engine/endpoints/watch.ts';
import type { StoredEndpoint } from '../../src/kube/resource.ts';
import { clusterEndpoint, clusterPod, clusterVersion } from './cluster-samples.ts';

const now = new Date('2026-01-01T01:00:00Z');
const version = clusterVersion({ image: 'sha256:new' });
const wanted = clusterEndpoint(
  { versions: [version] },
  { metadata: { name: 'web', namespace: 'team', uid: 'u', generation: 2 } },
);

function withStatus(endpoint: StoredEndpoint, facts: Partial<Parameters<typeof deriveStatus>[0]> = {}): Endpoint {
  return { ...endpoint, status: deriveStatus({ endpoint, versions: [], now, ...facts }) };
}

function serving(endpoint: StoredEndpoint): Endpoint {
  const facts = { version, template: 'new', logs: new Map(), scaleUp: undefined, inPlace: false };
  const pods = [clusterPod('a', 'new', { ready: true })];
  return withStatus(endpoint, { versions: [deriveVersion({ ...facts, pods, now: now.getTime() })] });
}

const other = (metadata: Partial<StoredEndpoint['metadata']> = {}) =>
  clusterEndpoint({}, { metadata: { name: 'web', namespace: 'other', ...metadata } });

const changed = (endpoint: Endpoint): EndpointChange => ({ type: 'changed', endpoint });

const JUDGED: readonly (readonly [string, EndpointChange, 'waits' | 'is done' | string, RegExp?])[] = [
  ['what a controller has not seen yet', changed(wanted), 'waits'],
  [
    'what was said of the generation before',
    changed({ ...wanted, status: { ...serving(wanted).status, observedGeneration: 1 } as never }),
    'waits',
  ],
  ['all replicas serve the image', changed(serving(wanted)), 'is done', /1\/1 replicas ready/],
  ['the end of the listing', { type: 'synced' }, 'waits'],
  [
    'another image in its place',
    changed(serving({ ...wanted, spec: { ...wanted.spec, versions: [clusterVersion({ image: 'sha256:1' })] } })),
    'deployment.superseded',
  ],
  [
    'another version in its place',
    changed(serving({ ...wanted, spec: { ...wanted.spec, versions: [clusterVersion({ name: 'b' })] } })),
    'deployment.superseded',
  ],
  ['its deletion', { type: 'deleted', name: 'web' }, 'deployment.deleted'],
  ['a name that another one has', changed(withStatus(wanted, { nameTakenBy: other() })), 'endpoint.nameTaken'],
  [
    'a name that another one has still',
    changed(withStatus(wanted, { nameTakenBy: other({ deletionTimestamp: '2026' }) })),
    'waits',
    /until that is deleted/,
  ],
];

test('who waits for a deploy is told how it stands, and ends with what was wanted or why it never will be', () => {
  for (const [what, change, expected, says] of JUDGED) {
    const { state, end } = judge(change, wanted, 'main');
    assert.equal(AksmlError.is(end) ? end.code : end === undefined ? 'waits' : 'is done', expected, what);
    assert.match(state?.detail ?? '', says ?? /^$/, what);
  }
});

test('of endpoints that have one name, that of the own namespace is told of, then the oldest that stays', () => {
  const at = (namespace: string, creationTimestamp: string, rest = {}) => ({
    metadata: { name: 'web', namespace, creationTimestamp, ...rest },
  });
  const old = at('a', '2026-01');
  const young = at('b', '2026-02');
  const own = at('own', '2026-03');
  const namesakes = new Namesakes('own');
  assert.deepEqual(namesakes.listed([young, old]), [old]);
  const going = at('a', '2026-01', { deletionTimestamp: '2026-04' });
  assert.equal(namesakes.changed(going), young);
  assert.equal(namesakes.changed(own), own);
  assert.equal(namesakes.deleted(going), own, 'which is no end of the name');
  assert.equal(namesakes.deleted(own), young);
  assert.equal(namesakes.deleted(young), undefined);
});
