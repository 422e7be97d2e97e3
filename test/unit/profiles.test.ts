import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AksmlError } from '../../src/contract/error.ts';
import { followsRule, SERVICE_NAME } from '../../src/contract/names.ts';
import { parseProfileInput } from '../../src/engine/profiles/input.ts';
import { profileServiceName } from '../../src/engine/profiles/profile.ts';
import { type Measurement, profileMetrics, type UsageSample } from '../../src/engine/profiles/recommendation.ts';
import { usageOfCim, usageOfPs } from '../../src/local/process-usage.ts';

const GIB = 1024 ** 3;
const LIMITS = { cpu: 3.5, memoryInGB: 15 };

function measured(changes: Partial<Measurement>): Measurement {
  return { latencies: [10], total: 1, elapsedMs: 10, samples: [], ...changes };
}

function sample(at: number, cpuSeconds: number, residentGB = 0.1, peakGB?: number): UsageSample {
  return {
    at,
    cpuSeconds,
    residentBytes: residentGB * GIB,
    ...(peakGB === undefined ? {} : { peakResidentBytes: peakGB * GIB }),
  };
}

const recommendations: readonly (readonly [
  what: string,
  samples: readonly UsageSample[],
  requested: { readonly cpu: number; readonly memoryInGB: number },
  expected: readonly [cpu: number | null, memory: number | null],
])[] = [
  ['one busy core gets a fifth on top', [sample(0, 5), sample(10_000, 15)], LIMITS, [1.2, 0.2]],
  ['next to nothing gets the least there is', [sample(0, 5, 0.01), sample(10_000, 5.01, 0.01)], LIMITS, [0.1, 0.1]],
  [
    'the busiest half second counts',
    [sample(0, 0), sample(500, 0.1), sample(1000, 1.1), sample(1500, 1.1)],
    LIMITS,
    [2.4, 0.2],
  ],
  [
    'windows shorter than the clock can tell are joined',
    [sample(0, 0), sample(10, 0.1), sample(1000, 0.1)],
    LIMITS,
    [0.2, 0.2],
  ],
  ['the highest memory counts, not the last', [sample(0, 0, 2), sample(1000, 0, 1)], LIMITS, [0.1, 2.4]],
  ['a peak between two samples counts', [sample(0, 0, 1, 4), sample(1000, 0, 1, 4)], LIMITS, [0.1, 4.8]],
  ['never above what was requested', [sample(0, 0, 20), sample(1000, 8, 20)], { cpu: 2, memoryInGB: 4 }, [2, 4]],
  ['never above the limits of v1', [sample(0, 0, 20), sample(1000, 8, 20)], LIMITS, [3.5, 15]],
  ['nothing is recommended that was not measured', [], LIMITS, [null, null]],
  ['CPU cannot be told from one sample', [sample(0, 1, 1)], LIMITS, [null, 1.2]],
];

for (const [what, samples, requested, expected] of recommendations) {
  test(`recommendation: ${what}`, () => {
    const { recommendedCpu, recommendedMemoryInGB } = profileMetrics(measured({ samples }), requested);
    assert.deepEqual([recommendedCpu, recommendedMemoryInGB], expected);
  });
}

test('metrics: percentiles are requests that were sent, and failed ones have no latency', () => {
  const latencies = Array.from({ length: 200 }, (_, index) => 200 - index);
  const metrics = profileMetrics(
    measured({ latencies, total: 250, elapsedMs: 25_000, samples: [sample(0, 1), sample(25_000, 6)] }),
    LIMITS,
  );
  assert.equal(metrics.latencyPercentile50InMs, 100);
  assert.equal(metrics.latencyPercentile95InMs, 190);
  assert.equal(metrics.latencyPercentile99InMs, 198);
  assert.equal(metrics.maxLatencyInMs, 200);
  assert.equal(metrics.averageLatencyInMs, 100.5);
  assert.deepEqual([metrics.totalQueries, metrics.successQueries, metrics.successRate], [250, 200, 80]);
  assert.equal(metrics.measuredQueriesPerSecond, 10);
  assert.equal(metrics.cpuTimePerQueryInMs, 20);
});

