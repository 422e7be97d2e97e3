import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type AutoscaleSettings,
  type AutoscaleState,
  decide,
  NO_HISTORY,
  observe,
} from '../../src/serving/autoscale.ts';
import { seededRandom } from '../../src/serving/random.ts';
import { replicasFor } from '../../src/serving/replicas.ts';
import { type SimulatedSecond, simulate } from '../../src/serving/simulator.ts';

const SETTINGS: AutoscaleSettings = {
  minReplicas: 1,
  maxReplicas: 10,
  targetUtilization: 70,
  refreshPeriodInSeconds: 1,
  maxConcurrentRequestsPerContainer: 1,
};

/** Samples ten times a second from `load(seconds)`, decides after each; yields every change as `[seconds, replicas]`. */
function changes(load: (second: number) => number | undefined, seconds: number, replicas = 1, settings = SETTINGS) {
  let state: AutoscaleState = NO_HISTORY;
  const made: [number, number][] = [];
  for (let tick = 1; tick <= seconds * 10; tick += 1) {
    const time = tick * 100;
    const present = load(time / 1000);
    if (present !== undefined)
      state = observe(state, { time, busy: Math.min(present, replicas), queued: Math.max(0, present - replicas) });
    const decision = decide(settings, state, replicas, time);
    state = decision.state;
    if (decision.replicas !== replicas) made.push([time / 1000, decision.replicas]);
    replicas = decision.replicas;
  }
  return made;
}

test('autoscale: a step in load is answered within a second, in full, and is not exceeded', () => {
  const made = changes((second) => (second < 5 ? 0 : 4), 30);
  const [first] = made;
  assert.ok(first && first[0] <= 6, `first change at ${first?.[0]} s`);
  assert.deepEqual(made.at(-1)?.[1], 6);
  assert.ok((made.at(-1)?.[0] ?? 99) <= 7, `last change at ${made.at(-1)?.[0]} s`);
});

for (const period of [1, 30]) {
  test(`autoscale: whenever a step comes, it is answered in full within 600 ms, and changes are ${period} s apart`, () => {
    for (let phase = 0; phase < 10; phase += 1) {
      const step = 40 + phase / 10;
      const settings = { ...SETTINGS, refreshPeriodInSeconds: period };
      const made = changes((second) => (second < step ? 0 : 4), 120, 1, settings);
      const [[first, replicas] = [Number.NaN]] = made;
      assert.ok(first - step <= 0.6, `step at ${step} s, first change at ${first} s`);
      assert.equal(replicas, 6, `step at ${step} s, first change at ${first} s`);
      for (const [index, [second]] of made.entries()) {
        const next = made[index + 1]?.[0] ?? Number.POSITIVE_INFINITY;
        assert.ok(next - second >= period - 1e-9, `${second} s, then ${next} s`);
      }
    }
  });
}

test('autoscale: removes after a minute of calm, and no sooner', () => {
  const made = changes((second) => (second < 5 ? 4 : 1), 180);
  const down = made.filter(([, replicas], index) => index > 0 && replicas < (made[index - 1]?.[1] ?? 0));
  assert.equal(down.at(-1)?.[1], 2);
  assert.ok(
    down.every(([second]) => second >= 64 && second <= 70),
    JSON.stringify(down),
  );
});

test('autoscale: a queue that grew while replicas started does not make it exceed what arrivals need', () => {
  let state: AutoscaleState = NO_HISTORY;
  let most = 0;
  const settings = { ...SETTINGS, maxReplicas: 100 };
  for (const second of simulate({
    arrivals: Array.from({ length: 60 }, (_, at) => (at < 20 ? 5 : 80)),
    serviceTime: () => 100,
    replicaStartMs: 3000,
    maxConcurrentRequestsPerContainer: 1,
    maxQueueWaitMs: 5000,
    initialReplicas: 2,
    random: seededRandom(5),
    scale: (sample, replicas) => {
      state = observe(state, sample);
      const decision = decide(settings, state, replicas, sample.time);
      state = decision.state;
      return decision.replicas;
    },
  })) {
    most = Math.max(most, second.wanted);
    if (second.second > 30) assert.equal(second.refused, 0);
  }
  // 80 a second × 0.1 s ÷ 0.7 are 12; the queue of the first seconds, 200 and more, asks for some of its own.
  assert.ok(most >= 12 && most <= 50, `at most ${most} replicas`);
});

