import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openHome } from '../../src/home/home.ts';
import { type ExecRequest, rememberedConsent } from '../../src/kube/exec-plugin.ts';
import { openKube } from '../../src/kube/kube.ts';
import { listContexts, parseKubeconfig, readKubeconfig } from '../../src/kube/kubeconfig.ts';

const CONFIG = {
  'current-context': 'one',
  clusters: [
    {
      name: 'a',
      cluster: { server: 'https://a.example', 'certificate-authority-data': 'Y2E=', 'tls-server-name': 'api' },
    },
    { name: 'b', cluster: { server: 'https://b.example', 'certificate-authority': 'ca.crt' } },
  ],
  users: [
    { name: 'u', user: { token: 't' } },
    { name: 'other', user: { as: 'somebody' } },
  ],
  contexts: [
    { name: 'one', context: { cluster: 'a', user: 'u', namespace: 'team' } },
    { name: 'two', context: { cluster: 'b', user: 'u' } },
    { name: 'acts', context: { cluster: 'a', user: 'other' } },
    { name: 'lost', context: { cluster: 'nowhere', user: 'u' } },
  ],
};

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'aksml-kubeconfig-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

test('a context names its cluster, user and namespace, and files beside the kubeconfig', async (t) => {
  const path = join(await folder(t), 'config');
  await writeFile(path, JSON.stringify(CONFIG));
  const one = await readKubeconfig({ paths: [path] });
  assert.deepEqual(
    [one.name, one.namespace, one.cluster.server, one.user.token],
    ['one', 'team', 'https://a.example', 't'],
  );
  assert.deepEqual(one.cluster.certificateAuthority, { data: 'Y2E=' });
  const two = await readKubeconfig({ paths: [path], context: 'two' });
  assert.deepEqual(two.cluster.certificateAuthority, { file: join(path, '..', 'ca.crt') });
  assert.deepEqual(await listContexts([path]), { current: 'one', names: ['one', 'two', 'acts', 'lost'] });
});

const REFUSED: readonly (readonly [what: string, content: string, context: string | undefined, refusal: RegExp])[] = [
  ['nothing', '', undefined, /it is empty/],
  ['no YAML', '{', undefined, /not valid YAML/],
  ['no current context', '{"contexts": []}', undefined, /no current context/],
  ['an unknown context', JSON.stringify(CONFIG), 'three', /no context "three"/],
  ['an unknown cluster', JSON.stringify(CONFIG), 'lost', /cluster "nowhere" .* is not in it/],
  ['impersonation, instead of acting as oneself', JSON.stringify(CONFIG), 'acts', /acts as somebody else/],
  [
    'a relative file of a kubeconfig that is text',
    JSON.stringify(CONFIG),
    'two',
    /relative to a folder that is not known/,
  ],
];
for (const [what, content, context, refusal] of REFUSED) {
  test(`a kubeconfig is refused for ${what}`, async () => {
    await assert.rejects(parseKubeconfig(content, context), refusal);
  });
}

test('a program that hands out credentials runs after consent only, which is remembered for that program, its arguments and settings', async (t) => {
  const world = await loginWorld(t);
  const asked: ExecRequest[] = [];
  const consent = rememberedConsent(world.home, async (request) => {
    asked.push(request);
    return asked.length > 1;
  });
  await assert.rejects(world.ask({ consent }), /was not agreed to/);
  assert.equal(await world.runs(), 0);
  await world.ask({ consent });
  await world.ask({ consent });
  assert.equal(asked.length, 2);
  await world.ask({ consent, args: ['other'] });
  assert.equal(asked.length, 3);
  assert.deepEqual(asked.at(-1)?.args, ['other']);
  await world.ask({ consent, env: [{ name: 'HTTPS_PROXY', value: 'http://a' }] });
  await world.ask({ consent, env: [{ name: 'HTTPS_PROXY', value: 'http://b' }] });
  assert.equal(asked.length, 5);
  assert.deepEqual(asked.at(-1)?.variables, ['HTTPS_PROXY']);
  assert.equal(asked.at(-1)?.command, join(world.bin, 'login'));
});

test('a program that the project brings along never runs', async (t) => {
  const world = await loginWorld(t);
  const consent = async () => true;
  await assert.rejects(world.ask({ consent, command: './login' }), /from a folder that depends on where you are/);
  await assert.rejects(world.ask({ consent, untrustedFolders: [world.bin] }), /lies in the project's folder/);
  await assert.rejects(world.ask({ consent, command: 'nowhere-to-be-found' }), /it is not installed/);
  assert.equal(await world.runs(), 0);
});

test('credentials that the server refuses are asked for anew, once', async (t) => {
  const world = await loginWorld(t);
  await world.ask({ consent: async () => true, accepts: 'token-2' });
  assert.equal(await world.runs(), 2);
  await assert.rejects(world.ask({ consent: async () => true, accepts: 'none' }), /does not know who you are/);
  assert.equal(await world.runs(), 4);
});

/** A server that wants a token, and a program that hands out another one at each run. */
async function loginWorld(t: TestContext) {
  const root = await folder(t);
  const bin = join(root, 'bin');
  const count = join(root, 'count');
  await mkdir(bin);
  const script = `#!/bin/sh\necho x >> ${count}\nprintf '{"status": {"token": "token-%s"}}' $(wc -l < ${count})\n`;
  await writeFile(join(bin, 'login'), script);
  await chmod(join(bin, 'login'), 0o755);
  let accepted: string | undefined;
  const server = createServer((request, response) => {
    const token = request.headers.authorization;
    const good = accepted === undefined ? token?.startsWith('Bearer token-') : token === `Bearer ${accepted}`;
    response.writeHead(good ? 200 : 401, { 'content-type': 'application/json' }).end('{"gitVersion": "v1"}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return {
    bin,
    home: openHome({ AKSML_HOME: join(root, 'home') }),
    runs: async () => (await readFile(count, 'utf8').catch(() => '')).length / 2,
    async ask(options: {
      readonly consent: (request: ExecRequest) => Promise<boolean>;
      readonly command?: string;
      readonly args?: readonly string[];
      readonly env?: readonly { readonly name: string; readonly value: string }[];
      readonly untrustedFolders?: readonly string[];
      readonly accepts?: string;
    }) {
      accepted = options.accepts;
      const { command = 'login', args = [], env = [] } = options;
      const exec = { apiVersion: 'client.authentication.k8s.io/v1', command, args, env };
      const config = {
        'current-context': 'x',
        clusters: [{ name: 'x', cluster: { server: `http://127.0.0.1:${port}` } }],
        users: [{ name: 'x', user: { exec } }],
        contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }],
      };
      const { consent, untrustedFolders = [] } = options;
      const variables = { PATH: `${bin}:/usr/bin:/bin` };
      const kube = await openKube(await parseKubeconfig(JSON.stringify(config)), {
        variables,
        consent,
        untrustedFolders,
      });
      try {
        return await kube.version();
      } finally {
        await kube.close();
      }
    },
  };
}
