import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { startAgentServer } from '../../src/cluster/router/agent-server.ts';
import { momentText, type RouterMoment } from '../../src/cluster/router/router-metrics.ts';
import type { RouterLoad } from '../../src/cluster/router/routing-table.ts';
import { countersOf } from '../../src/serving/metrics.ts';
import { call } from '../conformance/http-client.ts';

const LOAD: RouterLoad = {
  router: 'aksml-fe-1',
  time: 1000,
  versions: [
    {
      endpoint: 'web',
      version: 'main',
      busy: 2,
      queued: 1,
      arrived: 13,
      completed: 10,
      failed: 3,
      latency: [1, 0, 2, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 2],
    },
  ],
};

const MOMENT: RouterMoment = {
  load: LOAD,
  table: {
    endpoints: [
      {
        name: 'web',
        auth: { mode: 'none' },
        corsAllowedOrigins: [],
        maxBodyBytes: 1,
        sticky: false,
        versions: [
          {
            name: 'main',
            isDefault: true,
            maxConcurrentRequestsPerContainer: 2,
            maxQueueWaitMs: 500,
            scoringTimeoutMs: 60_000,
            scoringRoute: '/score',
            ownServer: false,
            http2: false,
            coldStartMs: 0,
            replicas: [
              { id: 'web-a', address: '10.0.0.1', port: 5001, state: 'ready' },
              { id: 'web-b', address: '10.0.0.2', port: 5001, state: 'draining' },
            ],
          },
        ],
      },
    ],
    routers: [{ name: 'aksml-fe-1', address: '10.0.0.9', hopPort: 8081 }],
  },
  activator: { held: 4, bytesHeld: 5, copied: new Map([['web/next', 6]]), dropped: new Map([['web/next', 7]]) },
  inForce: true,
};

test('a router’s figures are read as those of the local gateway are', () => {
  const text = momentText(MOMENT);
  assert.deepEqual(countersOf(text, 'web')[0], {
    version: 'main',
    requests: { ok: 7, failed: 3 },
    duration: {
      buckets: [
        [0.001, 1],
        [0.002, 1],
        [0.005, 3],
        [0.01, 3],
        [0.02, 3],
        [0.05, 3],
        [0.1, 8],
        [0.2, 8],
        [0.5, 8],
        [1, 8],
        [2, 8],
        [5, 8],
        [10, 8],
        [60, 8],
      ],
      count: 10,
    },
    busy: 2,
    queued: 1,
    readyReplicas: 1,
    utilization: 1.5,
  });
  assert.match(text, /^aksml_mirrored_total\{endpoint="web",version="next"\} 6$/m);
  assert.match(text, /^aksml_mirror_dropped_total\{endpoint="web",version="next"\} 7$/m);
  assert.match(text, /^aksml_held_requests 4$/m);
  assert.match(text, /^aksml_router_in_force 1$/m);
});

test('a router tells its load to who knows the secret, ten times a second, and whether it is ready to everybody', async (t) => {
  let ready = false;
  let secrets: readonly string[] = [];
  const server = await startAgentServer(0, '127.0.0.1', {
    ready: () => ready,
    load: () => LOAD,
    secrets: () => secrets,
    metrics: { contentType: 'text/plain; version=0.0.4', text: async () => 'figures' },
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const status = async (path: string, authorization?: string) =>
    (await call(`${url}${path}`, { headers: authorization === undefined ? {} : { authorization } })).status;
  assert.deepEqual([await status('/healthz'), await status('/readyz'), await status('/x')], [200, 503, 404]);
  ready = true;
  assert.equal(await status('/readyz'), 200);
  assert.equal((await call(`${url}/metrics`)).text, 'figures');

  assert.equal(await status('/load', 'Bearer '), 401, 'without a secret nobody knows it');
  secrets = ['new', 'old'];
  const refused = [undefined, 'Bearer', 'Bearer wrong', 'Basic new', 'new', 'Bearer ne', 'Bearer new old'];
  for (const authorization of refused) assert.equal(await status('/load', authorization), 401, authorization);
  assert.equal(await status('/load', 'Bearer old'), 200);
  assert.deepEqual(JSON.parse((await call(`${url}/load`, { headers: { authorization: 'bearer new' } })).text), LOAD);

  const asking = request(`${url}/load?stream=1`, { headers: { authorization: 'Bearer new' } }).end();
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) {
    text += chunk;
    if (text.split('\n').length > 5) break;
  }
  for (const line of text.split('\n').slice(0, 5)) assert.deepEqual(JSON.parse(line), LOAD);
});
