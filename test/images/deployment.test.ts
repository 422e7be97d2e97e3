import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, type TestContext, test } from 'node:test';
import { type BaseImage, debianBaseImage, pushBaseImage } from '../../scripts/cluster/base-image.ts';
import { findDockerRegistry } from '../../scripts/cluster/registry.ts';
import { AksmlError } from '../../src/contract/error.ts';
import type { ProgressEvent } from '../../src/contract/event.ts';
import { judgeArchitecture } from '../../src/engine/endpoints/architecture.ts';
import type { ClusterFacts } from '../../src/engine/endpoints/cluster-facts.ts';
import { builtParts } from '../../src/engine/endpoints/deploy.ts';
import { registerModel } from '../../src/engine/models/models.ts';
import { DistributionRegistry } from '../../src/engine/registry/distribution.ts';
import { createWorkspace } from '../../src/engine/workspace/workspace.ts';
import { openSession, registryOpener } from '../../src/session/session.ts';
import { makeBareBase } from './bare-base.ts';
import { joinTeam } from './deployment-world.ts';
import { freePort, type RunningRegistry, startDockerRegistry } from './docker-registry.ts';
import { inspectFiles } from './image-files.ts';
import { ARCHITECTURE, environmentDefinition, SCORE, writeSmallBase } from './package-world.ts';
import { findPodman, openPodman, type Podman } from './podman.ts';

const CACHE = join(import.meta.dirname, '..', '..', '.cache', 'test-images');
const ENVIRONMENT = { ...process.env, UV_CACHE_DIR: join(CACHE, 'uv') };

const registryProgram = findDockerRegistry();
const base = 'skip' in registryProgram ? registryProgram : await debianBaseImage();
const podmanFound = findPodman();

if ('skip' in registryProgram) test('deployment images', { skip: registryProgram.skip }, () => {});
else if ('skip' in base) test('deployment images', { skip: base.skip }, () => {});
else deploymentSuite(registryProgram.command, base);

