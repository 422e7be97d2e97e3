import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControllerOptions } from '../../src/cluster/controller/controller.ts';
import { endpointDefinition } from '../../src/cluster/crd.ts';
import { CLUSTER_RULES, NAMESPACE_RULES } from '../../src/cluster/manifests.ts';
import { type KubeClient, openKube } from '../../src/kube/kube.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import {
  CONTROLLER_REVISIONS,
  CUSTOM_RESOURCE_DEFINITIONS,
  DEPLOYMENTS,
  ENDPOINTS,
  NAMESPACES,
  NETWORK_POLICIES,
  POD_DISRUPTION_BUDGETS,
  PODS,
  type Pod,
  type Resource,
  type Role,
  SECRETS,
  SERVICE_ACCOUNTS,
  SERVICES,
  type StoredEndpoint,
} from '../../src/kube/resource.ts';
import type { KubeRequest } from '../../src/kube/transport.ts';
import { type ApiProxy, type ApiRequest, type Fault, openApiProxy } from './api-proxy.ts';
import { type ControlPlane, openControlPlane, whyNoControlPlane } from './control-plane.ts';
import {
  controllerClient,
  endpointOf,
  grant,
  installDefinition,
  NOBODY,
  type RunningController,
  runController,
  type Wish,
} from './controller-world.ts';
import { eventually } from './world.ts';

const skip = whyNoControlPlane() ?? false;

/** What the controller makes for one endpoint. */
const KINDS: readonly Resource<KubeObject>[] = [
  DEPLOYMENTS,
  SERVICES,
  POD_DISRUPTION_BUDGETS,
  SERVICE_ACCOUNTS,
  NETWORK_POLICIES,
  SECRETS,
  CONTROLLER_REVISIONS,
];

/** A killed leader's term ends soon. */
const TERMS = { leaseMs: 1_000, renewMs: 700, retryMs: 100 };

