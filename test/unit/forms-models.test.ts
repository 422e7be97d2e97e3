import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RUN_START, reduceRun } from '../../src/contract/webview/run.ts';
import { httpFile } from '../../src/extension/forms/http-file.ts';
import { changedLines } from '../../src/extension/forms/line-diff.ts';
import { replicasThatFit } from '../../src/serving/fit.ts';
import { draftProblem, startCluster } from '../../webview-ui/cluster/model.ts';
import { draftOf, reduceDeploy, startDeploy } from '../../webview-ui/deploy/model.ts';
import { causesOf } from '../../webview-ui/endpoint/model.ts';
import { rowsOf, seriesOf } from '../../webview-ui/endpoint/series.ts';
import { duration, timeLeft } from '../../webview-ui/keys/model.ts';
import { draftProblems, startModel, wishOf } from '../../webview-ui/model/model.ts';
import { reduceRequest, draftOf as requestDraft, startRequest } from '../../webview-ui/request/model.ts';
import { sampleOf, scoringOperation } from '../../webview-ui/request/sample.ts';
import { reduceRollout, splitOf, startRollout } from '../../webview-ui/rollout/model.ts';
import { endpoint, metrics, version, versionStatus } from '../forms/samples.ts';

test('a run is told stage by stage; what comes again is a stage of its own', () => {
  const run = [
    { type: 'start', stage: 'models', label: 'Placing the models' },
    { type: 'progress', stage: 'models', done: 5, total: 10, unit: 'files' },
    { type: 'done', stage: 'models', reused: false, detail: 'weights:1' },
    { type: 'start', stage: 'watch', label: 'Waiting' },
    { type: 'state', endpoint: 'e', state: 'Transitioning', detail: 'init() runs' },
    { type: 'failed', stage: 'watch', error: { code: 'x', message: 'init() failed.' } },
  ] as const;
  const view = run.reduce(reduceRun, RUN_START);
  assert.deepEqual(
    view.stages.map(({ stage, status, detail, share }) => [stage, status, detail, share]),
    [
      ['models', 'done', 'weights:1', 0.5],
      ['watch', 'failed', 'init() failed.', undefined],
    ],
  );
  assert.equal(view.state, 'Transitioning, init() runs');
});

const ROOM = { cpu: 4, memoryInGB: 8, gpu: 1 };
for (const [what, size, count] of [
  ['the scarcest resource counts', { cpu: 0.5, memoryInGB: 4, gpu: 0 }, 2],
  ['decimal sizes are exact', { cpu: 0.1, memoryInGB: 0.1, gpu: 0 }, 40],
  ['a GPU each', { cpu: 1, memoryInGB: 1, gpu: 1 }, 1],
  ['too large for all of it', { cpu: 5, memoryInGB: 1, gpu: 0 }, 0],
] as const) {
  test(`room for replicas: ${what}`, () => assert.equal(replicasThatFit(size, ROOM), count));
}

test('the charts have a line a status, a percentile and a version; one version can be looked at alone', () => {
  const samples = [metrics({ a: 10, b: 2 }), metrics({ a: 0, b: 0 }, 1)];
  const lines = (version?: string) =>
    Object.fromEntries(seriesOf(samples, version).map(({ id, lines: all }) => [id, all.map(({ name }) => name)]));
  assert.deepEqual(lines(), {
    requests: ['200', '503'],
    latency: ['p50', 'p95', 'p99'],
    utilization: ['a', 'b'],
    queue: ['a', 'b'],
    replicas: ['a', 'b'],
    traffic: ['a', 'b'],
  });
  assert.deepEqual(lines('b')['traffic'], ['b']);
  const [, first] = rowsOf(samples, undefined, 60);
  assert.deepEqual([first?.requestsPerSecond, Number(first?.failuresPerSecond.toFixed(3))], [12, 0.3]);
  assert.equal(first?.traffic.map(([name, share]) => `${name} ${share.toFixed(0)}`).join(), 'a 83,b 17');
});

test('a cause that a version and its replicas share is told once', () => {
  const cause = { code: 'PodOutOfMemory', message: 'Out of memory.' } as const;
  const [replica] = versionStatus('a').replicas;
  assert.ok(replica);
  const status = versionStatus('a', { error: cause, replicas: [{ ...replica, error: cause }] });
  const shown = endpoint({ versions: [version('a', { isDefault: true })] }, { versions: [status], error: cause });
  assert.deepEqual(causesOf(shown), [{ about: 'a', cause }]);
});

test('a sample request is the schema’s own example, else made from the types', () => {
  const schema = {
    type: 'object',
    properties: {
      data: {
        type: 'array',
        items: { type: 'object', properties: { age: { type: 'integer' }, name: { type: 'string' } } },
      },
      method: { type: 'string', enum: ['predict', 'predict_proba'] },
    },
  };
  assert.deepEqual(sampleOf(schema), { data: [{ age: 0, name: '' }], method: 'predict' });
  assert.deepEqual(sampleOf({ ...schema, example: { data: [1] } }), { data: [1] });
});

