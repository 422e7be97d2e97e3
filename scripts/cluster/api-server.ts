import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { certificate, privateKey } from './certificates.ts';
import { apiServerUrl, type Place } from './place.ts';

/** Reads from the API server as the administrator; undefined when it does not answer well. */
export async function readApi(place: Place, path: string): Promise<unknown> {
  const [ca, cert, key] = await Promise.all([
    readFile(certificate(place, 'ca')),
    readFile(certificate(place, 'admin')),
    readFile(privateKey(place, 'admin')),
  ]);
  return new Promise((resolve) => {
    const asked = request(new URL(path, apiServerUrl(place)), { ca, cert, key, timeout: 5_000 }, (answer) => {
      if (answer.statusCode === 200) {
        json(answer).then(resolve, () => resolve({}));
        return;
      }
      answer.resume();
      resolve(undefined);
    });
    asked.on('timeout', () => asked.destroy()).on('error', () => resolve(undefined));
    asked.end();
  });
}

export async function isNodeReady(place: Place, node: string): Promise<boolean> {
  const found = await readApi(place, `/api/v1/nodes/${node}`);
  const status = isRecord(found) && isRecord(found['status']) ? found['status'] : {};
  const conditions: unknown[] = Array.isArray(status['conditions']) ? status['conditions'] : [];
  return conditions.some((entry) => isRecord(entry) && entry['type'] === 'Ready' && entry['status'] === 'True');
}

/** Waits until `condition` holds. */
export async function until(
  what: string,
  condition: () => Promise<boolean>,
  options: { readonly timeoutMs?: number } = {},
): Promise<void> {
  const deadline = Date.now() + (options.timeoutMs ?? 120_000);
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited too long until ${what}`);
    await sleep(100);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
