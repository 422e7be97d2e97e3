import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EndpointFacts, routedEndpoint, startingReplicas } from '../../src/cluster/router/routed-endpoint.ts';
import { DEFAULT_ROUTER_SETTINGS, parseRouterSettings } from '../../src/cluster/router/router-settings.ts';
import type { RoutedEndpoint, RoutedVersion } from '../../src/cluster/router/routing-table.ts';
import { holderOf, routerSecrets, routersOf } from '../../src/cluster/router/table-facts.ts';
import type { EndpointSpec, EndpointStatus } from '../../src/contract/endpoint.ts';
import type { EndpointSlice, Pod, StoredEndpoint } from '../../src/kube/resource.ts';
import { clusterEndpoint, clusterVersion } from './cluster-samples.ts';

type SliceEndpoint = NonNullable<EndpointSlice['endpoints']>[number];

function slice(version: string, endpoints: readonly SliceEndpoint[], more: Partial<EndpointSlice> = {}): EndpointSlice {
  return {
    metadata: { name: 'slice', labels: { 'aksml.dev/endpoint': 'web', 'aksml.dev/version': version } },
    addressType: 'IPv4',
    ports: [{ name: 'scoring', port: 5001 }],
    endpoints,
    ...more,
  };
}

const pod = (
  name: string,
  address: string,
  conditions: SliceEndpoint['conditions'] = { ready: true },
): SliceEndpoint => ({
  addresses: [address],
  conditions,
  targetRef: { kind: 'Pod', name },
});

function routed(facts: Partial<EndpointFacts> = {}): RoutedEndpoint {
  const made = routedEndpoint({
    endpoint: clusterEndpoint(),
    slices: [],
    settings: DEFAULT_ROUTER_SETTINGS,
    ...facts,
  });
  assert.ok(made);
  return made;
}

function version(facts: Partial<EndpointFacts>): RoutedVersion {
  const [first] = routed(facts).versions;
  assert.ok(first);
  return first;
}

const spec = (more: Partial<EndpointSpec>) => ({ endpoint: clusterEndpoint(more) });

test('routes: what an endpoint says of itself, a router does', () => {
  const { auth, versions, ...rest } = routed(
    spec({
      corsAllowedOrigins: ['https://a.example', '*'],
      stickiness: 'session',
      mirror: { version: 'main', percentile: 5 },
      rateLimit: { requestsPerSecond: 7 },
      allowedAddresses: ['10.0.0.0/8', '::1'],
    }),
  );
  assert.deepEqual(rest, {
    name: 'web',
    corsAllowedOrigins: ['https://a.example', '*'],
    maxBodyBytes: 100 * 1024 * 1024,
    sticky: true,
    mirror: { version: 'main', percentile: 5 },
    requestsPerSecond: 7,
    allowedAddresses: ['10.0.0.0/8', '::1'],
  });
  assert.deepEqual(auth, { mode: 'key', keyHashes: [] }, 'what is not published yet opens nothing');
  assert.deepEqual(versions, [
    {
      name: 'main',
      isDefault: true,
      maxConcurrentRequestsPerContainer: 1,
      maxQueueWaitMs: 500,
      scoringTimeoutMs: 60_000,
      scoringRoute: '/score',
      swaggerRoute: '/swagger.json',
      ownServer: false,
      http2: false,
      coldStartMs: 0,
      replicas: [],
    },
  ]);
});

test('routes: who may use an endpoint is what was published for its way of authentication, else nobody', () => {
  const hash = 'a'.repeat(64);
  const token = { mode: 'token', audience: 'https://aksml.dev/team/web', subjectUid: 'uid' };
  const nobody = { mode: 'key', keyHashes: [] };
  const cases = [
    ['key', { keyHashes: [hash] }, { mode: 'key', keyHashes: [hash] }],
    ['key', { subjectUid: 'uid' }, nobody],
    ['token', { subjectUid: 'uid' }, token],
    ['token', { keyHashes: [hash] }, nobody],
    ['token', undefined, nobody],
    ['none', undefined, { mode: 'none' }],
  ] as const;
  for (const [mode, auth, expected] of cases) {
    const made = routed({ ...spec({ auth: mode }), ...(auth === undefined ? {} : { auth }) });
    assert.deepEqual(made.auth, expected, `${mode} with ${JSON.stringify(auth)}`);
  }
});

