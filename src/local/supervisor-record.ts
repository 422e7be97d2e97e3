import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Home } from '../home/home.ts';
import type { Health, SupervisorRecord } from './control-protocol.ts';
import { callLoopback, type LoopbackAddress } from './loopback-http.ts';

/** Held by the supervisor as long as it lives. */
export const SUPERVISOR_LOCK = 'supervisor';

const HEALTH_TIMEOUT_MS = 5000;

export interface FoundSupervisor {
  readonly address: LoopbackAddress;
  readonly health: Health;
}

/** The running supervisor of this home, if there is one that answers to the token in its record. */
export async function findSupervisor(home: Home): Promise<FoundSupervisor | undefined> {
  try {
    const record = JSON.parse(await readFile(supervisorRecordPath(home), 'utf8')) as SupervisorRecord;
    const address = { port: record.port, token: record.token };
    const { status, body } = await callLoopback(address, {
      method: 'GET',
      path: '/health',
      timeoutMs: HEALTH_TIMEOUT_MS,
    });
    return status === 200 ? { address, health: body as Health } : undefined;
  } catch {
    return undefined;
  }
}

export function supervisorRecordPath(home: Home): string {
  return join(home.local, 'supervisor.json');
}

export function supervisorLogPath(home: Home): string {
  return join(home.local, 'logs', 'supervisor.log');
}

/** Present when everything was stopped on request: then looking does not start it again. */
export function stoppedMarkPath(home: Home): string {
  return join(home.local, 'stopped');
}
