import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { onceConfirmed } from '../../src/kube/confirmed.ts';
import { KubeClient } from '../../src/kube/kube.ts';
import { PODS } from '../../src/kube/resource.ts';
import type { KubeRequest, KubeTransport } from '../../src/kube/transport.ts';

const POD = { namespace: 'team', name: 'web' };
const WRITE = { fieldManager: 'test' };

test('of a cluster that is not confirmed is read at once, but nothing is handed out or written before it is', async () => {
  const { sent, confirming, kube } = openUnconfirmed();
  const done: string[] = [];
  const reading = kube.get(PODS, POD).then(() => done.push('read'));
  const writing = kube.create(PODS, { metadata: POD }, WRITE).then(() => done.push('written'));
  for (let turn = 0; turn < 10; turn += 1) await nextTurn();
  assert.deepEqual([sent, done], [['GET'], []]);
  confirming[0]?.resolve();
  await Promise.all([reading, writing]);
  assert.deepEqual(sent, ['GET', 'POST']);
  await kube.remove(PODS, POD);
  assert.equal(confirming.length, 1);
});

test('where a cluster is not confirmed nothing is written, and the next request asks again', async () => {
  const { sent, confirming, kube } = openUnconfirmed();
  const asking = [kube.get(PODS, POD), kube.create(PODS, { metadata: POD }, WRITE), kube.remove(PODS, POD)];
  confirming[0]?.reject(new Error('another cluster'));
  for (const asked of asking) await assert.rejects(asked, /another cluster/);
  assert.deepEqual(sent, ['GET']);
  const again = kube.create(PODS, { metadata: POD }, WRITE);
  confirming[1]?.resolve();
  await again;
  assert.deepEqual(sent, ['GET', 'POST']);
});

function openUnconfirmed() {
  const sent: string[] = [];
  const confirming: PromiseWithResolvers<void>[] = [];
  const json = async ({ method }: KubeRequest) => {
    sent.push(method);
    return { metadata: POD };
  };
  const inner = new KubeClient({} as KubeClient['context'], { json } as unknown as KubeTransport);
  const kube = onceConfirmed(inner, () => {
    const confirmation = Promise.withResolvers<void>();
    confirming.push(confirmation);
    return confirmation.promise;
  });
  return { sent, confirming, kube };
}