test('routes: HTTPS has the port at which clients reach it, as the controller says, or its usual one', () => {
  const port = (scoringUri: string) => {
    const status: EndpointStatus = {
      observedGeneration: 1,
      state: 'Healthy',
      updatedTime: '',
      scoringUri,
      versions: [],
    };
    return routed({ endpoint: clusterEndpoint({}, { status }) }).httpsPort;
  };
  assert.equal(port('https://score.example.com:31124/api/v1/service/web/score'), 31124);
  assert.equal(port('https://score.example.com/api/v1/service/web/score'), undefined);
  assert.equal(port('http://10.0.0.1:30100/api/v1/service/web/score'), undefined);
});

test('routes: traffic goes as the controller has said, not as the spec wishes', () => {
  const status: EndpointStatus = {
    observedGeneration: 1,
    state: 'Transitioning',
    updatedTime: '',
    defaultVersion: 'main',
    versions: [served('main', 80), served('next', 20)],
  };
  const endpoint = clusterEndpoint(
    { versions: [clusterVersion({ isDefault: false }), clusterVersion({ name: 'next', isDefault: true })] },
    { status },
  );
  const traffic = routed({ endpoint }).versions.map(({ name, isDefault, trafficPercentile }) => [
    name,
    isDefault,
    trafficPercentile,
  ]);
  assert.deepEqual(traffic, [
    ['main', true, undefined],
    ['next', false, 20],
  ]);
});

function served(name: string, effectiveTraffic: number): EndpointStatus['versions'][number] {
  return {
    name,
    state: 'Healthy',
    desiredReplicas: 1,
    updatedReplicas: 1,
    availableReplicas: 1,
    effectiveTraffic,
    replicas: [],
  };
}

test('routes: a custom container has its own routes and keeps its slot; a version may be without replicas', () => {
  const container = { port: 80, scoringRoute: '/v1/predict?a=b', livenessRoute: '/', readinessRoute: '/', http2: true };
  const scale = {
    kind: 'auto',
    minReplicas: 0,
    maxReplicas: 3,
    targetUtilization: 70,
    refreshPeriodInSeconds: 1,
  } as const;
  const made = version(spec({ versions: [clusterVersion({ container, scale })] }));
  assert.equal(made.scoringRoute, '/v1/predict?a=b');
  assert.equal('swaggerRoute' in made, false);
  assert.deepEqual([made.ownServer, made.http2, made.coldStartMs], [true, true, 60_000]);
});

test('routes: a replica is ready, drains while it ends, and is gone afterwards', () => {
  const ready = slice('main', [pod('web-a', '10.0.0.1'), pod('web-b', '10.0.0.2')]);
  const first = routed({ slices: [ready] });
  assert.deepEqual(first.versions[0]?.replicas, [
    { id: 'web-a', address: '10.0.0.1', port: 5001, state: 'ready' },
    { id: 'web-b', address: '10.0.0.2', port: 5001, state: 'ready' },
  ]);
  const states = (endpoints: readonly SliceEndpoint[], previous?: RoutedEndpoint) =>
    version({ slices: [slice('main', endpoints)], ...(previous === undefined ? {} : { previous }) }).replicas.map(
      ({ id, state }) => `${id} ${state}`,
    );
  const ending = { ready: false, serving: true, terminating: true };
  assert.deepEqual(states([pod('web-a', '10.0.0.1', ending), pod('web-b', '10.0.0.2')], first), [
    'web-a draining',
    'web-b ready',
  ]);
  assert.deepEqual(states([pod('web-a', '10.0.0.1', { ready: false }), pod('web-b', '10.0.0.2')], first), [
    'web-a draining',
    'web-b ready',
  ]);
  assert.deepEqual(states([pod('web-b', '10.0.0.2')], first), ['web-b ready']);
  assert.deepEqual(states([pod('web-c', '10.0.0.3', { ready: false })], first), [], 'one that never was ready');
  assert.deepEqual(states([pod('web-a', '10.0.0.1', ending)]), [], 'nor one that was before this router');
  assert.deepEqual(states([pod('web-a', '10.0.0.1', {})]), ['web-a ready'], 'what is not said counts as ready');
});

