import { readFile } from 'node:fs/promises';
import { AksmlError } from '../contract/error.ts';
import type { Home } from '../home/home.ts';
import { gatewayTokenPath, readGatewayRecord } from './gateway-record.ts';

/** What the running gateway tells Prometheus. @throws AksmlError `gateway.notRunning` */
export async function readGatewayFigures(home: Home, signal?: AbortSignal): Promise<string> {
  const record = await readGatewayRecord(home);
  const token = await readFile(gatewayTokenPath(home), 'utf8').catch(() => undefined);
  const response =
    record && token !== undefined
      ? await fetch(`http://127.0.0.1:${record.adminPort}/metrics`, {
          headers: { authorization: `Bearer ${token.trim()}` },
          ...(signal === undefined ? {} : { signal }),
        }).catch(() => undefined)
      : undefined;
  if (response?.ok) return response.text();
  throw new AksmlError('gateway.notRunning', 'The gateway does not run, because nothing is deployed.', {
    remedy: 'Deploy a service first: aksml model deploy.',
  });
}