const STEPS = [
  { from: 1, to: 8, spreadMs: 5, targetUtilization: 70, needed: 12 },
  { from: 1, to: 8, spreadMs: 5, targetUtilization: 100, needed: 8 },
  { from: 1, to: 8, spreadMs: 150, targetUtilization: 70, needed: 12 },
  { from: 1, to: 25, spreadMs: 50, targetUtilization: 70, needed: 36 },
  { from: 4, to: 8, spreadMs: 5, targetUtilization: 100, needed: 8 },
];
for (const { from, to, spreadMs, targetUtilization, needed } of STEPS) {
  const step = `from ${from} to ${to} within ${spreadMs} ms, target ${targetUtilization} %`;
  test(`autoscale: clients who wait for their answers are all served by the first change after a step (${step})`, () => {
    const settings = { ...SETTINGS, maxReplicas: 40, targetUtilization };
    for (let seed = 1; seed <= 50; seed += 1) {
      const random = seededRandom(seed);
      const begun = 3000 + 1000 * random();
      let state: AutoscaleState = NO_HISTORY;
      const before = replicasFor(from, targetUtilization, 1);
      let replicas = before;
      // Samples do not come evenly.
      for (let time = 0; time < begun + 3000; time += 80 + 50 * random()) {
        const come = Math.min(1, Math.max(0, time - begun) / spreadMs);
        const load = from + Math.floor((to - from) * come);
        const busy = Math.min(before, load);
        const completed =
          from * Math.floor(Math.min(time, begun) / 100) + before * Math.floor(Math.max(0, time - begun) / 100);
        state = observe(state, { time, busy, queued: load - busy, completed, arrived: completed + load });
        const decision = decide(settings, state, replicas, time);
        state = decision.state;
        if (decision.replicas === replicas) continue;
        assert.equal(decision.replicas, needed, `seed ${seed}, ${time - begun} ms after the step`);
        assert.ok(time - begun < spreadMs + 750, `seed ${seed}: ${time - begun} ms`);
        replicas = decision.replicas;
      }
      assert.equal(replicas, needed, `seed ${seed}`);
    }
  });
}

for (const [kind, serviceTime] of [
  ['the same for all', () => 100],
  ['exponential', (random: () => number) => -100 * Math.log(1 - random())],
] as const) {
  test(`autoscale: requests that come whether or not others were answered never get a replica for each that waits (service time ${kind})`, () => {
    const most: number[] = [];
    for (let seed = 1; seed <= 20; seed += 1) {
      let state: AutoscaleState = NO_HISTORY;
      const seconds = simulate({
        arrivals: Array.from({ length: 60 }, (_, second) => (second < 20 ? 5 : 80)),
        serviceTime,
        replicaStartMs: 3000,
        maxConcurrentRequestsPerContainer: 1,
        maxQueueWaitMs: 500,
        initialReplicas: 1,
        random: seededRandom(seed),
        scale: (sample, replicas) => {
          state = observe(state, sample);
          const decision = decide({ ...SETTINGS, maxReplicas: 100 }, state, replicas, sample.time);
          state = decision.state;
          return decision.replicas;
        },
      });
      most.push(Math.max(...[...seconds].map(({ wanted }) => wanted)));
    }
    // 80 a second × 0.1 s ÷ 0.7 are 12; some 40 wait while replicas start.
    assert.ok(Math.min(...most) >= 12 && Math.max(...most) <= 28, JSON.stringify(most));
  });
}

test('autoscale: a pause shorter than a minute costs no replica', () => {
  const made = changes((second) => (second % 40 < 5 ? 5 : 0), 400);
  assert.equal(made.filter(([second]) => second > 10).length, 0, JSON.stringify(made));
});

test('autoscale: stays between the bounds, and obeys new bounds at once', () => {
  assert.equal(changes(() => 100, 10).at(-1)?.[1], 10);
  assert.equal(decide({ ...SETTINGS, minReplicas: 3 }, NO_HISTORY, 1, 0).replicas, 3);
  assert.equal(decide({ ...SETTINGS, maxReplicas: 4 }, NO_HISTORY, 9, 0).replicas, 4);
});

test('autoscale: without samples nothing changes, and a gap is not calm', () => {
  assert.deepEqual(
    changes(() => undefined, 200, 5),
    [],
  );
  const made = changes((second) => (second < 5 || second > 100 ? 3 : undefined), 110, 5);
  assert.deepEqual(made, []);
  const silent = changes((second) => (second < 5 ? 3 : second > 100 ? 0 : undefined), 120, 5);
  assert.deepEqual(silent, [], 'twenty seconds of samples are no minute of calm');
});