test('routes: until kubelet has called a replica ready, its own word counts, at its own address and of aksml’s own server', () => {
  const unready = { ready: false };
  const container = { port: 80, scoringRoute: '/', livenessRoute: '/', readinessRoute: '/' };
  const asked = (isReady: boolean, address = '10.0.0.1') => new Map([['web-a', { address, isReady }]]);
  const called = (state: 'ready' | 'draining', address = '10.0.0.1') => {
    const made = routed({ slices: [slice('main', [pod('web-a', address)])] });
    const draining = routed({ slices: [slice('main', [pod('web-a', address, unready)])], previous: made });
    return { previous: state === 'ready' ? made : draining };
  };
  const cases: readonly (readonly [string, SliceEndpoint['conditions'], Partial<EndpointFacts>, string])[] = [
    ['new', unready, {}, 'asked'],
    ['has not said so', unready, { asked: asked(false) }, 'asked'],
    ['has said so', unready, { asked: asked(true) }, 'asked, ready'],
    ['has said so, and is in use', unready, { asked: asked(true), ...called('ready') }, 'asked, ready'],
    ['says so no more', unready, { asked: asked(false), ...called('ready') }, 'asked, draining'],
    ['said so at another address', unready, { asked: asked(true, '10.0.0.9') }, 'asked'],
    ['kubelet says so', { ready: true }, { asked: asked(true) }, 'ready'],
    ['kubelet has said so', unready, called('ready'), 'draining'],
    ['kubelet had said so', unready, called('draining'), 'draining'],
    ['kubelet has said so of another address', unready, called('ready', '10.0.0.9'), 'asked, draining'],
    ['ends', { ready: false, terminating: true }, { asked: asked(true), ...called('ready') }, 'draining'],
    ['a server of the user’s own', unready, spec({ versions: [clusterVersion({ container })] }), ''],
  ];
  for (const [what, conditions, more, expected] of cases) {
    const facts = {
      endpoint: clusterEndpoint(),
      slices: [slice('main', [pod('web-a', '10.0.0.1', conditions)])],
      settings: DEFAULT_ROUTER_SETTINGS,
      ...more,
    };
    const words = [
      ...startingReplicas(facts).map(({ id, address }) => (`${id} ${address}` === 'web-a 10.0.0.1' ? 'asked' : id)),
      ...version(facts).replicas.map(({ state }) => state),
    ];
    assert.equal(words.join(', '), expected, what);
  }
  const both = [
    slice('main', [pod('web-a', 'fd00::1', unready)], { addressType: 'IPv6' }),
    slice('main', [pod('web-a', '10.0.0.1', unready)]),
  ];
  const facts = { endpoint: clusterEndpoint(), slices: both, settings: DEFAULT_ROUTER_SETTINGS };
  assert.deepEqual(startingReplicas(facts), [{ id: 'web-a', address: '10.0.0.1' }], 'of both families, once');
});

test('routes: a pod with addresses of both families is one replica, slices of one version are one list', () => {
  const both = [
    slice('main', [pod('web-a', 'fd00::1')], { addressType: 'IPv6' }),
    slice('main', [pod('web-a', '10.0.0.1')]),
    slice('main', [pod('web-b', '10.0.0.2')], { ports: [{ name: 'scoring', port: 6000 }] }),
    slice('other', [pod('web-c', '10.0.0.3')]),
    slice('main', [pod('web-d', 'not.an.address')], { addressType: 'FQDN' }),
  ];
  assert.deepEqual(
    version({ slices: both }).replicas.map(({ id, address, port }) => [id, address, port]),
    [
      ['web-a', '10.0.0.1', 5001],
      ['web-b', '10.0.0.2', 6000],
    ],
  );
});

test('routes: a text that would be more to HAProxy than it is to an Endpoint does not get there', () => {
  const names = ['a\nb', 'a b', 'a;b', 'A', '../x', 'x'.repeat(64), 'web|x', 'web/x', ''];
  for (const name of names) {
    const metadata = { ...clusterEndpoint().metadata, name };
    const facts = { endpoint: clusterEndpoint({}, { metadata }), slices: [], settings: DEFAULT_ROUTER_SETTINGS };
    assert.equal(routedEndpoint(facts), undefined, JSON.stringify(name));
    assert.deepEqual(routed(spec({ versions: [clusterVersion({ name })] })).versions, [], JSON.stringify(name));
  }
  const evil = '/x y\n;|\\"#é\u0000?q=1';
  const container = { port: 80, scoringRoute: evil, livenessRoute: '/', readinessRoute: '/' };
  assert.equal(
    version(spec({ versions: [clusterVersion({ container })] })).scoringRoute,
    '/x%20y%0A%3B%7C%5C%22%23%C3%A9%00?q=1',
  );
  const origins = ['https://a.example:8443', 'null', 'a b', 'https://a;b', 'https://a\n', 'https://a/path', '*'];
  assert.deepEqual(routed(spec({ corsAllowedOrigins: origins })).corsAllowedOrigins, [
    'https://a.example:8443',
    'null',
    '*',
  ]);
  const blocks = [
    '10.0.0.0/8',
    'fd00::/8',
    '10.0.0.1',
    '10.0.0.0/33',
    '10.0.0',
    'x',
    'fe80::1%eth0',
    '10.0.0.0/8/8',
    ':::',
  ];
  assert.deepEqual(routed(spec({ allowedAddresses: blocks })).allowedAddresses, ['10.0.0.0/8', 'fd00::/8', '10.0.0.1']);
  const slices = [slice('main', [pod('web a', '10.0.0.1'), pod('web-b', '10.0.0.1;x'), pod('', '10.0.0.2')])];
  assert.deepEqual(version({ slices }).replicas, []);
});

