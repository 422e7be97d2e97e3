import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { deployService, withAttachedCluster } from './cluster-world.ts';

/**
 * What it costs to follow a replica that writes ten megabytes a second: the memory of `aksml service get-logs -f` over time, with a reader
 * that takes everything and with one that takes nothing for a while; what arrives, and which lines do not, beside `kubectl logs -f`. The node
 * rotates the log meanwhile. Target: memory that does not grow, and no line lost that kubectl tells.
 */
const NAME = 'flood';
const MEGABYTES_A_SECOND = 10;
const LINE_BYTES = 1000;
const SECONDS = 25;

const SCRIPT = `
import os
import threading
import time

TEXT = b"x" * ${LINE_BYTES - 14}

def flood():
    begun = time.monotonic()
    number = 0
    while True:
        left = memoryview(b"".join(b"%012d %s\\n" % (line, TEXT) for line in range(number, number + 64)))
        while left:
            left = left[os.write(1, left):]
        number += 64
        ahead = number * ${LINE_BYTES} / ${MEGABYTES_A_SECOND}e6 - (time.monotonic() - begun)
        if ahead > 0:
            time.sleep(ahead)

def init():
    threading.Thread(target=flood, daemon=True).start()

def run(data):
    return data
`;

await withAttachedCluster(async (world) => {
  const deployment = await deployService(world, NAME, SCRIPT);
  const ours = () => world.start('service', 'get-logs', '-n', NAME, '-f', '--num_lines', '10');
  const theirs = () => world.startKubectl('logs', '-f', deployment, '--tail', '10');
  console.table([
    { what: 'aksml, all is taken', ...(await follow(ours(), 0)) },
    { what: 'kubectl, all is taken', ...(await follow(theirs(), 0)) },
    { what: `aksml, nothing is taken for ${SECONDS} s`, ...(await follow(ours(), SECONDS)) },
    { what: `kubectl, nothing is taken for ${SECONDS} s`, ...(await follow(theirs(), SECONDS)) },
  ]);
});

/** What arrives in {@link SECONDS} after the reader has paused for some. */
async function follow(child: ChildProcess, pauseSeconds: number) {
  if (child.stdout === null) throw new Error('no output');
  child.stderr?.resume();
  const memory: number[] = [];
  const sampling = new AbortController();
  const sampled = sampleMemory(child, memory, sampling.signal);
  await sleep(pauseSeconds * 1000);
  const lines = createInterface({ input: child.stdout });
  let begun = 0;
  let arrived = 0;
  let first = Number.NaN;
  let last = Number.NaN;
  let gaps = 0;
  let doubled = 0;
  lines.on('line', (line) => {
    const number = /^\d{12} x/.test(line) ? Number(line.slice(0, 12)) : undefined;
    if (number === undefined) return;
    if (arrived === 0) [begun, first] = [performance.now(), number];
    else if (number > last + 1) gaps += 1;
    else if (number <= last) doubled += 1;
    last = number;
    arrived += 1;
  });
  await once(lines, 'line');
  await sleep(SECONDS * 1000);
  const seconds = (performance.now() - begun) / 1000;
  lines.removeAllListeners('line');
  sampling.abort();
  await sampled;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
  return {
    'MB/s': ((arrived * LINE_BYTES) / 1e6 / seconds).toFixed(1),
    'MB/s written': (((last - first + 1) * LINE_BYTES) / 1e6 / seconds).toFixed(1),
    'lines lost': last - first + 1 - arrived,
    'in gaps': gaps,
    doubled,
    'MiB every 5 s': memory.filter((_, second) => second % 5 === 4).join(' '),
    'MiB at most': Math.max(...memory),
  };
}

async function sampleMemory({ pid }: ChildProcess, memory: number[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(1000, undefined, { signal }).catch(() => undefined);
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    const kilobytes = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
    memory.push(Math.round(kilobytes / 1024));
  }
}
