import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KubeClient } from '../../src/kube/kube.ts';
import { PODS, type Pod } from '../../src/kube/resource.ts';
import type { KubeRequest, Transport } from '../../src/kube/transport.ts';

test('of what is listed only what is wanted is kept, before the next page is asked for', async () => {
  const done: string[] = [];
  const json = async ({ query }: KubeRequest) => {
    const page = Number(query?.['continue'] ?? 0);
    done.push(`asked for ${page}`);
    const metadata = { resourceVersion: '7', ...(page < 2 ? { continue: String(page + 1) } : {}) };
    return { metadata, items: [{ metadata: { name: `pod-${page}`, uid: 'u' } }] };
  };
  const kube = new KubeClient({} as KubeClient['context'], { json } as unknown as Transport);
  const keep = ({ metadata: { name } }: Pod): Pod => {
    done.push(`kept ${name}`);
    return { metadata: { name } };
  };
  const { items, resourceVersion } = await kube.list(PODS, {}, undefined, keep);
  assert.deepEqual(done, ['asked for 0', 'kept pod-0', 'asked for 1', 'kept pod-1', 'asked for 2', 'kept pod-2']);
  assert.deepEqual(
    items,
    [0, 1, 2].map((page) => ({ metadata: { name: `pod-${page}` } })),
  );
  assert.equal(resourceVersion, '7');
});