test('routes: of two endpoints of a name the elder is served, unless the controller says that it is not', () => {
  const named = (namespace: string, creationTimestamp: string, conflict = false): StoredEndpoint =>
    clusterEndpoint(
      {},
      {
        metadata: { ...clusterEndpoint().metadata, namespace, creationTimestamp },
        ...(conflict ? { status: conflicted } : {}),
      },
    );
  const holder = (...endpoints: StoredEndpoint[]) => holderOf(endpoints)?.metadata.namespace;
  assert.equal(holder(named('b', '2026-01-01T00:00:00Z'), named('a', '2026-01-02T00:00:00Z')), 'b');
  assert.equal(holder(named('b', '2026-01-01T00:00:00Z'), named('a', '2026-01-01T00:00:00Z')), 'a');
  assert.equal(holder(named('a', '2026-01-01T00:00:00Z', true), named('b', '2026-01-02T00:00:00Z')), 'b');
  assert.equal(holder(named('a', '2026-01-01T00:00:00Z', true)), undefined);
});

const conflicted: EndpointStatus = {
  observedGeneration: 1,
  state: 'Failed',
  updatedTime: '',
  versions: [],
  conditions: [{ type: 'NameConflict', status: 'True', reason: 'NameTaken', message: '', lastTransitionTime: '' }],
};

test('routers: those that are ready and stay share the endpoints; one that is alone has them all', () => {
  const router = (name: string, ready = 'True', deletionTimestamp?: string): Pod => ({
    metadata: { name, ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }) },
    status: { podIP: `10.0.0.${name.length}`, conditions: [{ type: 'Ready', status: ready }] },
  });
  const self = { name: 'me', address: '10.0.0.9', hopPort: 8081 };
  const names = (pods: readonly Pod[], isLeaving = false) => routersOf(pods, self, isLeaving).map(({ name }) => name);
  assert.deepEqual(names([router('me'), router('abc')]), ['abc', 'me']);
  assert.deepEqual(names([router('me', 'False'), router('abc')]), ['abc'], 'not ready yet');
  assert.deepEqual(names([router('me'), router('abc', 'True', 'now')]), ['me']);
  assert.deepEqual(names([router('me'), router('abc')], true), ['abc']);
  assert.deepEqual(names([router('me')], true), ['me'], 'there is nobody else');
  assert.deepEqual(names([]), ['me']);
});

test('routers: secrets and settings are read as they were meant, or not at all', () => {
  const secret = (kind: string, data: Readonly<Record<string, string>>, annotations = {}) => ({
    metadata: { name: kind, labels: { 'aksml.dev/router': kind }, annotations },
    data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
  });
  const read = routerSecrets([
    secret('hop', { previous: 'old', secret: 'new' }),
    secret('challenge', { token: 'answer' }),
    secret('certificate', { 'tls.crt': 'CERT', 'tls.key': 'KEY' }, { 'aksml.dev/hosts': 'a.example, b.example' }),
    secret('certificate', { 'tls.crt': 'CERT' }),
    secret('another', { secret: 'x' }),
  ]);
  assert.deepEqual(read, {
    hop: ['new', 'old'],
    challenges: new Map([['token', 'answer']]),
    certificates: [{ name: 'certificate', hosts: ['a.example', 'b.example'], certificate: 'CERT', key: 'KEY' }],
  });
  assert.equal(parseRouterSettings('{"maxBodyBytes":5,"more":1}').maxBodyBytes, 5);
  for (const text of ['', '[]', '{"maxBodyBytes":"5"}', '{"maxBodyBytes":-1}']) {
    assert.deepEqual(parseRouterSettings(text), DEFAULT_ROUTER_SETTINGS, text);
  }
});
