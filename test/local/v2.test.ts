import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openWorld, type World } from './world.ts';

interface Shown {
  readonly state: string;
  readonly scoringUri: string;
  readonly versions: Readonly<
    Record<
      string,
      {
        readonly state: string;
        readonly scoringTimeoutMs: number;
        readonly maxConcurrentRequestsPerContainer: number;
        readonly numReplicas: number;
        readonly effectiveTrafficPercentile: number;
        readonly replicas: readonly { readonly id: string; readonly state: string }[];
      }
    >
  >;
}

const ENDPOINT = `$schema: https://azuremlschemas.azureedge.net/latest/kubernetesOnlineEndpoint.schema.json
name: from-v2
auth_mode: key
tags:
  origin: v2
traffic:
  blue: 100
`;

const DEPLOYMENT = `$schema: https://azuremlschemas.azureedge.net/latest/kubernetesOnlineDeployment.schema.json
name: blue
type: kubernetes
endpoint_name: from-v2
model:
  path: ./model
code_configuration:
  code: ./src
  scoring_script: score.py
environment:
  image: mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04
  conda_file: conda.yml
environment_variables:
  GREETING: hello from v2
request_settings:
  request_timeout_ms: 3000
  max_concurrent_requests_per_instance: 2
  max_queue_wait_ms: 700
liveness_probe:
  initial_delay: 5
  period: 5
  timeout: 2
  failure_threshold: 5
instance_count: 2
resources:
  requests:
    cpu: 100m
    memory: 0.2Gi
`;

const SCORE = `import json, os

def init():
    global weights
    weights = open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model", "weights.txt")).read()

def run(data):
    return {"greeting": os.environ["GREETING"], "weights": weights, "sent": json.loads(data)}
`;

async function show(world: World, name: string): Promise<Shown> {
  return (await world.aksml('endpoint', 'realtime', 'show', '-n', name, '-o', 'json')).json<Shown>();
}

async function score(world: World, name: string, input: string) {
  const run = await world.aksml('endpoint', 'realtime', 'run', '-n', name, '-d', input, '-o', 'json');
  assert.equal(run.code, 0, run.stderr);
  return run.json();
}

describe('a project of v2', () => {
  let world: World;
  before(async () => {
    world = await openWorld();
    await world.write('endpoint.yml', ENDPOINT);
    await world.write('deployment.yml', DEPLOYMENT);
    await world.write('src/score.py', SCORE);
    await world.write('model/weights.txt', '42');
    await world.write(
      'conda.yml',
      'channels: [conda-forge]\ndependencies:\n  - pip:\n      - azureml-inference-server-http\n',
    );
  });
  after(() => world.close());

  const hasV2Settings = async (name: string) => {
    const { state, versions } = await show(world, name);
    const { blue } = versions;
    assert.equal(state, 'Healthy');
    assert.deepEqual(
      [blue?.scoringTimeoutMs, blue?.maxConcurrentRequestsPerContainer, blue?.numReplicas],
      [3000, 2, 2],
      'the settings of the request and the number of instances',
    );
    assert.equal(blue?.effectiveTrafficPercentile, 100);
    assert.equal(blue?.replicas.length, 2);
    assert.deepEqual(await score(world, name, '{"a": 1}'), {
      greeting: 'hello from v2',
      weights: '42',
      sent: { a: 1 },
    });
  };

  test('is turned into the files of v1, and the command that it names deploys them', async () => {
    const imported = await world.aksml('import', 'deployment.yml', '--endpoint-file', 'endpoint.yml', '-o', 'json');
    assert.equal(imported.code, 0, imported.stderr);
    const [program, ...command] = imported.json<{ deployCommand: string[] }>().deployCommand;
    assert.equal(program, 'aksml');
    const deployed = await world.aksml(...command);
    assert.equal(deployed.code, 0, deployed.stderr);
    await hasV2Settings('from-v2');
    const again = await world.aksml('import', 'deployment.yml');
    assert.equal(again.code, 2, 'it does not replace files unasked');
    assert.equal((await world.aksml('endpoint', 'realtime', 'delete', '-n', 'from-v2', '--yes')).code, 0);
  });

  test('is deployed as it is', async () => {
    const files = ['--v2-deployment', 'deployment.yml', '--v2-endpoint', 'endpoint.yml'];
    const deployed = await world.aksml('model', 'deploy', '-n', 'as-it-is', ...files);
    assert.equal(deployed.code, 0, deployed.stderr);
    await hasV2Settings('as-it-is');
    const both = await world.aksml('model', 'deploy', '-n', 'as-it-is', ...files, '-nr', '3');
    assert.equal(both.code, 2, 'two descriptions of one deployment');
    assert.match(both.stderr, /--num-replicas/);
  });

  test('gets its next deployment as a version of the same endpoint', async () => {
    await world.write('green.yml', DEPLOYMENT.replace('name: blue', 'name: green').replace('v2\n', 'green\n'));
    const create = ['endpoint', 'realtime', 'create-version', '-n', 'as-it-is', '--vn', 'green'];
    const created = await world.aksml(...create, '--v2-deployment', 'green.yml', '--tp', '10');
    assert.equal(created.code, 0, created.stderr);
    const { versions } = await show(world, 'as-it-is');
    assert.deepEqual([versions['green']?.scoringTimeoutMs, versions['green']?.effectiveTrafficPercentile], [3000, 10]);
    assert.equal(versions['blue']?.effectiveTrafficPercentile, 90);
  });
});

