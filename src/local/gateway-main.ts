/**
 * The gateway process: `node gateway-main.ts`, with `AKSML_HOME` and, optionally, `AKSML_SUPERVISOR_COMMAND` (a JSON array: how to start the
 * supervisor again) in the environment. Exit codes: 0 stopped, 1 failed, 3 another gateway runs already.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../home/atomic-file.ts';
import { type Home, openHome } from '../home/home.ts';
import { tryLock } from '../home/lock.ts';
import { Gateway } from './gateway.ts';
import { GatewayAdmin } from './gateway-admin.ts';
import { SupervisorGuardian } from './gateway-guardian.ts';
import {
  GATEWAY_LOCK,
  type GatewayRecord,
  gatewayRecordPath,
  gatewayTokenPath,
  readGatewayRecord,
} from './gateway-record.ts';
import { identifyProcess } from './process-identity.ts';

const ANOTHER_RUNS = 3;
const CHECK_HOME_MS = 2000;

async function main(): Promise<void> {
  const home = openHome(process.env);
  await mkdir(home.local, { recursive: true, mode: 0o700 });
  const lock = await tryLock(home, GATEWAY_LOCK);
  if (!lock) process.exit(ANOTHER_RUNS);

  const gateway = new Gateway(home);
  await gateway.open();
  const admin = new GatewayAdmin(gateway, await readToken(home), {
    configured: () => record(),
    stop: () => void stop(),
  });
  const adminPort = await admin.open();
  const startTime = (await identifyProcess(process.pid))?.startTime ?? '';
  const guardian = new SupervisorGuardian({
    home,
    command: supervisorCommand(),
    environment: process.env,
    isWatched: () => admin.isWatched,
    note: (message) => gateway.log.note(message),
  });

  let recorded: number | undefined;
  async function record(): Promise<void> {
    if (recorded === gateway.port) return;
    const content: GatewayRecord = { pid: process.pid, port: gateway.port, adminPort, startTime };
    await writeFileAtomic(gatewayRecordPath(home), JSON.stringify(content));
    recorded = gateway.port;
  }

  let stopping = false;
  async function stop(): Promise<void> {
    if (stopping) return;
    stopping = true;
    guardian.stop();
    await gateway.stop();
    admin.close();
    lock?.release();
    process.exit(0);
  }

  process.on('SIGTERM', () => void stop());
  process.on('SIGINT', () => void stop());
  process.on('uncaughtException', (error) => {
    gateway.log.note(`The gateway failed: ${error.stack}`);
    void gateway.log.close().finally(() => process.exit(1));
  });
  await record();
  guardian.start();
  // A gateway whose home was removed, or taken over by another, serves nobody.
  setInterval(async () => {
    if ((await readGatewayRecord(home))?.pid !== process.pid) await stop();
  }, CHECK_HOME_MS).unref();
}

async function readToken(home: Home): Promise<string> {
  const path = gatewayTokenPath(home);
  const present = await readFile(path, 'utf8').catch(() => '');
  if (present.trim() !== '') return present.trim();
  const token = randomBytes(32).toString('base64url');
  await writeFileAtomic(path, `${token}\n`);
  return token;
}

function supervisorCommand(): readonly string[] {
  const command: unknown = JSON.parse(process.env['AKSML_SUPERVISOR_COMMAND'] ?? '[]');
  return Array.isArray(command) ? command.map(String) : [];
}

await main();
