import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EndpointChange } from '../../src/contract/compute-target.ts';
import type { Endpoint, EndpointState, VersionSpec, VersionStatus } from '../../src/contract/endpoint.ts';
import type { RevisionView, TargetView } from '../../src/contract/engine-api.ts';
import { isUnwell, lookOf } from '../../src/contract/look.ts';
import type { Model } from '../../src/contract/model.ts';
import { changedNodes, nodesAbout, rootChanged, topmost } from '../../src/extension/tree/changes.ts';
import { childrenOf, endpointNodeId, modelOfNode, nodeOf, PAGE, parentOf } from '../../src/extension/tree/nodes.ts';
import { present } from '../../src/extension/tree/present.ts';
import {
  EMPTY,
  isSettled,
  reduce,
  type TreeEvent,
  type TreeState,
  unwellEndpoints,
} from '../../src/extension/tree/state.ts';
import { tooltip } from '../../src/extension/tree/tooltip.ts';
import { l10n } from '../../webview-ui/host/l10n.ts';

const KEY = '/work/project one';
const t = l10n.t;

const LOCAL: TargetView = { listing: { name: 'local', kind: 'local' }, status: { reachable: true }, stopped: false };

function model(name: string, version: number, more: Partial<Model> = {}): Model {
  return {
    id: `${name}:${version}`,
    name,
    version,
    framework: 'ScikitLearn',
    tags: {},
    properties: {},
    basename: 'model.pkl',
    isFolder: false,
    isMlflow: false,
    treeDigest: 'sha256:0',
    size: 2048,
    fileCount: 1,
    createdTime: '2026-01-01T00:00:00.000Z',
    modifiedTime: '2026-01-01T00:00:00.000Z',
    createdBy: 'ada',
    ...more,
  };
}

interface EndpointFacts {
  readonly state?: EndpointState;
  readonly versions?: readonly string[];
  readonly replicas?: readonly string[];
  readonly models?: readonly string[];
  readonly utilization?: number;
}

function endpoint(name: string, facts: EndpointFacts = {}): Endpoint {
  const { state = 'Healthy', versions = ['blue'], replicas = ['one'], models = [], utilization } = facts;
  const error = state === 'Failed' ? { code: 'UserScriptInitFailed', message: 'init() raised KeyError' } : undefined;
  const spec = versions.map((version, index) => ({
    name: version,
    isDefault: index === 0,
    models,
    environment: { hash: 'h' },
  }));
  const status = versions.map((version) => ({
    name: version,
    state,
    desiredReplicas: replicas.length,
    updatedReplicas: replicas.length,
    availableReplicas: replicas.length,
    effectiveTraffic: 100 / versions.length,
    ...(utilization === undefined ? {} : { utilization }),
    ...(error === undefined ? {} : { error }),
    replicas: replicas.map((id) => ({ id, state: 'ready', restarts: 0, image: 'i', startedTime: '' })),
  }));
  return {
    apiVersion: 'aksml.dev/v1',
    kind: 'Endpoint',
    metadata: { name },
    spec: {
      form: 'endpoint',
      computeType: 'aks',
      tags: {},
      properties: {},
      auth: 'key',
      appInsightsEnabled: false,
      corsAllowedOrigins: [],
      versions: spec as unknown as VersionSpec[],
    },
    status: {
      observedGeneration: 1,
      state,
      scoringUri: `http://127.0.0.1/${name}`,
      updatedTime: '',
      versions: status as unknown as VersionStatus[],
    },
  };
}

const present_ = (one: Endpoint): EndpointChange => ({ type: 'present', endpoint: one });
const endpoints = (...changes: EndpointChange[]): TreeEvent => ({
  type: 'endpoints',
  key: KEY,
  target: 'local',
  changes,
});
const SYNCED: EndpointChange = { type: 'synced' };

function after(...events: TreeEvent[]): TreeState {
  return [
    { type: 'workspaces', workspaces: [{ key: KEY, scope: { folder: KEY } }] } as const,
    { type: 'targets', key: KEY, value: [LOCAL] } as const,
    ...events,
  ].reduce(reduce, EMPTY);
}

