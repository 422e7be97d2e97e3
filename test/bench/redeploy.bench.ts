import { type ChildProcess, spawn } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ANSWER, DEPLOY, openWorld, type World, writeProject } from '../local/world.ts';
import { median } from './median.ts';

/**
 * From a changed line of code to the first answer of the new code: `aksml model deploy` against starting the scoring server by hand
 * in the same environment. Interleaved runs on one machine; the target is at most 0.5 s more.
 */
const ROUNDS = 11;
/** Asking costs CPU, which the new replica needs: on two cores a tighter loop measures itself. */
const POLL_MS = 20;

const world = await openWorld();
try {
  await writeProject(world);
  await must(world, 'model', 'register', '-n', 'weights', '-p', 'model');
  await must(world, ...DEPLOY, '-n', 'bench', '-m', 'weights');
  const { scoringUri } = (await must(world, 'service', 'show', '-n', 'bench', '-o', 'json')).json<{
    scoringUri: string;
  }>();
  const { primaryKey } = (await must(world, 'service', 'get-keys', '-n', 'bench', '-o', 'json')).json<{
    primaryKey: string;
  }>();

  const redeploys: number[] = [];
  const byHand: number[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    await world.write('source/score.py', ANSWER(round * 10));
    redeploys.push(await redeploy(scoringUri, primaryKey, round * 10));
    byHand.push(await startByHand(round * 10));
  }
  console.table({
    'aksml model deploy, to the first new answer': summary(redeploys),
    'azmlinfsrv by hand, to the first answer': summary(byHand),
  });
  console.log(`difference of the medians: ${(median(redeploys) - median(byHand)).toFixed(0)} ms (target: at most 500)`);
} finally {
  await world.close();
}

async function redeploy(uri: string, key: string, answer: number): Promise<number> {
  const started = performance.now();
  const child = world.start(...DEPLOY, '-n', 'bench', '-m', 'weights', '--overwrite', '--no-wait');
  await firstAnswer(uri, { authorization: `Bearer ${key}` }, answer);
  const elapsed = performance.now() - started;
  if (child.exitCode === null) await new Promise((resolve) => child.once('close', resolve));
  return elapsed;
}

async function startByHand(answer: number): Promise<number> {
  const python = await replicaPython();
  const folder = join(world.project, 'by-hand');
  await mkdir(join(folder, 'model'), { recursive: true });
  await copyFile(join(world.project, 'model', 'weights.txt'), join(folder, 'model', 'weights.txt'));
  await writeFile(join(folder, 'score.py'), await readFile(join(world.project, 'source', 'score.py')));
  const port = await freePort();
  const started = performance.now();
  const server: ChildProcess = spawn(
    python,
    [
      '-m',
      'azureml_inference_server_http.amlserver',
      '--entry_script',
      'score.py',
      '--model_dir',
      folder,
      '--port',
      String(port),
    ],
    { cwd: folder, stdio: 'ignore', detached: true },
  );
  try {
    await firstAnswer(`http://127.0.0.1:${port}/score`, {}, answer);
    return performance.now() - started;
  } finally {
    if (server.pid !== undefined) process.kill(-server.pid, 'SIGKILL');
  }
}

async function firstAnswer(uri: string, headers: Record<string, string>, answer: number): Promise<void> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await sleep(POLL_MS)) {
    const response = await fetch(uri, {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json', ...headers },
    }).catch(() => undefined);
    if (response?.ok && ((await response.json()) as { answer: number }).answer === answer) return;
  }
  throw new Error(`${uri} never answered ${answer}`);
}

/** The interpreter that the replicas of this world run on. */
async function replicaPython(): Promise<string> {
  const [image = ''] = await readdir(join(world.home, 'bundles'));
  const bundle = JSON.parse(await readFile(join(world.home, 'bundles', image, 'bundle.json'), 'utf8')) as {
    python: string;
  };
  return bundle.python;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  server.close();
  return address !== null && typeof address === 'object' ? address.port : 0;
}

async function must(where: World, ...args: readonly string[]) {
  const outcome = await where.aksml(...args);
  if (outcome.code !== 0) throw new Error(`aksml ${args.join(' ')}: ${outcome.stderr}`);
  return outcome;
}

function summary(times: readonly number[]) {
  const ordered = [...times].sort((a, b) => a - b);
  return {
    'min ms': ordered[0]?.toFixed(0),
    'median ms': median(times).toFixed(0),
    'max ms': ordered.at(-1)?.toFixed(0),
    runs: times.length,
  };
}
