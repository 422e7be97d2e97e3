import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { test } from 'node:test';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import { haproxyProgram } from '../../scripts/haproxy.ts';
import type { RouterLoad } from '../../src/cluster/router/routing-table.ts';
import { SECRETS, SERVICE_ACCOUNTS } from '../../src/kube/resource.ts';
import { countersOf } from '../../src/serving/metrics.ts';
import { call } from '../conformance/http-client.ts';
import { openControllerWorld, pythonVersion } from './controller-world.ts';
import { startAgent } from './running-agent.ts';
import { eventually, testCluster } from './world.ts';

const cluster = await testCluster();
const haproxy = await haproxyProgram();
if ('skip' in cluster) test('a router of a cluster', { skip: cluster.skip }, () => {});
else if (typeof haproxy !== 'string') test('a router of a cluster', { skip: haproxy.skip }, () => {});
else agentSuite(cluster, haproxy);

function agentSuite(cluster: Cluster, program: string): void {
  test('a router serves an endpoint with its keys and its tokens, tells its load, and answers everything before it ends', async (t) => {
    const world = await openControllerWorld(t, cluster);
    const { kube, namespace } = world;
    await world.startController();
    const agent = await startAgent(t, world, program);
    await eventually('it is ready', async () => {
      const reply = await call(`${agent.own}/readyz`).catch(() => undefined);
      return reply?.status === 200;
    });
    await world.put({ name: 'web', spec: { versions: [echoVersion(cluster)] } });
    await world.untilState('web', 'Healthy');
    const keys = await kube.get(SECRETS, { namespace, name: 'web.keys' });
    const key = Buffer.from(keys.data?.['primaryKey'] ?? '', 'base64').toString();
    const score = (bearer: string, body: string | Buffer = 'x') =>
      call(agent.url('web'), { body, headers: { authorization: `Bearer ${bearer}` }, agent: new Agent() });
    await eventually('the key opens it', async () => (await score(key)).status === 200);
    assert.equal((await score('wrong')).status, 401);
    assert.equal((await score(key)).text, '1');
    const large = Buffer.alloc(3_000_000, 'x');
    assert.equal((await score(key, large)).text, String(large.length), 'a body that HAProxy does not hold');

    await world.put({ name: 'web', spec: { auth: 'token', versions: [echoVersion(cluster)] } });
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: [`https://aksml.dev/${namespace}/web`], expirationSeconds: 3600 },
    };
    const account = { namespace, name: 'web.tokens' };
    const made = await kube.createIn<{ status: { token: string } }>(SERVICE_ACCOUNTS, account, 'token', body);
    await eventually('the token opens it', async () => (await score(made.status.token)).status === 200);
    assert.equal((await score(key)).status, 401);

    const hop = await kube.get(SECRETS, { namespace, name: 'aksml-fe-hop' });
    const secret = Buffer.from(hop.data?.['secret'] ?? '', 'base64').toString();
    const load = async (): Promise<RouterLoad> => {
      const reply = await call(`${agent.own}/load`, { headers: { authorization: `Bearer ${secret}` } });
      return JSON.parse(reply.text);
    };
    await eventually('its load tells of the requests', async () => {
      const version = (await load()).versions.find(({ endpoint }) => endpoint === 'web');
      return (version?.completed ?? 0) >= 4 && version?.failed === 0;
    });
    const [figures] = countersOf((await call(`${agent.own}/metrics`)).text, 'web');
    assert.equal(figures?.readyReplicas, 1);

    const slow = score(made.status.token, 'slow');
    await eventually('it is at the replica', async () => {
      return (await load()).versions.some(({ endpoint, busy }) => endpoint === 'web' && busy === 1);
    });
    await agent.stop();
    assert.equal((await slow).text, '4');
    await assert.rejects(call(agent.url('web'), { agent: new Agent() }));
  });

  test('a request for a version without replicas waits for the first one, and is counted meanwhile', async (t) => {
    const world = await openControllerWorld(t, cluster);
    await world.startController();
    const agent = await startAgent(t, world, program);
    const scale = { kind: 'auto', minReplicas: 0, maxReplicas: 1, targetUtilization: 70, refreshPeriodInSeconds: 1 };
    const version = { ...echoVersion(cluster), scale: { ...scale, coldStartSeconds: 100 } };
    await world.put({ name: 'cold', spec: { auth: 'none', versions: [version] } });
    const metrics = async () => (await call(`${agent.own}/metrics`).catch(() => undefined))?.text ?? '';
    await eventually('it is routed', async () => /^aksml_router_endpoints 1$/m.test(await metrics()));
    await eventually('it has a Deployment', () => world.get('deployment', 'cold.main'));
    await world.kubectl('scale', 'deployment', 'cold.main', '--replicas=0');
    await eventually('nobody serves', async () => /^aksml_replicas_ready\{.*\} 0$/m.test(await metrics()));
    const reply = call(agent.url('cold'), { body: 'hello' });
    await eventually('it waits', async () => {
      return /^aksml_requests_queued\{endpoint="cold",version="main"\} 1$/m.test(await metrics());
    });
    await world.kubectl('scale', 'deployment', 'cold.main', '--replicas=1');
    const answer = await reply;
    assert.deepEqual([answer.status, answer.text], [200, '5']);
  });
}

/** Its server answers with the length of the body; to `slow` after two seconds. */
function echoVersion(cluster: Cluster): object {
  return pythonVersion(cluster, { script: SERVER, scoringTimeoutMs: 20_000 });
}

const SERVER = `
import http.server, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def answer(self):
        body = self.rfile.read(int(self.headers.get('content-length', 0)))
        if body == b'slow': time.sleep(2)
        text = str(len(body)).encode()
        self.send_response(200); self.send_header('content-length', str(len(text))); self.end_headers(); self.wfile.write(text)
    do_GET = do_POST = answer
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(('', int(sys.argv[1])), Handler).serve_forever()
`;