/** A server of the user's own: counts what it is asked for, and is not ready at once. */
const SERVER = `import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = 1
started = time.time()
seen = {}

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        seen[self.path] = seen.get(self.path, 0) + 1
        self.answer(503 if self.path == "/ready" and time.time() - started < 0.5 else 200, "fine")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        weights = open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model", "weights.txt")).read()
        self.answer(200, {"version": VERSION, "path": self.path, "sent": json.loads(body), "seen": seen, "weights": weights})

    def answer(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        print("answered", self.path, flush=True)

ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
`;

function containerDeployment(command: string): string {
  return `name: blue
endpoint_name: own-server
model:
  path: ./model
code_configuration:
  code: ./server
  scoring_script: server.py
environment:
  image: example.com/server:1
  inference_config:
${command}    liveness_route: {port: 8501, path: /live}
    readiness_route: {port: 8501, path: /ready}
    scoring_route: {port: 8501, path: "/v1/models/m:predict"}
liveness_probe:
  initial_delay: 1
  period: 1
instance_count: 1
`;
}

describe('a container of its own, as a command on this machine', () => {
  let world: World;
  const python = process.platform === 'win32' ? 'python' : 'python3';
  const deploy = (...more: string[]) =>
    world.aksml('model', 'deploy', '-n', 'own-server', '--v2-deployment', 'deployment.yml', ...more);
  before(async () => {
    world = await openWorld();
    await world.write('server/server.py', SERVER);
    await world.write('model/weights.txt', '42');
  });
  after(() => world.close());

  test('is refused without a command, with what to do', async () => {
    await world.write('deployment.yml', containerDeployment(''));
    const refused = await deploy();
    assert.equal(refused.code, 2, refused.stderr);
    assert.match(refused.stderr, /runs commands, not images/);
    assert.match(refused.stderr, /inference_config\.command/);
  });

  test('is ready when its readiness route says so, and scores at its scoring route', async () => {
    await world.write('deployment.yml', containerDeployment(`    command: [${python}, server/server.py, "{port}"]\n`));
    const deployed = await deploy();
    assert.equal(deployed.code, 0, deployed.stderr);
    const answer = await score(world, 'own-server', '{"a": 1}');
    assert.deepEqual(
      [answer['version'], answer['path'], answer['sent'], answer['weights']],
      [1, '/v1/models/m:predict', { a: 1 }, '42'],
    );
    assert.ok(((answer['seen'] as Record<string, number>)['/ready'] ?? 0) >= 2, 'it was asked until it was ready');
  });

  test('is probed at its liveness route', async () => {
    for (;;) {
      const { seen } = await score(world, 'own-server', '{}');
      if (((seen as Record<string, number>)['/live'] ?? 0) >= 2) return;
      await world.aksml('service', 'get-logs', '-n', 'own-server', '--num_lines', '1');
    }
  });

  test('is updated without a failed request, and its log is there', async () => {
    await world.write('server/server.py', SERVER.replace('VERSION = 1', 'VERSION = 2'));
    const { scoringUri } = await show(world, 'own-server');
    const { primaryKey } = (
      await world.aksml('endpoint', 'realtime', 'get-keys', '-n', 'own-server', '-o', 'json')
    ).json<{ primaryKey: string }>();
    let deployed = false;
    const statuses = new Set<number>();
    const load = (async () => {
      while (!deployed) {
        const headers = { authorization: `Bearer ${primaryKey}`, 'content-type': 'application/json' };
        const response = await fetch(scoringUri, { method: 'POST', headers, body: '{}' });
        await response.arrayBuffer();
        statuses.add(response.status);
      }
    })();
    const updated = await deploy('--overwrite');
    deployed = true;
    await load;
    assert.equal(updated.code, 0, updated.stderr);
    assert.deepEqual([...statuses], [200]);
    assert.equal((await score(world, 'own-server', '{}'))['version'], 2);
    const logs = await world.aksml('endpoint', 'realtime', 'get-logs', '-n', 'own-server');
    assert.match(logs.stdout, /answered \/v1\/models\/m:predict/);
  });

  test('is rolled back, and deleted with its process', async () => {
    const back = await world.aksml('service', 'rollback', '-n', 'own-server');
    assert.equal(back.code, 0, back.stderr);
    assert.equal((await score(world, 'own-server', '{}'))['version'], 1);
    const { scoringUri } = await show(world, 'own-server');
    assert.equal((await world.aksml('endpoint', 'realtime', 'delete', '-n', 'own-server', '--yes')).code, 0);
    const gone = await fetch(scoringUri, { method: 'POST' }).then(
      ({ status }) => status,
      () => 'no listener',
    );
    assert.ok(gone === 404 || gone === 'no listener', String(gone));
  });
});