test('metrics: without a single success there is no latency', () => {
  const metrics = profileMetrics(measured({ latencies: [], total: 3 }), LIMITS);
  assert.deepEqual([metrics.latencyPercentile50InMs, metrics.maxLatencyInMs, metrics.successRate], [null, null, 0]);
});

const inputs: readonly (readonly [
  what: string,
  file: string,
  text: string,
  expected: readonly string[] | 'refused',
])[] = [
  ['a line is a request, an empty one is not', 'in.jsonl', '{"a": 1}\r\n\n{"a": 2}\n', ['{"a": 1}', '{"a": 2}']],
  ['a line may be any text', 'in.txt', 'one\ntwo', ['one', 'two']],
  ['a .json array of texts is a list of requests', 'in.json', '["{\\"a\\": 1}", "b"]', ['{"a": 1}', 'b']],
  ['any other .json is one request', 'in.json', '{\n "rows": [1]\n}', ['{\n "rows": [1]\n}']],
  ['broken .json is refused', 'in.json', '{', 'refused'],
  [
    'the first row of a .csv names the column',
    'in.csv',
    'data\n"{""a"": 1}"\n"{""a"": 2}"\n',
    ['{"a": 1}', '{"a": 2}'],
  ],
  ['unless it is a request', 'in.CSV', '"{""a"": 1}"\n"[1]"', ['{"a": 1}', '[1]']],
  ['a quoted row may hold commas and lines', 'in.csv', 'data\n"{""a"":\n 1, ""b"": 2}"\n', ['{"a":\n 1, "b": 2}']],
  ['a .csv with two columns is refused', 'in.csv', 'a,b\n1,2\n', 'refused'],
  ['an open quotation mark is refused', 'in.csv', 'data\n"{', 'refused'],
  ['nothing is no request', 'in.csv', '', []],
];

for (const [what, file, text, expected] of inputs) {
  test(`input: ${what}`, () => {
    if (expected !== 'refused') return assert.deepEqual(parseProfileInput(text, file), expected);
    assert.throws(
      () => parseProfileInput(text, file),
      (error) => AksmlError.is(error, 'profileInput.invalid'),
    );
  });
}

test('the service of a profile has a valid name, always the same one', () => {
  assert.equal(profileServiceName('diabetes'), 'profile-diabetes');
  for (const name of ['Diabetes', 'a'.repeat(200), 'ü', 'x-', '../x']) {
    assert.ok(followsRule(SERVICE_NAME, profileServiceName(name)), name);
    assert.equal(profileServiceName(name), profileServiceName(name));
  }
  assert.notEqual(profileServiceName('Diabetes'), profileServiceName('diabetes'));
});

test('usage is read from ps of macOS and BSD', () => {
  const output = '  10  2048   0:01.50\n  10  1024   1:02.25\n  11  9999   9:99.99\n 10 512 1-02:03:04\n';
  assert.deepEqual(usageOfPs(output, 10), { cpuSeconds: 1.5 + 62.25 + 93_784, residentBytes: 3584 * 1024 });
  assert.equal(usageOfPs(output, 12), undefined);
});

test('usage is read from the process table of Windows, grandchildren before their parents', () => {
  const row = (ProcessId: number, ParentProcessId: number, megabytes: number) => ({
    ProcessId,
    ParentProcessId,
    KernelModeTime: 5_000_000,
    UserModeTime: 10_000_000,
    WorkingSetSize: megabytes * 1024 * 1024,
    PeakWorkingSetSize: megabytes * 2 * 1024,
  });
  assert.deepEqual(usageOfCim([row(3, 2, 30), row(2, 1, 20), row(1, 0, 10), row(9, 0, 99)], 1), {
    cpuSeconds: 4.5,
    residentBytes: 60 * 1024 * 1024,
    peakResidentBytes: 60 * 1024 * 1024,
  });
});
