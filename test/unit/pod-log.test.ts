import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { KubeClient } from '../../src/kube/kube.ts';
import { readPodLog } from '../../src/kube/pod-log.ts';

/** An API server that answers with this text. */
function answering(text: string): KubeClient {
  const transport = { send: async () => ({ body: Readable.from([Buffer.from(text)]) }) };
  return { transport } as unknown as KubeClient;
}

async function linesOf(text: string): Promise<readonly string[]> {
  const query = { pod: { namespace: 'n', name: 'p' }, container: 'c' };
  const batches = readPodLog(answering(text), query, new AbortController().signal);
  return (await Array.fromAsync(batches)).flat().map(({ line }) => line);
}

test("a kubelet's excuse for a log that it has thrown away is no line of the log", async () => {
  assert.deepEqual(await linesOf('unable to retrieve container logs for containerd://13595b1967a6'), []);
  const said = 'unable to retrieve container logs for x';
  assert.deepEqual(await linesOf(`2026-01-01T00:00:00.1Z ${said}\n2026-01-01T00:00:00.2Z\n`), [said, '']);
});