function labels(state: TreeState, id: string | undefined): string[] {
  return childrenOf(state, id).map((child) => {
    const node = nodeOf(state, child);
    return node === undefined ? `missing ${child}` : present(node, t).label;
  });
}

const group = (name: string) => `${childrenOf(after(), undefined)[0]}/${name}`;
const ofEndpoint = (name: string) => endpointNodeId(KEY, 'local', name);

describe('the tree', () => {
  test('has a node for what is there, and a hint for what is not', () => {
    const state = after({ type: 'models', key: KEY, value: [] }, endpoints(SYNCED));
    const [workspace] = childrenOf(state, undefined);
    assert.deepEqual(labels(state, workspace), ['Endpoints', 'Models', 'Clusters', 'Environments']);
    assert.deepEqual(labels(state, group('clusters')), ['local', 'Attach a cluster']);
    assert.deepEqual(labels(state, group('models')), ['Register a model, or drop its file here']);
    assert.deepEqual(labels(state, group('endpoints')), ['Deploy a model']);
    assert.deepEqual(labels(state, group('environments')), ['Looking…']);
  });

  test('leads from an endpoint to its versions, their replicas and its history, and back', () => {
    const revision = { endpoint: 'iris', version: 'blue', number: 2, digest: 'd', current: true, changed: ['code'] };
    const state = after(
      endpoints(present_(endpoint('iris', { versions: ['blue', 'green'], replicas: ['a/b', 'c!'] })), SYNCED),
      {
        type: 'history',
        node: ofEndpoint('iris'),
        history: {
          value: [{ ...revision, createdTime: '', createdBy: '', models: [], hasCode: true } as RevisionView],
        },
      },
    );
    assert.deepEqual(labels(state, group('endpoints')), ['iris']);
    const [blue, green, history] = childrenOf(state, ofEndpoint('iris'));
    assert.deepEqual(labels(state, ofEndpoint('iris')), ['blue', 'green', 'History']);
    assert.deepEqual(labels(state, green), ['a/b', 'c!']);
    assert.deepEqual(labels(state, history), ['blue, revision 2']);
    for (const [child, parent] of [
      [blue, ofEndpoint('iris')],
      [childrenOf(state, green)[0], green],
      [history, ofEndpoint('iris')],
      [childrenOf(state, history)[0], history],
      [ofEndpoint('iris'), group('endpoints')],
      [group('endpoints'), childrenOf(state, undefined)[0]],
      [childrenOf(state, undefined)[0], undefined],
    ] as const) {
      assert.equal(parentOf(child ?? ''), parent);
    }
  });

  test('takes no object for a hint or an error, whatever its name', () => {
    const names = ['model', '!error', 'more', 'loading', 'a/b'];
    const state = after({ type: 'models', key: KEY, value: names.map((name) => model(name, 1)) });
    assert.deepEqual(labels(state, group('models')), names);
  });

  test('groups models by name, the newest version first as the engine lists them, and says who uses them', () => {
    const state = after(
      { type: 'models', key: KEY, value: [model('iris', 2, { tags: { stage: 'test' } }), model('iris', 1)] },
      endpoints(present_(endpoint('shop', { models: ['iris:2'] })), SYNCED),
    );
    const [iris] = childrenOf(state, group('models'));
    assert.equal(
      modelOfNode(nodeOf(state, iris ?? ''))?.id,
      'iris:2',
      'what is deployed of a name is its newest version',
    );
    assert.deepEqual(labels(state, iris), ['version 2', 'version 1']);
    const node = nodeOf(state, childrenOf(state, iris)[0] ?? '');
    assert.equal(node && present(node, t).description, 'ScikitLearn · 2.0 KB · stage=test · in shop');
    assert.match((node && tooltip(node, t)) ?? '', /Used by(&nbsp;)* \| shop/);
  });

  test('shows a page of many, and the way to the next', () => {
    const many = Array.from({ length: 250 }, (_, index) => present_(endpoint(`e${1000 + index}`)));
    const first = after(endpoints(...many, SYNCED));
    assert.equal(childrenOf(first, group('endpoints')).length, PAGE + 1);
    assert.equal(labels(first, group('endpoints')).at(-1), 'Show 100 more of 150…');
    const all = reduce(first, { type: 'limit', node: group('endpoints'), limit: 300 });
    assert.equal(childrenOf(all, group('endpoints')).length, 250);
  });

  test('keeps the error of one target beside the endpoints of the others', () => {
    const cluster: TargetView = {
      listing: { name: 'prod', kind: 'kubernetes', record: {} as never },
      status: { reachable: false, error: { code: 'kube.unreachable', message: 'no route' } },
    };
    const state = after(
      { type: 'targets', key: KEY, value: [LOCAL, cluster] },
      endpoints(present_(endpoint('iris')), SYNCED),
      { type: 'endpointsFailed', key: KEY, target: 'prod', error: { code: 'kube.unreachable', message: 'no route' } },
    );
    assert.deepEqual(labels(state, group('endpoints')), ['prod cannot be asked', 'iris']);
    assert.equal(parentOf(childrenOf(state, group('endpoints'))[0] ?? ''), group('endpoints'));
    assert.equal(isSettled(reduce(state, { type: 'models', key: KEY, value: [] })), true);
  });

  test('leads to the portal from a cluster that is in Azure alone', () => {
    const cluster = (name: string, portal: object): TargetView => ({
      listing: { name, kind: 'kubernetes', record: {} as never },
      status: { reachable: true, ...portal },
    });
    const value = [
      LOCAL,
      cluster('aks', { portal: 'https://portal.azure.com/#resource/x/overview' }),
      cluster('k3s', {}),
    ];
    const state = after({ type: 'targets', key: KEY, value });
    const leads = childrenOf(state, group('clusters')).map((child) => {
      const node = nodeOf(state, child);
      return node !== undefined && present(node, t).contextValue.includes('portal');
    });
    assert.deepEqual(leads, [false, true, false]);
  });

  test('keeps what was read last when it cannot be read any more', () => {
    const error = { code: 'registry.unreachable', message: 'The registry does not answer.' };
    const state = after(
      { type: 'models', key: KEY, value: [model('iris', 1)] },
      { type: 'failed', key: KEY, part: 'models', error },
    );
    assert.deepEqual(labels(state, group('models')), ['The registry does not answer.', 'iris']);
  });

  test('shows the cause of a failure on the node that has it, and counts it', () => {
    const state = after(endpoints(present_(endpoint('iris', { state: 'Failed' })), SYNCED));
    const [version] = childrenOf(state, ofEndpoint('iris'));
    assert.deepEqual(labels(state, version), ['UserScriptInitFailed', 'one']);
    assert.deepEqual(unwellEndpoints(state), ['local/iris']);
    const node = nodeOf(state, group('endpoints'));
    assert.equal(node && present(node, t).description, '1 · 1 failing');
  });

  test('takes what was stopped on request for no failure', () => {
    const error = { code: 'Stopped', message: 'The compute target local is stopped.' } as const;
    const looks = [lookOf({ state: 'Unhealthy', error }), lookOf({ state: 'Unhealthy' }), lookOf(undefined)];
    assert.deepEqual(looks, ['stopped', 'bad', 'underWay']);
    assert.deepEqual([isUnwell({ state: 'Unhealthy', error }), isUnwell({ state: 'Unschedulable' })], [false, true]);
  });

  test('shows a workspace of several folders once', () => {
    const view = {
      name: 'team',
      content: '/home/team',
      isRemote: false,
      origin: { kind: 'default' },
      notices: [],
    } as const;
    const state = [
      {
        type: 'workspaces',
        workspaces: [
          { key: 'a', scope: { folder: '/a' } },
          { key: 'b', scope: { folder: '/b' } },
        ],
      },
      { type: 'opened', key: 'a', view },
      { type: 'opened', key: 'b', view },
    ] satisfies TreeEvent[];
    assert.deepEqual(labels(state.reduce(reduce, EMPTY), undefined), ['team']);
  });
});

