/**
 * The supervisor process: `node supervisor-main.ts`, with `AKSML_HOME` in the environment. Optional there: `AKSML_GATEWAY_COMMAND`
 * (a JSON array: how to start the gateway) and `AKSML_READINESS_TIMEOUT_MS`.
 * Ends by itself when nothing is deployed. Exit codes: 0 ended as it should, 1 failed.
 */
import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '../home/atomic-file.ts';
import { type Home, openHome } from '../home/home.ts';
import { type HeldLock, tryLock } from '../home/lock.ts';
import type { SupervisorRecord } from './control-protocol.ts';
import { ControlServer } from './control-server.ts';
import { identifyProcess } from './process-identity.ts';
import { Supervisor } from './supervisor.ts';
import { findSupervisor, SUPERVISOR_LOCK, supervisorLogPath, supervisorRecordPath } from './supervisor-record.ts';

const LOCK_PATIENCE_MS = 15_000;
const LOCK_POLL_MS = 25;
const IDLE_GRACE_MS = 5000;
const IDLE_POLL_MS = 250;
const LARGEST_LOG = 2 * 1024 * 1024;
const DEFAULT_READINESS_TIMEOUT_MS = 30 * 60_000;

async function main(): Promise<void> {
  const home = openHome(process.env);
  const log = openLog(home);
  const lock = await takeLock(home);
  if (!lock) return;
  log(`supervisor ${process.pid} begins`);

  const supervisor = await Supervisor.start({
    home,
    log,
    clock: () => new Date(),
    environment: process.env,
    gatewayCommand: gatewayCommand(),
    ownCommand: [process.execPath, ...process.execArgv, fileURLToPath(import.meta.url)],
    readinessTimeoutMs: Number(process.env['AKSML_READINESS_TIMEOUT_MS']) || DEFAULT_READINESS_TIMEOUT_MS,
  });
  const token = randomBytes(32).toString('base64url');
  let ending: Promise<void> | undefined;
  const end = (how: 'stop' | 'retire') => {
    ending ??= (async () => {
      log(`supervisor ${process.pid} ends: ${how}`);
      rmSync(supervisorRecordPath(home), { force: true });
      await (how === 'stop' ? supervisor.stop() : supervisor.release());
      // The answer to who asked for it goes out first.
      setImmediate(() => {
        server.close();
        lock.release();
        process.exit(0);
      });
    })();
    return ending;
  };
  const server = new ControlServer({ supervisor, token, end, log });
  await publishRecord(home, await server.open(), token);

  // Replicas and gateway go on; their next supervisor finds them.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void end('retire'));
  await untilIdle(supervisor, home);
  await end('stop');
}

/** Undefined when another supervisor is at work. */
async function takeLock(home: Home): Promise<HeldLock | undefined> {
  const deadline = performance.now() + LOCK_PATIENCE_MS;
  for (;;) {
    const lock = await tryLock(home, SUPERVISOR_LOCK);
    if (lock) return lock;
    // One that is just ending answers no more.
    if ((await findSupervisor(home)) || performance.now() > deadline) return undefined;
    await sleep(LOCK_POLL_MS);
  }
}

async function publishRecord(home: Home, port: number, token: string): Promise<void> {
  const identity = await identifyProcess(process.pid);
  const record: SupervisorRecord = { pid: process.pid, startTime: identity?.startTime ?? '', port, token };
  await writeFileAtomic(supervisorRecordPath(home), JSON.stringify(record));
}

/** Nothing is deployed for a while; or the home was removed, or is another's now. */
async function untilIdle(supervisor: Supervisor, home: Home): Promise<void> {
  for (let since = performance.now(); performance.now() - since < IDLE_GRACE_MS; await sleep(IDLE_POLL_MS)) {
    if (!supervisor.isIdle) since = performance.now();
    const record = await readFile(supervisorRecordPath(home), 'utf8').catch(() => '');
    if (!record.includes(`"pid":${process.pid},`)) return;
  }
}

function gatewayCommand(): readonly string[] {
  const given: unknown = JSON.parse(process.env['AKSML_GATEWAY_COMMAND'] || 'null');
  if (Array.isArray(given)) return given.map(String);
  const here = fileURLToPath(import.meta.url);
  const script = join(dirname(here), here.endsWith('.ts') ? 'gateway-main.ts' : 'gateway.js');
  return [process.execPath, ...process.execArgv, script];
}

function openLog(home: Home): (line: string) => void {
  const path = supervisorLogPath(home);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  return (line) => {
    try {
      if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > LARGEST_LOG) renameSync(path, `${path}.1`);
      appendFileSync(path, `${new Date().toISOString()} ${line}\n`, { mode: 0o600 });
    } catch {
      // A full disk must not end the supervisor.
    }
  };
}

process.on('uncaughtException', (error) => {
  openLog(openHome(process.env))(`the supervisor failed: ${error.stack}`);
  process.exit(1);
});
await main();