test('autoscale: the load just below the target of N replicas never makes it go to and fro', () => {
  const random = seededRandom(3);
  const made = changes(() => 5 + Math.floor(random() * 3), 600, 5);
  const directions = made.map(([, replicas], index) => Math.sign(replicas - (made[index - 1]?.[1] ?? 5)));
  assert.ok(directions.filter((direction) => direction < 0).length <= 1, JSON.stringify(made));
});

test('autoscale: never fewer replicas than the present load needs', () => {
  const loads = fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 70, maxLength: 140 });
  fc.assert(
    fc.property(loads, fc.integer({ min: 1, max: 4 }), (perSecond, concurrency) => {
      const settings = { ...SETTINGS, maxReplicas: 40, maxConcurrentRequestsPerContainer: concurrency };
      const made = changes((second) => perSecond[Math.floor(second)] ?? 0, perSecond.length, 1, settings);
      return made.every(([second, replicas], index) => {
        const before = made[index - 1]?.[1] ?? 1;
        return replicas > before || replicas >= Math.ceil((perSecond[Math.floor(second)] ?? 0) / concurrency);
      });
    }),
    { numRuns: 30 },
  );
});

test('the simulator queues, refuses, scales and removes as the rule says', () => {
  let state: AutoscaleState = NO_HISTORY;
  const seconds: SimulatedSecond[] = [
    ...simulate({
      arrivals: Array.from({ length: 180 }, (_, second) => (second >= 10 && second < 60 ? 40 : 2)),
      serviceTime: () => 100,
      replicaStartMs: 2000,
      maxConcurrentRequestsPerContainer: 1,
      maxQueueWaitMs: 500,
      initialReplicas: 1,
      random: seededRandom(1),
      scale: (sample, replicas) => {
        state = observe(state, sample);
        const decision = decide(SETTINGS, state, replicas, sample.time);
        state = decision.state;
        return decision.replicas;
      },
    }),
  ];
  const during = (from: number, to: number) => seconds.slice(from, to);
  assert.ok(
    during(10, 12).some((second) => second.wanted > 4),
    'scaled up within two seconds',
  );
  assert.ok(
    during(10, 13).some((second) => second.refused > 0),
    'refused while the replicas started',
  );
  assert.ok(
    during(20, 60).every((second) => second.refused === 0 && second.ready > 4),
    'then served all',
  );
  assert.ok((seconds.at(-1)?.ready ?? 99) <= 3, 'removed after a minute of calm');
  const arrived = seconds.reduce((sum, second) => sum + second.arrived, 0);
  assert.ok(Math.abs(arrived - (50 * 40 + 130 * 2)) < 200, `arrived ${arrived}`);
});

test('in the simulator, clients ask again when they were answered: there are never more requests than clients', () => {
  const seconds = [
    ...simulate({
      arrivals: [0, 0, 0, 0, 0, 0],
      clients: [1, 1, 8, 8, 2, 2],
      serviceTime: () => 99,
      replicaStartMs: 0,
      maxConcurrentRequestsPerContainer: 1,
      maxQueueWaitMs: 5000,
      initialReplicas: 2,
      random: seededRandom(1),
      scale: (_sample, replicas) => replicas,
    }),
  ];
  assert.deepEqual(
    seconds.map(({ queued }) => queued),
    [0, 0, 6, 6, 0, 0],
  );
  assert.equal(seconds[1]?.arrived, 10);
});

test('autoscale: with a minimum of 0 the last replica goes after a minute in which nothing was asked, and no sooner', () => {
  const none = { ...SETTINGS, minReplicas: 0 };
  assert.deepEqual(
    changes(() => 0, 90, 1, none),
    [[60.1, 0]],
  );
  let state: AutoscaleState = NO_HISTORY;
  for (let tick = 1; tick <= 1200; tick += 1) {
    // Each request is over before a sample sees it.
    const completed = Math.floor(tick / 300);
    state = observe(state, { time: tick * 100, busy: 0, queued: 0, arrived: completed, completed });
    const decision = decide(none, state, 1, tick * 100);
    assert.equal(decision.replicas, 1, `after ${tick / 10} s`);
    state = decision.state;
  }
});
