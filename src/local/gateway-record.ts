import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Home } from '../home/home.ts';

/** How to find a running gateway: `local/gateway.json`. Its admin token is in {@link gatewayTokenPath}, readable by the user alone. */
export interface GatewayRecord {
  readonly pid: number;
  /** The shared listener; 0 before the first configuration. */
  readonly port: number;
  readonly adminPort: number;
  /** ISO 8601, UTC, when the gateway began. */
  readonly startTime: string;
}

/** Held by the gateway as long as it lives. */
export const GATEWAY_LOCK = 'gateway';

export function gatewayRecordPath(home: Home): string {
  return join(home.local, 'gateway.json');
}

/** One line: the bearer token of the admin port. Made by the gateway when absent, kept from then on. */
export function gatewayTokenPath(home: Home): string {
  return join(home.local, 'gateway.token');
}

/** What the last gateway wrote; it may be gone since. */
export async function readGatewayRecord(home: Home): Promise<GatewayRecord | undefined> {
  try {
    return JSON.parse(await readFile(gatewayRecordPath(home), 'utf8'));
  } catch {
    return undefined;
  }
}
