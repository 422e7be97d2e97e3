/**
 * What the autoscaler does with a load curve, against two other rules: `node autoscale.bench.ts [curve]`.
 * Curves: `hour` (rises and falls as a day does, with noise and bursts), `step`, `ramp`, `spikes`, and `clients`, who wait for their answer before
 * they ask again, from one to eight of them. Virtual time: nothing waits.
 */
import {
  type AutoscaleSettings,
  type AutoscaleState,
  decide,
  NO_HISTORY,
  observe,
} from '../../src/serving/autoscale.ts';
import { seededRandom } from '../../src/serving/random.ts';
import { replicasFor } from '../../src/serving/replicas.ts';
import { type SimulatedSecond, type Simulation, simulate } from '../../src/serving/simulator.ts';

const SETTINGS: AutoscaleSettings = {
  minReplicas: 1,
  maxReplicas: 40,
  targetUtilization: 70,
  refreshPeriodInSeconds: 1,
  maxConcurrentRequestsPerContainer: 1,
};
const SERVICE_MS = 100;
const START_MS = 3000;

type Curve = Pick<Simulation, 'arrivals' | 'clients'>;

const CURVES: Record<string, Curve> = {
  hour: { arrivals: hour() },
  step: { arrivals: Array.from({ length: 240 }, (_, second) => (second < 20 || second >= 120 ? 5 : 80)) },
  ramp: { arrivals: Array.from({ length: 200 }, (_, second) => Math.min(80, 5 + second)) },
  spikes: { arrivals: Array.from({ length: 1200 }, (_, second) => (second % 90 < 6 ? 60 : 8)) },
  clients: {
    arrivals: new Array<number>(120).fill(0),
    clients: Array.from({ length: 120 }, (_, second) => (second < 20 ? 1 : 8)),
  },
};

/** Requests a second: the same on every run. */
function hour(): readonly number[] {
  const random = seededRandom(1);
  let drift = 0;
  let burst = 0;
  return Array.from({ length: 3600 }, (_, second) => {
    drift = 0.98 * drift + 4 * (random() - 0.5);
    burst = random() < 1 / 240 ? 20 + 40 * random() : burst * 0.9;
    return Math.max(0, 5 + 60 * Math.sin((Math.PI * second) / 3600) ** 2 + drift + burst);
  });
}

type Rule = () => Simulation['scale'];

const RULES: Record<string, Rule> = {
  aksml: () => {
    let state: AutoscaleState = NO_HISTORY;
    return (sample, replicas) => {
      state = observe(state, sample);
      const decision = decide(SETTINGS, state, replicas, sample.time);
      state = decision.state;
      return decision.replicas;
    };
  },
  'like Knative (60 s, panic 6 s, tick 2 s)': () => {
    const loads: { time: number; load: number }[] = [];
    let panicUntil = 0;
    let panicPeak = 0;
    return ({ time, busy, queued }, replicas) => {
      loads.push({ time, load: busy + queued });
      while ((loads[0]?.time ?? time) < time - 60_000) loads.shift();
      if (Math.round(time) % 2000 !== 0) return replicas;
      const over = (milliseconds: number) => {
        const window = loads.filter((past) => past.time > time - milliseconds);
        return bounded(wanted(window.reduce((sum, past) => sum + past.load, 0) / window.length));
      };
      const panic = over(6000);
      if (panic >= 2 * replicas) panicUntil = time + 60_000;
      if (time >= panicUntil) panicPeak = 0;
      else panicPeak = Math.max(panicPeak, panic, replicas);
      return time < panicUntil ? panicPeak : over(60_000);
    };
  },
  'like an HPA (every 15 s, down after 300 s)': () => {
    const loads: number[] = [];
    let measured = 0;
    const recommended: { time: number; replicas: number }[] = [];
    return ({ time, busy, queued }, replicas) => {
      loads.push(busy + queued);
      if (Math.round(time) % 15_000 !== 0) return replicas;
      // What it is told of is the period before: figures are collected, then averaged, then asked for.
      const load = measured;
      measured = loads.reduce((a, b) => a + b, 0) / loads.length;
      loads.length = 0;
      const now = bounded(Math.min(wanted(load), Math.max(replicas * 2, replicas + 4)));
      recommended.push({ time, replicas: now });
      while ((recommended[0]?.time ?? time) < time - 300_000) recommended.shift();
      return now > replicas ? now : Math.min(replicas, Math.max(...recommended.map((past) => past.replicas)));
    };
  },
};

function wanted(load: number): number {
  return replicasFor(load, SETTINGS.targetUtilization, SETTINGS.maxConcurrentRequestsPerContainer);
}

function bounded(replicas: number): number {
  return Math.min(SETTINGS.maxReplicas, Math.max(SETTINGS.minReplicas, replicas));
}

function replay(curve: Curve, rule: Rule): SimulatedSecond[] {
  // Of its own, so that every rule meets the very same requests.
  const random = seededRandom(43);
  return [
    ...simulate({
      ...curve,
      // Exponential: some requests take much longer than others.
      serviceTime: () => -SERVICE_MS * Math.log(1 - random()),
      replicaStartMs: START_MS,
      maxConcurrentRequestsPerContainer: SETTINGS.maxConcurrentRequestsPerContainer,
      maxQueueWaitMs: 500,
      initialReplicas: 1,
      random: seededRandom(42),
      scale: rule(),
    }),
  ];
}

function sum(seconds: readonly SimulatedSecond[], value: (second: SimulatedSecond) => number): number {
  return seconds.reduce((total, second) => total + value(second), 0);
}

const asked = process.argv.slice(2);
for (const [name, curve] of Object.entries(CURVES).filter(([key]) => asked.length === 0 || asked.includes(key))) {
  const runs = Object.entries(RULES).map(([rule, make]) => ({ rule, seconds: replay(curve, make) }));
  console.log(`\n${name}: service time ${SERVICE_MS} ms, replicas start in ${START_MS / 1000} s, 503 after 500 ms`);
  console.table(
    runs.map(({ rule, seconds }) => {
      const requests = sum(seconds, (second) => second.arrived);
      const refused = sum(seconds, (second) => second.refused);
      const changes = seconds.filter(
        (second, index) => index > 0 && second.wanted !== seconds[index - 1]?.wanted,
      ).length;
      return {
        rule,
        requests,
        'answered 503': refused,
        '503 %': Number(((100 * refused) / requests).toFixed(2)),
        'replica seconds': sum(seconds, (second) => second.wanted),
        'most replicas': Math.max(...seconds.map((second) => second.wanted)),
        'seconds with p95 > 100 ms': seconds.filter((second) => second.waiting.p95 > 100).length,
        changes,
      };
    }),
  );
  if (name !== 'step') continue;
  console.log('step, second by second (aksml)');
  console.table(
    (runs[0]?.seconds ?? [])
      .filter(({ second }) => (second >= 18 && second < 32) || second % 20 === 0)
      .map(({ second, arrived, wanted: asks, ready, queued, refused, waiting }) => ({
        second,
        arrived,
        wanted: asks,
        ready,
        queued,
        refused,
        'waiting p50': Math.round(waiting.p50),
        'waiting p95': Math.round(waiting.p95),
        'waiting p99': Math.round(waiting.p99),
      })),
  );
}
