import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { EngineClient } from '../../src/extension/engine-client.ts';
import { TreeFeed } from '../../src/extension/tree/feed.ts';

const scope = { folder: '/project' };

test('a registry is looked at again on demand once its workspace is open, and only while somebody looks', async () => {
  const requests: string[] = [];
  const opening = Promise.withResolvers<unknown>();
  const engine = {
    request: async (method: string) => {
      requests.push(method);
      return method === 'workspace.open' ? opening.promise : null;
    },
    subscribe: () => ({ dispose() {} }),
  };
  const feed = new TreeFeed(engine as unknown as EngineClient, () => {});
  const asked = () => requests.splice(0);

  feed.follow([{ key: 'project', scope }]);
  feed.lookAgain();
  assert.deepEqual(asked(), ['workspace.open']);
  opening.resolve({});
  await turn();
  feed.lookAgain();
  assert.deepEqual(asked(), ['content.refresh']);
  feed.setVisible(false);
  feed.lookAgain();
  assert.deepEqual(asked(), []);
});