describe('a list of endpoints that begins anew', () => {
  test('loses those that are not in it any more, and only then', () => {
    const before = after(endpoints(present_(endpoint('gone')), present_(endpoint('stays')), SYNCED));
    const begun = [
      { type: 'listing', key: KEY, target: 'local' } as const,
      endpoints(present_(endpoint('stays'))),
    ].reduce(reduce, before);
    assert.deepEqual(labels(begun, group('endpoints')), ['gone', 'stays']);
    assert.deepEqual(labels(reduce(begun, endpoints(SYNCED)), group('endpoints')), ['stays']);
  });
});

describe('what is shown anew', () => {
  const changed = (before: TreeState, event: TreeEvent) => {
    const now = reduce(before, event);
    return topmost(new Set(nodesAbout(event).flatMap((id) => changedNodes(before, now, id))));
  };
  const two = after(endpoints(present_(endpoint('iris')), present_(endpoint('shop')), SYNCED));

  test('is the version whose figures have changed, not its endpoint', () => {
    const event = endpoints({ type: 'changed', endpoint: endpoint('iris', { utilization: 0.5 }) });
    assert.deepEqual(changed(two, event), [`${ofEndpoint('iris')}/v/blue`]);
  });

  test('is the endpoint whose versions are others', () => {
    const event = endpoints({ type: 'changed', endpoint: endpoint('iris', { versions: ['blue', 'green'] }) });
    assert.deepEqual(changed(two, event), [ofEndpoint('iris')]);
  });

  test('is the list when one came or went', () => {
    assert.deepEqual(changed(two, endpoints({ type: 'deleted', name: 'shop' })), [group('endpoints')]);
  });

  test('is the row whose log is streamed, for its menu', () => {
    const node = `${ofEndpoint('iris')}/v/blue`;
    const event = { type: 'stream', node, state: 'paused' } as const;
    assert.deepEqual(changed(two, event), [node]);
    const flags = (state: TreeState) => {
      const version = nodeOf(state, node);
      return version && present(version, t).contextValue;
    };
    assert.match(flags(reduce(two, event)) ?? '', /;streamed;paused;/);
    assert.doesNotMatch(flags(reduce(reduce(two, event), { ...event, state: undefined })) ?? '', /streamed|paused/);
  });

  test('is nothing when nothing looks different', () => {
    assert.deepEqual(changed(two, endpoints({ type: 'changed', endpoint: endpoint('iris') })), []);
    assert.equal(rootChanged(two, reduce(two, endpoints(SYNCED))), false);
  });

  test('is found fast among a thousand endpoints with ten replicas each', (context) => {
    const replicas = Array.from({ length: 10 }, (_, index) => `r${index}`);
    const many = Array.from({ length: 1000 }, (_, index) => present_(endpoint(`e${1000 + index}`, { replicas })));
    const state = after(endpoints(...many, SYNCED));
    const event = endpoints({ type: 'changed', endpoint: endpoint('e1007', { replicas, utilization: 0.3 }) });
    const start = performance.now();
    assert.deepEqual(changed(state, event), [`${ofEndpoint('e1007')}/v/blue`]);
    context.diagnostic(`${(performance.now() - start).toFixed(1)} ms`);
  });
});

describe('a tooltip', () => {
  test('makes no Markdown of what others have written', () => {
    const description = '[click](command:evil) ![x](http://e/x.png) <b>|';
    const state = after({ type: 'models', key: KEY, value: [model('iris', 1, { description })] });
    const node = nodeOf(state, childrenOf(state, childrenOf(state, group('models'))[0])[0] ?? '');
    assert.match((node && tooltip(node, t)) ?? '', /\\\[click\\\]\\\(command:evil\\\) \\!\\\[x\\\]/);
  });
});
