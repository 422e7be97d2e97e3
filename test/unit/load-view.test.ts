import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoadView, type VersionMoment } from '../../src/cluster/controller/load-view.ts';
import type { RouterLoad, VersionLoad } from '../../src/cluster/router/routing-table.ts';

test('what several routers say of a version is added up, as of this process’s clock', () => {
  const view = viewOf('a', 'b');
  tell(view, 'a', 1_000, 0, [load({ busy: 2, queued: 1 })]);
  const moments = tell(view, 'b', 90_000, 50, [load({ busy: 3 })]);
  assert.deepEqual(
    moments.map(({ sample: { busy, queued, time } }) => ({ busy, queued, time })),
    [{ busy: 5, queued: 1, time: 50 }],
  );
});

test('counters go on where a router begins anew, goes, or is heard for the first time', () => {
  const view = viewOf('a', 'b');
  const arrived = (router: string, now: number, count: number, time = now) =>
    tell(view, router, time, now, [load({ arrived: count, completed: count, latency: [count, 0] })])[0]?.totals;
  tell(view, 'b', 0, 0, []);
  assert.equal(arrived('a', 0, 700)?.arrived, 0, 'what came before it was listened to is not new');
  assert.equal(arrived('a', 100, 710)?.arrived, 10);
  assert.equal(arrived('a', 150, 709)?.arrived, 9, 'one is between being at work and having ended');
  assert.equal(arrived('a', 160, 710)?.arrived, 10);
  assert.equal(arrived('a', 200, 4, 10)?.arrived, 14, 'began anew');
  view.setRouters(['b'], 300);
  assert.equal(arrived('b', 300, 50)?.arrived, 14, 'a new owner');
  assert.deepEqual(arrived('b', 400, 53), { arrived: 17, completed: 17, failed: 0, latency: [17, 0] });
});

test('of a version that a silent router may serve nothing is known, of others everything', () => {
  const view = viewOf('a', 'b');
  tell(view, 'b', 0, 0, [load({ endpoint: 'silent', busy: 1 })]);
  tell(view, 'a', 0, 0, [load({ busy: 1 })]);
  const later = tell(view, 'a', 1_500, 1_500, [load({ busy: 1 }), load({ endpoint: 'silent', busy: 1 })]);
  assert.deepEqual(
    later.map(({ endpoint }) => endpoint),
    ['web'],
  );
  view.setRouters(['a'], 1_600);
  const gone = tell(view, 'a', 1_600, 1_600, [load({ endpoint: 'silent', busy: 1 })]);
  assert.deepEqual(
    gone.map(({ sample }) => sample.busy),
    [1],
    'it is gone, and what it had is the other’s',
  );
});

test('nothing is known before every ready router has been heard, but for one that never says anything', () => {
  const view = viewOf('a', 'b');
  assert.equal(tell(view, 'a', 0, 0, [load({})]).length, 0);
  assert.equal(tell(view, 'a', 4_900, 4_900, [load({})]).length, 0);
  assert.equal(tell(view, 'a', 5_100, 5_100, [load({})]).length, 1);
  view.setRouters(['a', 'b', 'c'], 5_200);
  assert.equal(tell(view, 'a', 5_200, 5_200, [load({})]).length, 0, 'a new one may own it');
  assert.equal(tell(view, 'd', 5_300, 5_300, [load({})]).length, 0, 'one that is not ready');
});

test('a clock that runs slower than ours never makes samples old', () => {
  const view = viewOf('a');
  for (let seconds = 0; seconds < 40_000; seconds += 10) {
    const now = seconds * 1000;
    const [moment] = tell(view, 'a', now * 0.9999, now, [load({})]);
    assert.ok(now - (moment?.sample.time ?? 0) < 20, `${now - (moment?.sample.time ?? 0)} ms behind`);
  }
});

function viewOf(...routers: string[]): LoadView {
  const view = new LoadView();
  view.setRouters(routers, 0);
  return view;
}

function tell(view: LoadView, router: string, time: number, now: number, versions: VersionLoad[]): VersionMoment[] {
  const told: RouterLoad = { router, time, versions };
  return [...view.heard(told, now)];
}

function load(rest: Partial<VersionLoad>): VersionLoad {
  return {
    endpoint: 'web',
    version: 'main',
    busy: 0,
    queued: 0,
    arrived: 0,
    completed: 0,
    failed: 0,
    latency: [0, 0],
    ...rest,
  };
}