describe('the controller with an API server of its own', { skip }, () => {
  let plane: ControlPlane;
  let kube: KubeClient;
  const ends: (() => Promise<void>)[] = [];
  const started: RunningController[] = [];
  const ending = { after: (work: () => Promise<void>) => void ends.unshift(work) };

  before(async () => {
    plane = await openControlPlane(ending);
    kube = await openKube({ paths: [plane.kubeconfig] }, NOBODY);
    ending.after(() => kube.close());
    await installDefinition(kube);
  });
  // Those of the tests before would contend for the machine with a term that is short.
  afterEach(() => Promise.all(started.splice(0).map((running) => running.stop())));
  after(async () => {
    for (const end of ends) await end();
  });

  test('killed at its k-th write, for every k, the next one makes the same objects', async () => {
    const expected = await objectsAfter(undefined);
    assert.equal(expected.length, 10);
    for (const kind of ['drop', 'lose'] as const) {
      let k = 1;
      for (; ; k += 1) {
        const found = await objectsAfter({ k, kind });
        if (found === undefined) break;
        assert.deepEqual(found, expected, `killed at write ${k} (${kind})`);
      }
      // Ten objects, what routers are told, their secret, and a status; a second status where its objects were seen late.
      assert.ok(k === 14 || k === 15, `${k - 1} writes`);
    }

    async function objectsAfter(kill: undefined): Promise<readonly unknown[]>;
    async function objectsAfter(kill: {
      readonly k: number;
      readonly kind: 'drop' | 'lose';
    }): Promise<readonly unknown[] | undefined>;
    async function objectsAfter(kill: { readonly k: number; readonly kind: 'drop' | 'lose' } | undefined) {
      const namespace = await newNamespace();
      await put(namespace, twoVersions('web'));
      if (kill) {
        const proxy = await openProxy(namespace);
        const killed = Promise.withResolvers<void>();
        let writes = 0;
        let dead = false;
        proxy.judge = (request): Fault | undefined => {
          if (dead) return { kind: 'drop' };
          if (isAside(request) || request.write === 0) return undefined;
          writes += 1;
          if (writes < kill.k) return undefined;
          dead = true;
          killed.resolve();
          return { kind: kill.kind };
        };
        const victim = await start(namespace, { kube: await clientOf(namespace, proxy) });
        const outcome = await Promise.race([
          killed.promise.then(() => 'killed'),
          untilReconciled(namespace, 'web').then(() => 'done'),
        ]);
        // With `lose`, the last write of all is the one that tells that it is done.
        if (outcome === 'done' && !dead) return undefined;
        dead = true;
        await victim.stop();
      }
      const next = await start(namespace);
      await untilReconciled(namespace, 'web');
      await next.stop();
      return await objectsIn(namespace);
    }
  });

  test('two that both lead do each other no harm, and come to rest', async () => {
    const namespace = await newNamespace();
    const proxies = [await openProxy(namespace), await openProxy(namespace)];
    for (const proxy of proxies) {
      // Each with a Lease of its own, as if the other did not exist.
      const systemNamespace = await newNamespace();
      await grant(kube, namespace, [...NAMESPACE_RULES]);
      const client = await clientOf(namespace, proxy);
      await allowLeases(systemNamespace, namespace);
      await start(namespace, { kube: client, systemNamespace });
    }
    const names = Array.from({ length: 8 }, (_, index) => `web-${index}`);
    for (const percentile of [10, 20, 30]) {
      await Promise.all(names.map((name) => put(namespace, twoVersions(name, percentile))));
    }
    for (const name of names) await untilReconciled(namespace, name);
    const { items } = await kube.list(CONTROLLER_REVISIONS, { namespace });
    assert.equal(items.length, 3 * names.length);
    const deployments = await kube.list(DEPLOYMENTS, { namespace });
    assert.equal(deployments.items.length, 2 * names.length);

    let marker = 0;
    await eventually('neither writes anything of what is done', async () => {
      const before = proxies.map(({ requests }) => requests.length);
      marker += 1;
      await put(namespace, twoVersions(`last-${marker}`));
      await untilReconciled(namespace, `last-${marker}`);
      const since = proxies.flatMap((proxy, index) => writesSince(proxy, before[index] ?? 0));
      return since.every(({ path }) => !path.includes('/web-'));
    });
  });

  test('a leader that was paused writes nothing stale', async () => {
    const namespace = await newNamespace();
    const client = await clientOf(namespace);
    const gate = pausable(client);
    const paused = await start(namespace, { kube: client });
    await put(namespace, twoVersions('web', 10));
    await untilReconciled(namespace, 'web');

    // It has seen the change and is about to write when it falls asleep.
    gate.pause();
    const changed = twoVersions('web', 10, { cpu: 0.2 });
    await put(namespace, changed);
    await gate.reached;
    await start(namespace);
    await untilReconciled(namespace, 'web');
    await put(namespace, twoVersions('web', 10, { cpu: 0.3 }));
    await untilReconciled(namespace, 'web');
    const expected = await objectsIn(namespace);
    const seen = await versionsIn(namespace);

    const answers = gate.wake();
    assert.ok(
      (await answers).every((answer) => answer === 'refused'),
      JSON.stringify(await answers),
    );
    assert.deepEqual(await objectsIn(namespace), expected);
    assert.deepEqual(await versionsIn(namespace), seen);
    await eventually('it knows that it leads no more', async () => !paused.controller.leading);
  });

  test('after the API server was away for a minute, what was asked for before and since is done', async () => {
    const namespace = await newNamespace();
    const { log, controller } = await start(namespace);
    await put(namespace, twoVersions('before'));
    await untilReconciled(namespace, 'before');
    await put(namespace, twoVersions('during'));
    await plane.stopApiServer();
    const away = sleep(60_000);
    await eventually(
      'the controller has noticed',
      async () => log.some(({ level }) => level === 'warn') && !controller.leading,
    );
    await away;
    await plane.startApiServer();
    await untilReconciled(namespace, 'during');
    await put(namespace, twoVersions('after'));
    await untilReconciled(namespace, 'after');
    await put(namespace, twoVersions('before', 50));
    await untilReconciled(namespace, 'before');
  });

  for (const { group, resource, verb } of writtenRights()) {
    test(`without the right to ${verb} ${resource} it says so, and goes on once it has it`, async () => {
      const namespace = await newNamespace();
      const running = await start(namespace);
      await put(namespace, twoVersions('old'));
      await untilReconciled(namespace, 'old');
      await grant(
        kube,
        namespace,
        without(NAMESPACE_RULES, group, resource, verb),
        without(CLUSTER_RULES, group, resource, verb),
      );
      const said = new RegExp(`cannot ${verb} resource "${resource}"`);
      const begun = running.log.length;
      await provoke(namespace, resource, verb);
      await eventually('the missing right is named', async () => {
        const endpoints = await kube.list(ENDPOINTS, { namespace });
        const conditions = endpoints.items.flatMap(({ status }) => status?.conditions ?? []);
        return (
          conditions.some(({ status, message }) => status === 'False' && said.test(message)) ||
          running.log.slice(begun).some(({ message }) => said.test(message))
        );
      });
      await grant(kube, namespace);
      await eventually('everything is done', async () => {
        const endpoints = await kube.list(ENDPOINTS, { namespace });
        return endpoints.items.every(isReconciled);
      });
      await put(namespace, twoVersions('new'));
      await untilReconciled(namespace, 'new');
    });
  }

  for (const { group, resource, verb } of readRights()) {
    test(`without the right to ${verb} ${resource} it says so from its start, and goes on once it has it`, async () => {
      const namespace = await newNamespace();
      await grant(
        kube,
        namespace,
        without(NAMESPACE_RULES, group, resource, verb),
        without(CLUSTER_RULES, group, resource, verb),
      );
      await put(namespace, twoVersions('web'));
      const { log, controller } = await start(namespace);
      const said = new RegExp(`cannot ${verb} resource "${resource}"`);
      await eventually('the missing right is named', async () => log.some(({ message }) => said.test(message)));
      if (verb === 'list' || verb === 'watch') assert.ok(!controller.ready);
      await grant(kube, namespace);
      await untilReconciled(namespace, 'web');
      await eventually('it is ready', async () => controller.ready);
    });
  }

  test('a custom resource of an older aksml does not keep it from serving', async () => {
    const namespace = await newNamespace();
    await kube.apply(CUSTOM_RESOURCE_DEFINITIONS, olderDefinition(), { fieldManager: 'aksml', force: true });
    ending.after(() => installDefinition(kube).catch(() => undefined));
    await eventually('the older one is in force', async () => {
      const attempt = kube.create(
        ENDPOINTS,
        { ...endpointOf(twoVersions('probe'), namespace), status: { defaultVersion: 'x' } as never },
        { fieldManager: 'test', dryRun: true },
      );
      return attempt.then(
        () => false,
        (error) => /unknown field "status.defaultVersion"/.test(String(error)),
      );
    });
    const proxy = await openProxy(namespace);
    await start(namespace, { kube: await clientOf(namespace, proxy) });
    await put(namespace, twoVersions('web'));
    await eventually(
      'it says how the endpoint stands',
      async () => (await find(namespace, 'web'))?.status?.state === 'Transitioning',
    );
    const statusWrites = () =>
      proxy.requests.filter(({ path, write }) => write > 0 && path.endsWith('/web/status')).length;
    const before = statusWrites();
    await put(namespace, twoVersions('other'));
    await eventually(
      'the other one stands, too',
      async () => (await find(namespace, 'other'))?.status?.state === 'Transitioning',
    );
    assert.ok(statusWrites() - before <= 1, 'what the older one drops is not written again and again');
    await installDefinition(kube);
    await put(namespace, twoVersions('web', 50));
    await untilReconciled(namespace, 'web');
  });

  async function newNamespace(): Promise<string> {
    const name = `test-${randomBytes(4).toString('hex')}`;
    await kube.create(NAMESPACES, { metadata: { name } }, { fieldManager: 'test' });
    await grant(kube, name);
    return name;
  }

  function openProxy(namespace: string): Promise<ApiProxy> {
    return openApiProxy(ending, { kubeconfig: plane.kubeconfig, namespace, home: join(plane.folder, 'home') });
  }

  async function clientOf(namespace: string, proxy?: ApiProxy): Promise<KubeClient> {
    const through =
      proxy === undefined ? undefined : (await openKube({ paths: [proxy.kubeconfig] }, NOBODY)).transport.server.origin;
    const client = await controllerClient(kube, namespace, through);
    ending.after(() => client.close());
    return client;
  }

  async function start(namespace: string, options: Partial<ControllerOptions> = {}): Promise<RunningController> {
    const client = options.kube ?? (await clientOf(namespace));
    const running = runController({
      namespaces: [namespace],
      systemNamespace: namespace,
      ...TERMS,
      ...options,
      kube: client,
    });
    started.push(running);
    return running;
  }

  function put(namespace: string, wish: Wish): Promise<StoredEndpoint> {
    return kube.apply(ENDPOINTS, endpointOf(wish, namespace), { fieldManager: 'kubectl', force: true });
  }

  function find(namespace: string, name: string): Promise<StoredEndpoint | undefined> {
    return kube.find(ENDPOINTS, { namespace, name });
  }

  async function untilReconciled(namespace: string, name: string): Promise<void> {
    await eventually(
      `${name} is reconciled`,
      async () => {
        const endpoint = await find(namespace, name);
        return endpoint !== undefined && isReconciled(endpoint);
      },
      { describe: () => find(namespace, name) },
    );
  }

  async function allowLeases(systemNamespace: string, subjectNamespace: string): Promise<void> {
    const roles = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      plural: 'rolebindings',
      namespaced: true,
    };
    const binding = {
      metadata: { name: 'other', namespace: systemNamespace },
      subjects: [{ kind: 'ServiceAccount', name: 'controller', namespace: subjectNamespace }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'controller' },
    };
    await kube.create<KubeObject>(roles, binding, { fieldManager: 'test' });
  }

  /** What is left when all is told that must differ from one namespace to the next. */
  async function objectsIn(namespace: string): Promise<readonly unknown[]> {
    const lists = await Promise.all(
      KINDS.map(async (kind) => (await kube.list(kind, { namespace, labelSelector: 'aksml.dev/endpoint=web' })).items),
    );
    return lists.flat().map((object) => comparable(object, namespace));
  }

  async function versionsIn(namespace: string): Promise<readonly (string | undefined)[]> {
    const lists = await Promise.all(
      [...KINDS, ENDPOINTS].map(async (kind: Resource<KubeObject>) => (await kube.list(kind, { namespace })).items),
    );
    return lists
      .flat()
      .map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`)
      .filter((text) => !text.startsWith('controller'));
  }

  /** Does what needs a right. */
  async function provoke(namespace: string, resource: string, verb: string): Promise<void> {
    const kind = KINDS.find(({ plural }) => plural === resource);
    if (resource === 'pods/log' || (resource === 'events' && verb === 'list'))
      await addPod(namespace, resource === 'events');
    else if (resource.startsWith('endpoints/')) await put(namespace, twoVersions('new'));
    else if (verb === 'create') await put(namespace, twoVersions('new'));
    else if (verb === 'delete') await put(namespace, oneVersion('old'));
    else if (kind !== undefined) {
      const { items } = await kube.list(kind, { namespace, labelSelector: 'aksml.dev/endpoint=old' });
      const [object] = items;
      assert.ok(object);
      // Without the label the object is out of sight, and must be asked for.
      const metadata =
        verb === 'get'
          ? { labels: { 'app.kubernetes.io/managed-by': null } }
          : { annotations: { 'aksml.dev/wanted': 'x' } };
      await kube.patch(kind, object.metadata, { metadata }, { fieldManager: 'test' });
    }
  }

  /** As the kubelet and the scheduler, which are not there, would leave it. */
  async function addPod(namespace: string, unscheduled: boolean): Promise<void> {
    const deployment = await kube.get(DEPLOYMENTS, { namespace, name: 'old.main' });
    const { template } = deployment.spec ?? {};
    assert.ok(template?.spec);
    const pod: Pod = {
      metadata: { ...template.metadata, name: 'pod', namespace },
      spec: { ...template.spec, serviceAccountName: 'default', ...(unscheduled ? {} : { nodeName: 'nowhere' }) },
    };
    await kube
      .create(SERVICE_ACCOUNTS, { metadata: { name: 'default', namespace } }, { fieldManager: 'test' })
      .catch(() => undefined);
    await kube.create(PODS, pod, { fieldManager: 'test' });
    const time = new Date().toISOString();
    const status = unscheduled
      ? {
          conditions: [
            {
              type: 'PodScheduled',
              status: 'False',
              reason: 'Unschedulable',
              message: '0/0 nodes',
              lastTransitionTime: time,
            },
          ],
        }
      : {
          containerStatuses: [
            {
              name: 'scoring',
              image: 'x',
              imageID: '',
              ready: false,
              restartCount: 1,
              state: { waiting: { reason: 'CrashLoopBackOff' } },
              lastState: { terminated: { exitCode: 3, reason: 'Error', message: 'ValueError: x', finishedAt: time } },
            },
          ],
        };
    await kube.patch(PODS, { namespace, name: 'pod' }, { status }, { fieldManager: 'test', subresource: 'status' });
  }
});

function isReconciled({ metadata, status }: StoredEndpoint): boolean {
  const condition = status?.conditions?.find(({ type }) => type === 'Reconciled');
  return status?.observedGeneration === metadata.generation && condition?.status === 'True';
}

function twoVersions(name: string, trafficPercentile = 10, resources: { readonly cpu?: number } = {}): Wish {
  const version = {
    image: `sha256:${'0'.repeat(64)}`,
    imageRepository: 'registry.example/x',
    resources: { cpu: 0.1, memoryInGB: 0.5, gpu: 0, ...resources },
    scale: { kind: 'fixed', replicas: 1 },
  };
  const versions = [
    { name: 'main', isDefault: true, ...version },
    { name: 'next', isDefault: false, trafficPercentile, ...version },
  ];
  return { name, spec: { form: 'endpoint', versions } };
}

function oneVersion(name: string): Wish {
  const { spec } = twoVersions(name);
  return { name, spec: { ...spec, versions: (spec['versions'] as readonly unknown[]).slice(0, 1) } };
}

/** Neither makes anything of an endpoint. */
function isAside({ path }: ApiRequest): boolean {
  return path.includes('/leases') || path.endsWith('/events');
}

function writesSince(proxy: ApiProxy, index: number): readonly ApiRequest[] {
  return proxy.requests.slice(index).filter((request) => request.write > 0 && !isAside(request));
}

/** Holds writes back until it is woken; tells then what became of those that were held. */
function pausable(client: KubeClient) {
  const { transport } = client;
  const send = transport.send.bind(transport);
  const reached = Promise.withResolvers<void>();
  let gate: PromiseWithResolvers<void> | undefined;
  const held: Promise<'done' | 'refused'>[] = [];
  transport.send = async (request: KubeRequest) => {
    const pausing = gate;
    // Its sleep stops everything: neither the watch nor the Lease is read meanwhile.
    if (pausing === undefined) return send(request);
    const writes = request.method !== 'GET' && !/leases|events$/.test(request.path);
    const { signal: _stopped, ...unstoppable } = request;
    const answer = pausing.promise.then(() => send(writes ? unstoppable : request));
    if (writes) {
      held.push(
        answer.then(
          () => 'done',
          () => 'refused',
        ),
      );
      reached.resolve();
    }
    return answer;
  };
  return {
    reached: reached.promise,
    pause: () => {
      gate = Promise.withResolvers();
    },
    wake: () => {
      gate?.resolve();
      gate = undefined;
      return Promise.all(held);
    },
  };
}

/** Without what the API server makes up. */
function comparable(object: KubeObject, namespace: string): unknown {
  const {
    managedFields: _m,
    resourceVersion: _r,
    uid: _u,
    creationTimestamp: _c,
    generation: _g,
    ...metadata
  } = object.metadata;
  const ofSecret = 'data' in object && 'type' in object ? { data: Object.keys(Object(object.data)) } : {};
  // A hash of all that, with what differs.
  const annotations = { ...metadata.annotations, 'aksml.dev/wanted': '' };
  const text = JSON.stringify({ ...object, ...ofSecret, metadata: { ...metadata, annotations }, status: undefined });
  const owner = object.metadata.ownerReferences?.[0]?.uid ?? '';
  return JSON.parse(
    text.replaceAll(owner, 'UID').replaceAll(owner.slice(0, 8), 'UID').replaceAll(namespace, 'NAMESPACE'),
  );
}

type Rules = NonNullable<Role['rules']>;

interface Right {
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
}

function rightsOf(rules: Rules): Right[] {
  return rules.flatMap(({ apiGroups = [], resources = [], verbs }) =>
    apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => ({ group, resource, verb })))),
  );
}

function readRights(): Right[] {
  const rights = rightsOf([...CLUSTER_RULES, ...NAMESPACE_RULES]);
  return rights.filter(({ resource, verb }) => (verb === 'list' || verb === 'watch') && resource !== 'events');
}

/** `endpoints/finalizers` is asked for only where an admission plugin is on, `get endpoints` never. */
function writtenRights(): Right[] {
  const rights = rightsOf([...CLUSTER_RULES, ...NAMESPACE_RULES]);
  const read = new Set(readRights().map((right) => JSON.stringify(right)));
  return rights.filter(
    (right) => !read.has(JSON.stringify(right)) && !['endpoints', 'endpoints/finalizers'].includes(right.resource),
  );
}

function without(rules: Rules, group: string, resource: string, verb: string): Rules {
  return rules
    .map((rule) =>
      rule.apiGroups?.includes(group) && rule.resources?.includes(resource)
        ? { ...rule, verbs: rule.verbs.filter((candidate) => candidate !== verb) }
        : rule,
    )
    .filter(({ verbs }) => verbs.length > 0);
}

/** One that does not know yet what newer controllers say. */
function olderDefinition() {
  const text = JSON.stringify(endpointDefinition('0.0.1'));
  const definition: ReturnType<typeof endpointDefinition> = JSON.parse(text);
  const status = JSON.parse(text).spec.versions[0].schema.openAPIV3Schema.properties.status.properties;
  for (const member of ['conditions', 'defaultVersion', 'replicas', 'versionNames']) delete status[member];
  const versions: { schema: { openAPIV3Schema: { properties: { status: { properties: unknown } } } } }[] =
    JSON.parse(text).spec.versions;
  const [version] = versions;
  if (version) version.schema.openAPIV3Schema.properties.status.properties = status;
  return { ...definition, spec: { ...definition.spec, versions } };
}