test('the scoring operation is found in OpenAPI 3, too, and a reference to itself ends', () => {
  const document = {
    openapi: '3.0.3',
    paths: {
      '/score': {
        post: { requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Tree' } } } } },
      },
    },
    components: { schemas: { Tree: { type: 'object', properties: { child: { $ref: '#/components/schemas/Tree' } } } } },
  };
  assert.ok(scoringOperation(document).input);
  assert.deepEqual(scoringOperation({}), {});
});

test('an .http file has the request and the place of the credential, never a credential', () => {
  const text = httpFile(endpoint(), {
    body: '{"data": []}',
    headers: { 'content-type': 'application/json', Authorization: 'Bearer geheim' },
    versionName: 'canary',
  });
  assert.equal(
    text,
    [
      '### diabetes, version canary',
      'POST http://127.0.0.1:31780/api/v1/endpoint/diabetes/score',
      'content-type: application/json',
      'azureml-model-deployment: canary',
      'Authorization: Bearer {{$processEnv AKSML_KEY}}',
      '',
      '{"data": []}',
      '',
    ].join('\n'),
  );
});

test('a difference shows the changed lines with their neighbours, and gaps between far ones', () => {
  const before = Array.from({ length: 20 }, (_, index) => `line ${index}`).join('\n');
  const after = before.replace('line 1\n', 'line one\n').replace('line 18', 'line eighteen');
  const lines = changedLines(before, after);
  assert.deepEqual(
    lines.filter(({ kind }) => kind !== 'same').map(({ kind, text }) => `${kind} ${text}`),
    ['removed line 1', 'added line one', 'gap ', 'removed line 18', 'added line eighteen'],
  );
  assert.deepEqual(changedLines(before, before), []);
});

test('what is kept of a deployment over a reload leaves typed keys and passwords out', () => {
  const edit = (path: string[], value: string) => ({ type: 'edit', file: 'deploymentconfig', path, value }) as const;
  const state = [edit(['keys', 'primaryKey'], 'geheim'), edit(['namespace'], 'a'), edit(['namespace'], 'b')].reduce(
    reduceDeploy,
    startDeploy(undefined),
  );
  assert.deepEqual(
    state.wish.edits.map(({ path, value }) => [path.join('.'), value]),
    [
      ['keys.primaryKey', 'geheim'],
      ['namespace', 'b'],
    ],
  );
  assert.deepEqual(
    draftOf(state).wish.edits.map(({ path }) => path.join('.')),
    ['namespace'],
  );
});

test('what is kept of a request leaves secret headers and very long bodies out', () => {
  const typed = [
    { type: 'body', text: 'x'.repeat(60_000) },
    { type: 'addHeader' },
    { type: 'header', index: 1, header: { name: 'Authorization', value: 'geheim' } },
  ] as const;
  const draft = requestDraft(typed.reduce(reduceRequest, startRequest(undefined)));
  assert.deepEqual([draft.body, draft.headers.map(({ name }) => name)], ['', ['content-type']]);
});

test('the history of requests is the newest twenty', () => {
  let state = startRequest(undefined);
  for (let time = 1; time <= 25; time += 1) {
    const response = { status: 200, headers: {}, body: '', milliseconds: time };
    state = reduceRequest(reduceRequest(state, { type: 'send' }), { type: 'answered', response, time });
  }
  assert.deepEqual(
    [state.history.length, state.history[0]?.milliseconds, state.history.at(-1)?.milliseconds],
    [20, 25, 6],
  );
});

test('a split that the user has begun survives changes of the endpoint, but not of its versions', () => {
  const begun = [
    { type: 'endpoint', endpoint: endpoint() },
    { type: 'move', name: 'canary', share: 50 },
    { type: 'endpoint', endpoint: endpoint({}, { state: 'Transitioning' }) },
  ] as const;
  const state = begun.reduce(reduceRollout, startRollout(undefined));
  assert.equal(state.split.find(({ name }) => name === 'canary')?.share, 50);
  const other = endpoint({
    versions: [version('stable', { isDefault: true }), version('next', { trafficPercentile: 5 })],
  });
  assert.deepEqual(reduceRollout(state, { type: 'endpoint', endpoint: other }).split, splitOf(other));
});

for (const [what, now, seconds, isStale, isExpired] of [
  ['fresh', 0, 100, false, false],
  ['past its refresh', 60_000, 40, true, false],
  ['expired', 100_000, 0, true, true],
] as const) {
  test(`the time that a token has left: ${what}`, () =>
    assert.deepEqual(timeLeft({ refreshAfter: 50, expiryOn: 100 }, now), { seconds, isStale, isExpired }));
}

test('durations are read as people say them', () => {
  assert.deepEqual([duration(9), duration(250), duration(3900)], ['9 s', '4 min 10 s', '1 h 05 min']);
});

test('a model’s draft becomes a wish of what was filled in', () => {
  const { draft } = startModel(undefined);
  assert.deepEqual(Object.keys(draftProblems(draft)), ['path', 'name']);
  const filled = { ...draft, path: ' /m.pkl ', name: 'm', tags: 'a = b=c\n\n', gpu: '1' };
  assert.deepEqual(draftProblems(filled), {});
  assert.deepEqual(wishOf(filled), { path: '/m.pkl', name: 'm', tags: { a: 'b=c' }, resourceRequirements: { gpu: 1 } });
  assert.deepEqual(Object.keys(draftProblems({ ...filled, tags: 'novalue', cpu: '-1' })), ['tags', 'cpu']);
});

test('a cluster’s name follows v1’s rule and differs from others in more than its case', () => {
  const { draft } = startCluster(undefined);
  const problem = (name: string) => draftProblem({ draft: { ...draft, name }, taken: ['local', 'Gpu'] })?.kind;
  assert.deepEqual([problem('ab'), problem('GPU'), problem('team-a')], ['rule', 'taken', undefined]);
});