function deploymentSuite(registryCommand: string, debian: BaseImage): void {
  let running: RunningRegistry;
  let baseImage: string;
  let podman: Podman | undefined;
  /** By digest. */
  let composed: string;

  before(async () => {
    running = await startDockerRegistry(registryCommand);
    baseImage = await pushBaseImage(debian, new DistributionRegistry(running.host, { fetch }));
    if (podmanFound.skip === undefined) podman = await openPodman();
  });
  after(async () => {
    await running.stop();
    await podman?.close();
  });

  const project = async (folder: string) => {
    const sourceDirectory = join(folder, 'source');
    await mkdir(join(sourceDirectory, 'lib'), { recursive: true });
    await writeFile(join(sourceDirectory, 'score.py'), SCORE);
    await writeFile(join(sourceDirectory, 'lib', 'doubling.py'), 'def double(x):\n    return 2 * x\n');
    await writeFile(join(folder, 'factor.txt'), '1.5');
    const definition = environmentDefinition();
    return {
      sourceDirectory,
      definition: { ...definition, docker: { ...definition.docker, baseImage } },
      models: ['factor'],
    };
  };

  /** Environments are built in one place, and found there by all others. */
  const teamIn = (t: TestContext, prefix: string) =>
    joinTeam(t, `${running.host}/${prefix}`, { environment: ENVIRONMENT, global: `${running.host}/global` });

  const runsAndScores = async (name: string) => {
    assert.ok(podman);
    await podman.run('pull', '--tls-verify=false', name);
    const { address } = await podman.serve(name);
    const answer = await fetch(`${address}/score`, { method: 'POST', body: '{"data": [1, 2]}', headers: JSON_TYPE });
    assert.equal(answer.status, 200, await answer.clone().text());
    assert.deepEqual(await answer.json(), { answer: [3, 6], greeting: 'say "$hello"', uid: 1000 });
  };

  test('an image is composed and pushed for a cluster', async (t) => {
    const { engine, build } = await joinTeam(t, `${running.host}/global`, { environment: ENVIRONMENT });
    const source = await project(engine.home.root);
    await registerModel(engine, { name: 'factor', path: 'factor.txt', cwd: engine.home.root });
    const { image, imageRepository, architecture } = await build(source);
    assert.equal(architecture, source.definition.docker.platform.architecture, 'other nodes are left out');
    assert.equal(imageRepository, `${running.host}/global/images/factor`);
    composed = `${imageRepository}@${image}`;
  });

  test('it is pulled by podman and scores', podmanFound, () => runsAndScores(composed));

  test('it compiles nothing of its packages when it starts', podmanFound, async () => {
    assert.ok(podman);
    const told = await podman.runOnce(
      composed,
      'python -v -c "import azureml_inference_server_http.server.create_app" 2>&1',
    );
    const fromPackages = (line: string) => line.includes('/opt/aksml/environment/');
    const compiled = told.split('\n').filter((line) => /^# code object from (?!.*\.pyc)/.test(line));
    assert.deepEqual(compiled.filter(fromPackages), []);
    const taken = told.split('\n').filter((line) => /^# \S+\.pyc matches /.test(line));
    assert.ok(taken.some(fromPackages), told);
  });

  test('a base image without Python gets one, which runs there', podmanFound, async (t) => {
    const mirror = await mkdtemp(join(tmpdir(), 'aksml-mirror-'));
    t.after(() => rm(mirror, { recursive: true, force: true }));
    const bare = await makeBareBase(new DistributionRegistry(running.host, { fetch }), baseImage, mirror);
    const environment: Record<string, string | undefined> = { ...ENVIRONMENT, UV_PYTHON_DOWNLOADS: 'never' };
    const { engine, build } = await joinTeam(t, `${running.host}/bare-team`, { environment });
    const source = await project(engine.home.root);
    const definition = {
      ...source.definition,
      docker: { ...source.definition.docker, baseImage: bare.image },
      python: {
        userManagedDependencies: false,
        condaDependencies: { channels: [], dependencies: ['python=3.11'], pip: ['azureml-inference-server-http'] },
      },
    };
    await registerModel(engine, { name: 'factor', path: 'factor.txt', cwd: engine.home.root });
    await assert.rejects(
      build({ ...source, definition }),
      (error) => AksmlError.is(error, 'image.pythonMissing') && /no Python.*uv could not fetch/.test(error.message),
    );
    Object.assign(environment, { UV_PYTHON_DOWNLOADS: 'automatic' }, bare.variables);
    const { image, imageRepository } = await build({ ...source, definition });
    const files = await inspectFiles(engine.registry, 'images/factor', image);
    for (const [path, text] of files) assert.ok(!text.includes(engine.home.root), path);
    assert.ok(files.has('opt/aksml/python/lib/python3.11/__pycache__/ast.cpython-311.pyc'), 'compiled');
    await runsAndScores(`${imageRepository}@${image}`);
  });

  test('probes are answered while init() and while a scoring call lasts', podmanFound, async (t) => {
    const gate = await openGate();
    t.after(() => gate.close());
    const { engine, build } = await teamIn(t, 'probes');
    const source = await project(engine.home.root);
    await writeFile(join(source.sourceDirectory, 'score.py'), WAITING_SCRIPT(gate.address));
    const { image, imageRepository } = await build({ ...source, models: [] });
    const name = `${imageRepository}@${image}`;
    assert.ok(podman);
    await podman.run('pull', '--tls-verify=false', name);
    const { address, health } = await podman.serve(name, 'live');
    const status = async (route: string) => (await fetch(`${health}${route}`)).status;
    for (const worker of [1, 2]) {
      const letInitEnd = await gate.arrival('/init');
      assert.deepEqual([await status('/live'), await status('/ready')], [200, 503], `worker ${worker} is in init()`);
      letInitEnd();
    }
    let asked = 1;
    while ((await status('/ready')) !== 200) asked += 1;
    assert.ok(asked < 10, `a probe waits for init(), ${asked} did not`);
    const calls = [1, 2].map(() => fetch(`${address}/score`, { method: 'POST', body: '{}', headers: JSON_TYPE }));
    const letRunEnd = [await gate.arrival('/run'), await gate.arrival('/run')];
    assert.deepEqual([await status('/live'), await status('/ready')], [200, 200], 'every worker is busy');
    for (const end of letRunEnd) end();
    for (const answer of await Promise.all(calls)) assert.equal(answer.status, 200);
  });

  test('a second deploy builds and uploads nothing, and changed code uploads the code alone', async (t) => {
    const { engine, build, requests } = await teamIn(t, 'again');
    const source = await project(engine.home.root);
    await registerModel(engine, { name: 'factor', path: 'factor.txt', cwd: engine.home.root });
    const first = await build(source);
    const [environment] = first.events.filter((event) => event.type === 'done' && event.stage === 'environment');
    assert.match(JSON.stringify(environment), /found in 127\.0\.0\.1:\d+\/global/);
    assert.deepEqual(reusedStages(first.events), ['environment', 'models']);

    const same = await build(source);
    assert.equal(same.image, first.image);
    assert.equal(same.revisionDigest, first.revisionDigest);
    assert.deepEqual(reusedStages(same.events), ['environment', 'image', 'models', 'snapshot']);
    assert.deepEqual(uploads(requests()), []);

    await writeFile(join(source.sourceDirectory, 'score.py'), `${SCORE}\n# changed\n`);
    const changed = await build(source, { formerImage: same.image });
    assert.notEqual(changed.image, first.image);
    const looks = requests().filter((request) => request.startsWith('HEAD '));
    assert.ok(!looks.some((request) => request.endsWith(`${changed.revision.code?.digest}`)), looks.join(', '));
    assert.deepEqual(reusedStages(changed.events), ['environment', 'models']);
    const [pushed] = changed.events.flatMap((event) =>
      event.type === 'done' && event.stage === 'image' ? [event] : [],
    );
    assert.match(pushed?.detail ?? '', /, \d{1,2} kB sent, \d+ of \d+ layers reused$/);
  });

  test('what the global registry of a workspace has is taken over from there, not built', async (t) => {
    const own = await startDockerRegistry(registryCommand);
    t.after(() => own.stop());
    const [registry, globalRegistry] = [`${own.host}/team`, `${running.host}/global`];
    const { engine, build } = await joinTeam(t, registry, { environment: ENVIRONMENT, global: globalRegistry });
    await createWorkspace(engine.home, { name: 'team', registry, globalRegistry }, registryOpener({}));
    const session = await openSession({
      home: engine.home,
      environment: {},
      version: engine.version,
      supervisorCommand: [],
      workspace: { projectFolder: engine.home.root, name: 'team' },
    });
    const store = await (await session.engine()).images?.();
    assert.deepEqual([store?.pullAddress, store?.global?.location], [registry, globalRegistry]);
    const { events } = await build({ ...(await project(engine.home.root)), models: [] });
    const [environment] = events.filter((event) => event.type === 'done' && event.stage === 'environment');
    assert.ok(JSON.stringify(environment).includes(`found in ${globalRegistry}`));
  });

  test('a bill of materials is attached to the image, and names packages, models and base', async (t) => {
    const { engine, build } = await teamIn(t, 'bill');
    const source = await project(engine.home.root);
    const { model } = await registerModel(engine, { name: 'factor', path: 'factor.txt', cwd: engine.home.root });
    const { image } = await build(source);
    const repository = 'images/factor';
    const [referrer, ...others] = await engine.registry.listReferrers(repository, image);
    assert.equal(referrer?.artifactType, 'application/vnd.cyclonedx+json');
    assert.deepEqual(others, []);
    const { manifest } = await engine.registry.getManifest(repository, referrer.digest);
    const [document] = manifest.layers;
    assert.ok(document);
    const bill = JSON.parse((await buffer(await engine.registry.getBlob(repository, document.digest))).toString());
    assert.deepEqual([bill.bomFormat, bill.specVersion, bill.metadata.component.version], ['CycloneDX', '1.6', image]);
    const components: { type: string; name: string; purl?: string; hashes?: { content: string }[] }[] = bill.components;
    assert.ok(components.some(({ purl }) => /^pkg:pypi\/azureml-inference-server-http@/.test(purl ?? '')));
    const [billed] = components.filter(({ type }) => type === 'machine-learning-model');
    assert.deepEqual(
      [billed?.name, billed?.hashes?.[0]?.content],
      ['factor', model.treeDigest.slice('sha256:'.length)],
    );
    assert.ok(components.some(({ type, name }) => type === 'container' && name === baseImage));
  });

  test('models and code are put on a container of the user, which starts as it says', podmanFound, async (t) => {
    const { engine, build } = await teamIn(t, 'container');
    const source = await project(engine.home.root);
    await registerModel(engine, { name: 'factor', path: 'factor.txt', cwd: engine.home.root });
    const port = await freePort();
    const routes = { port, scoringRoute: '/', livenessRoute: '/', readinessRoute: '/' };
    const command = ['python3', '-m', 'http.server', '{port}', '--directory', '/var/azureml-app'];
    const code = {
      sourceDirectory: source.sourceDirectory,
      entryScript: 'score.py',
      namedFiles: [],
      environment: { kind: 'inline', definition: source.definition },
    } as const;
    const { image, imageRepository, revision } = await build(source, {
      source: { kind: 'container', container: { image: baseImage, command, ...routes }, code },
    });
    assert.match(revision.container?.image ?? '', /\/debian@sha256:/, 'the image is recorded by its digest');
    const name = `${imageRepository}@${image}`;
    assert.ok(podman);
    await podman.run('pull', '--tls-verify=false', name);
    await podman.run('run', '--detach', '--network', 'host', '--user', '1000', ...LIMITS, name);
    const fetched = async (path: string): Promise<string> => {
      for (;;) {
        const answer = await fetch(`http://127.0.0.1:${port}/${path}`).catch(() => undefined);
        if (answer?.ok) return answer.text();
      }
    };
    assert.equal(await fetched('azureml-models/factor/1/factor.txt'), '1.5');
    assert.equal(await fetched('source/score.py'), SCORE);
  });

  test('a container to which nothing is added is pulled from where it is', async (t) => {
    const { build, requests } = await teamIn(t, 'untouched');
    const routes = { port: 80, scoringRoute: '/', livenessRoute: '/', readinessRoute: '/' };
    const { image, imageRepository } = await build(
      { sourceDirectory: '', definition: environmentDefinition() },
      { source: { kind: 'container', container: { image: baseImage, ...routes } } },
    );
    assert.equal(`${imageRepository}@${image}`, (await resolved(baseImage)).name);
    assert.ok(!requests().some((request) => request.includes('/images/')));
  });

  test('a container for some of the nodes alone runs there', async (t) => {
    const { engine, build } = await teamIn(t, 'some-nodes');
    const image = join(engine.home.root, 'other');
    const other = ARCHITECTURE === 'amd64' ? 'arm64' : 'amd64';
    await writeSmallBase(image, { architecture: other });
    const routes = { port: 80, scoringRoute: '/', livenessRoute: '/', readinessRoute: '/' };
    const source = { kind: 'container', container: { image, ...routes } } as const;
    const cluster = { record: { name: 'west' }, status: { architectures: [ARCHITECTURE, other] } };
    const { found } = await judgeArchitecture(
      engine,
      { configuration: { valid: true }, deployment: source, resolved: { registered: [], paths: [] } },
      cluster as unknown as ClusterFacts,
    );
    await rm(join(image, 'index.json'));
    // What the plan has found is not looked for again.
    const built = await build({ sourceDirectory: '', definition: environmentDefinition() }, { source, ...found });
    assert.equal(built.architecture, other);
    const { nodeSelector } = builtParts(engine, built, [], { nodeSelector: { pool: 'ml' } });
    assert.deepEqual(nodeSelector, { pool: 'ml', 'kubernetes.io/arch': other });
  });

  test('a deploy that is stopped at any request is finished by the next one, and by a teammate', async (t) => {
    const { engine, build, requests } = await teamIn(t, 'whole');
    const source = await project(engine.home.root);
    await registerModel(engine, { name: 'factor', path: 'factor.txt', cwd: engine.home.root });
    const whole = await build(source);
    const total = requests().length;
    assert.ok(total > 20, `${total} requests`);
    for (let stopAt = 1; stopAt < total; stopAt += 6) {
      const prefix = `stopped-${stopAt}`;
      const controller = new AbortController();
      let count = Number.NEGATIVE_INFINITY;
      const stopping = await joinTeam(t, `${running.host}/${prefix}`, {
        environment: ENVIRONMENT,
        global: `${running.host}/global`,
        onRequest: () => {
          count += 1;
          if (count === stopAt) controller.abort();
        },
      });
      await registerModel(stopping.engine, { name: 'factor', path: 'factor.txt', cwd: engine.home.root });
      count = 0;
      await assert.rejects(stopping.build(source, {}, controller.signal), (error) => AksmlError.isCancelled(error));
      const other = await teamIn(t, prefix);
      for (const next of [stopping, other]) {
        const { image, revision } = await next.build(source);
        assert.deepEqual([image, revision.number], [whole.image, 1], `stopped at request ${stopAt}`);
        const attached = await next.engine.registry.listReferrers('images/factor', image);
        assert.equal(attached.length, 1, `stopped at request ${stopAt}`);
      }
    }
  });

  test('content that somebody removed from the registry is made again', async (t) => {
    const { engine, build } = await teamIn(t, 'removed');
    const source = await project(engine.home.root);
    await registerModel(engine, { name: 'factor', path: 'factor.txt', cwd: engine.home.root });
    const first = await build(source);
    const { manifest } = await engine.registry.getManifest('images/factor', first.image);
    await engine.registry.deleteManifest('images/factor', first.image);
    for (const layer of manifest.layers) {
      for (const repository of ['images/factor', 'environment-images'])
        await removeBlob(running.host, 'removed', repository, layer.digest);
    }
    const second = await build(source);
    assert.equal(second.image, first.image);
    await engine.registry.getManifest('images/factor', second.image);
  });

  test('a teammate on another machine finds the environment, and composes the same image', async (t) => {
    const [ann, ben] = await Promise.all([1, 2].map(() => teamIn(t, 'team')));
    assert.ok(ann && ben);
    const source = await project(ann.engine.home.root);
    await registerModel(ann.engine, { name: 'factor', path: 'factor.txt', cwd: ann.engine.home.root });
    const first = await ann.build(source);
    const second = await ben.build(await project(ben.engine.home.root));
    assert.equal(second.image, first.image);
    assert.equal(second.revisionDigest, first.revisionDigest);
    assert.deepEqual(
      uploads(ben.requests()).filter((request) => !request.includes('/snapshots/')),
      [],
    );
  });
}

const LIMITS = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];

/** An image's name with its digest instead of its tag. */
async function resolved(name: string): Promise<{ readonly name: string }> {
  const [, host = '', repository = '', tag = ''] = /^([^/]+)\/(.+):([^:/]+)$/.exec(name) ?? [];
  const { descriptor } = await new DistributionRegistry(host, { fetch }).getManifest(repository, tag);
  return { name: `${host}/${repository}@${descriptor.digest}` };
}

/** As an administrator or a retention rule does. */
async function removeBlob(host: string, prefix: string, repository: string, digest: string): Promise<void> {
  const response = await fetch(`http://${host}/v2/${prefix}/${repository}/blobs/${digest}`, { method: 'DELETE' });
  await response.body?.cancel();
}

const JSON_TYPE = { 'content-type': 'application/json' };

function reusedStages(events: readonly ProgressEvent[]): string[] {
  return events.flatMap((event) => (event.type === 'done' && event.reused ? [event.stage] : [])).sort();
}

/** Requests that send content. Manifests are sent again, to tag what is there. */
function uploads(requests: readonly string[]): string[] {
  return requests.filter((request) => /^(?:POST|PATCH|PUT) /.test(request) && !request.includes('/manifests/'));
}

/** A script that waits for leave to end init() and run(). */
const WAITING_SCRIPT = (address: string): string => `
import urllib.request

def init():
    urllib.request.urlopen("${address}/init").read()

def run(data):
    urllib.request.urlopen("${address}/run").read()
    return "done"
`;

/** A server that holds its answers back: `arrival` waits for a request, and returns what lets it end. */
async function openGate(): Promise<{
  readonly address: string;
  arrival(path: string): Promise<() => void>;
  close(): Promise<void>;
}> {
  const waiting: { readonly path: string; readonly end: () => void }[] = [];
  const changed = new EventEmitter();
  const server = createServer((request, response) => {
    waiting.push({ path: request.url ?? '', end: () => response.end() });
    changed.emit('arrival');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return {
    address: `http://127.0.0.1:${address.port}`,
    arrival: async (path) => {
      for (;;) {
        const index = waiting.findIndex((request) => request.path === path);
        const [found] = index === -1 ? [] : waiting.splice(index, 1);
        if (found) return found.end;
        await once(changed, 'arrival');
      }
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
