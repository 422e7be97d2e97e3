import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { AksmlError } from '../../src/contract/error.ts';
import { parseChallenges } from '../../src/engine/registry/auth.ts';
import { dockerCredentials, type RunHelper } from '../../src/engine/registry/credentials.ts';
import { DistributionRegistry } from '../../src/engine/registry/distribution.ts';
import { parseImageReference } from '../../src/engine/registry/image-reference.ts';
import { sha256 } from '../../src/engine/registry/reference.ts';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body: string;
}

/** A registry of prepared answers. Time passes only when the client sleeps. */
function scripted(address: string, answer: (request: Seen, count: number) => Response | Error, options = {}) {
  const seen: Seen[] = [];
  const waits: number[] = [];
  let now = 0;
  const registry = new DistributionRegistry(address, {
    fetch: async (input, init) => {
      const request: Seen = {
        method: init?.method ?? 'GET',
        url: String(input),
        headers: new Headers(init?.headers),
        body: init?.body instanceof Uint8Array ? Buffer.from(init.body).toString() : '',
      };
      seen.push(request);
      const answered = answer(request, seen.length);
      if (answered instanceof Error) throw answered;
      return answered;
    },
    sleep: async (ms) => {
      waits.push(ms);
      now += ms;
    },
    now: () => now,
    random: () => 1,
    ...options,
  });
  return { registry, seen, waits };
}

const DIGEST = sha256('content');
const ok = (headers = {}) => new Response(null, { status: 200, headers });
const status = (code: number, headers = {}) => new Response(null, { status: code, headers });
const challenge = (value: string) => status(401, { 'www-authenticate': value });
const json = (value: unknown) => new Response(JSON.stringify(value), { status: 200 });

test('challenges are taken apart, several in one header and commas inside quotes included', () => {
  assert.deepEqual(
    parseChallenges('Bearer realm="https://a/t",service="s",scope="repository:x:pull,push", Basic realm="r"'),
    [
      { scheme: 'bearer', parameters: { realm: 'https://a/t', service: 's', scope: 'repository:x:pull,push' } },
      { scheme: 'basic', parameters: { realm: 'r' } },
    ],
  );
  assert.deepEqual(parseChallenges(''), []);
});

test('image references follow the rules of Docker', () => {
  const table: readonly (readonly [string, string])[] = [
    ['python', 'docker.io library/python latest'],
    ['me/app:1', 'docker.io me/app 1'],
    ['mcr.microsoft.com/azureml/base:1.v2', 'mcr.microsoft.com azureml/base 1.v2'],
    ['localhost/a', 'localhost a latest'],
    ['localhost:5000/a:b', 'localhost:5000 a b'],
    [`host.io/a:b@${DIGEST}`, `host.io a ${DIGEST}`],
  ];
  for (const [text, expected] of table) {
    const { host, repository, reference } = parseImageReference(text);
    assert.equal(`${host} ${repository} ${reference}`, expected);
  }
  for (const bad of ['', 'A', 'a b', 'a:', 'a@sha256:1', 'host.io/', '../a', 'a/../b', '-x.io/a', 'a\n']) {
    assert.throws(
      () => parseImageReference(bad),
      (error) => AksmlError.is(error, 'image.badReference'),
      bad,
    );
  }
});

test('a busy registry is asked again, no sooner than it says, and a dead one is named', async () => {
  const busy = scripted('r.example', (_, count) =>
    count === 1
      ? status(429, { 'retry-after': '7' })
      : count === 2
        ? status(503)
        : count === 3
          ? new TypeError('x')
          : ok(),
  );
  assert.equal(await busy.registry.hasBlob('a', DIGEST), true);
  assert.deepEqual(busy.waits, [7000, 400, 800]);

  const dead = scripted(
    'r.example',
    () => new TypeError('fetch failed', { cause: Object.assign(new Error('no'), { code: 'ENOTFOUND' }) }),
  );
  await assert.rejects(
    dead.registry.hasBlob('a', DIGEST),
    (error) => AksmlError.is(error, 'registry.unreachable') && /ENOTFOUND/.test(error.message),
  );
  assert.equal(dead.seen.length, 6);

  const patient = scripted('r.example', () => status(429, { 'retry-after': '3600' }));
  await assert.rejects(patient.registry.hasBlob('a', DIGEST), (error) => AksmlError.is(error, 'registry.failed'));
  assert.equal(patient.seen.length, 1);
});

test('a bearer token is fetched with the credentials once per scope, used until it ends, then renewed', async () => {
  const { registry, seen, waits } = scripted(
    'r.example/team',
    (request) => {
      if (request.url.startsWith('https://auth.example/')) return json({ token: `t${seen.length}`, expires_in: 100 });
      return request.headers.has('authorization')
        ? ok()
        : challenge('Bearer realm="https://auth.example/t?x=1",service="r"');
    },
    { credentials: async () => ({ kind: 'password', username: 'u', password: 'p' }) },
  );
  for (let i = 0; i < 3; i += 1) await registry.hasBlob('a', DIGEST);
  const tokens = seen.filter(({ url }) => url.startsWith('https://auth'));
  assert.equal(tokens.length, 1);
  assert.equal(tokens[0]?.url, 'https://auth.example/t?x=1&service=r&scope=repository%3Ateam%2Fa%3Apull');
  assert.equal(tokens[0]?.headers.get('authorization'), `Basic ${btoa('u:p')}`);
  assert.equal(seen.at(-1)?.headers.get('authorization'), 'Bearer t2');
  assert.deepEqual(waits, []);
});

test('an identity token is exchanged in the body of a POST, never in a URL', async () => {
  const { registry, seen } = scripted(
    'r.example',
    (request) => {
      if (request.method === 'POST') return json({ access_token: 'fresh' });
      return request.headers.get('authorization') === 'Bearer fresh'
        ? ok()
        : challenge('Bearer realm="https://r.example/oauth2/token",service="r"');
    },
    { credentials: async () => ({ kind: 'identityToken', token: 'SECRET' }) },
  );
  assert.equal(await registry.hasBlob('a', DIGEST), true);
  const post = seen.find(({ method }) => method === 'POST');
  assert.match(post?.body ?? '', /grant_type=refresh_token&.*refresh_token=SECRET/);
  assert.ok(seen.every(({ url }) => !url.includes('SECRET')));
});

test('credentials refused or missing are told apart, with the way to log in, and without the secret', async () => {
  const anonymous = scripted('r.example', () => challenge('Basic realm="r"'));
  await assert.rejects(
    anonymous.registry.hasBlob('a', DIGEST),
    (error) => AksmlError.is(error, 'registry.unauthorized') && /none are stored/.test(error.message),
  );
  const wrong = scripted('r.example', () => challenge('Basic realm="r"'), {
    credentials: async () => ({ kind: 'password', username: 'u', password: 'SECRET' }),
  });
  await assert.rejects(wrong.registry.hasBlob('a', DIGEST), (error) => {
    assert.ok(AksmlError.is(error, 'registry.unauthorized'));
    assert.match(error.message, /refused/);
    assert.doesNotMatch(JSON.stringify(error), /SECRET/);
    return true;
  });
});

test('credentials stay with the registry when it redirects to a store, and nothing goes to plain http', async () => {
  const { registry, seen } = scripted(
    'r.example',
    (request) => {
      if (request.url.startsWith('https://store.example/')) return new Response('content');
      return request.headers.has('authorization')
        ? status(307, { location: 'https://store.example/blob?sig=1' })
        : challenge('Basic realm="r"');
    },
    { credentials: async () => ({ kind: 'password', username: 'u', password: 'p' }) },
  );
  assert.equal((await (await registry.getBlob('a', DIGEST)).toArray()).join(''), 'content');
  assert.equal(seen.at(-1)?.headers.get('authorization'), null);

  const downgrade = scripted('r.example', () => status(307, { location: 'http://store.example/blob' }));
  await assert.rejects(downgrade.registry.getBlob('a', DIGEST), (error) => AksmlError.is(error, 'registry.insecure'));
  assert.equal(downgrade.seen.length, 1);
  const realm = scripted('r.example', () => challenge('Bearer realm="http://auth.example/t"'));
  await assert.rejects(realm.registry.hasBlob('a', DIGEST), (error) => AksmlError.is(error, 'registry.insecure'));
});

test('a download that breaks goes on where it broke, and damaged content is refused', async () => {
  const broken = () =>
    new ReadableStream({
      start(controller) {
        controller.enqueue(Buffer.from('con'));
      },
      pull(controller) {
        controller.error(new Error('reset'));
      },
    });
  for (const rangesWork of [true, false]) {
    const { registry, seen } = scripted('r.example', (request, count) => {
      if (count === 1) return new Response(broken());
      assert.equal(request.headers.get('range'), 'bytes=3-');
      return rangesWork ? new Response('tent', { status: 206 }) : new Response('content');
    });
    assert.equal((await (await registry.getBlob('a', DIGEST)).toArray()).join(''), 'content');
    assert.equal(seen.length, 2);
  }
  const damaged = scripted('r.example', () => new Response('c0ntent'));
  await assert.rejects((await damaged.registry.getBlob('a', DIGEST)).toArray(), (error) =>
    AksmlError.is(error, 'registry.corrupt'),
  );
});

test('lists go on page by page at the registry itself, whatever address the link carries', async () => {
  const { registry, seen } = scripted('r.example', (_, count) =>
    count === 1
      ? new Response(JSON.stringify({ tags: ['1', '2'] }), {
          headers: { link: '<http://inner:5000/v2/a/tags/list?n=2&last=2>; rel="next"' },
        })
      : json({ tags: ['3'] }),
  );
  assert.deepEqual(await registry.listTags('a'), ['1', '2', '3']);
  assert.equal(seen[1]?.url, 'https://r.example/v2/a/tags/list?n=2&last=2');
});

test('a chunk that is lost is sent again from where the registry stands; a commit that was lost is looked up', async () => {
  let stored = '';
  let committed = false;
  let dropped = 0;
  const { registry, seen } = scripted(
    'r.example',
    (request) => {
      const location = { location: '/v2/a/blobs/uploads/1?_state=x%3D' };
      if (request.method === 'HEAD') return committed ? ok() : status(404);
      if (request.method === 'POST') return status(202, location);
      if (request.method === 'GET') return status(204, { ...location, range: `0-${stored.length - 1}` });
      if (request.method === 'PATCH') {
        if (stored.length === 4 && dropped === 0) {
          dropped = 1;
          stored += request.body.slice(0, 1);
          return new TypeError('fetch failed');
        }
        assert.equal(
          request.headers.get('content-range'),
          `${stored.length}-${stored.length + request.body.length - 1}`,
        );
        stored += request.body;
        return status(202, location);
      }
      committed = true;
      return new TypeError('fetch failed');
    },
    { chunkBytes: 4 },
  );
  async function* content() {
    yield Buffer.from('conte');
    yield Buffer.from('nt');
  }
  const progress: number[] = [];
  const descriptor = await registry.putBlob('a', content(), {
    mediaType: 'm',
    onBytes: (bytes) => progress.push(bytes),
  });
  assert.equal(stored, 'content');
  assert.deepEqual(descriptor, { mediaType: 'm', digest: DIGEST, size: 7 });
  assert.deepEqual(progress, [4, 7]);
  assert.match(seen.findLast(({ method }) => method === 'PUT')?.url ?? '', /\?_state=x%3D&digest=sha256%3A/);
});

test('content that is let go before it is read lets go of its connection', async () => {
  const cancelled = Promise.withResolvers<void>();
  const { registry } = scripted(
    'r.example',
    () => new Response(new ReadableStream({ cancel: () => cancelled.resolve() })),
  );
  (await registry.getBlob('a', DIGEST)).destroy();
  await cancelled.promise;
});

test('a registry that knows referrers is asked for them, and gets no list of them under a tag', async () => {
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const subject = { mediaType, digest: DIGEST, size: 7 } as const;
  const bill = { ...subject, digest: sha256('bill'), artifactType: 'application/vnd.cyclonedx+json' };
  const { registry, seen } = scripted('x.io/team', ({ method }) =>
    method === 'PUT' ? status(201, { 'oci-subject': DIGEST }) : json({ schemaVersion: 2, manifests: [bill] }),
  );
  const manifest = { schemaVersion: 2, mediaType, config: subject, layers: [] } as const;
  const { digest } = await registry.putReferrer('images/a', { ...manifest, subject });
  assert.deepEqual(await registry.listReferrers('images/a', DIGEST), [bill]);
  assert.deepEqual(
    seen.map(({ method, url }) => `${method} ${new URL(url).pathname}`),
    [`PUT /v2/team/images/a/manifests/${digest}`, `GET /v2/team/images/a/referrers/${DIGEST}`],
  );
});

test('an abort ends the wait between two attempts', async () => {
  const controller = new AbortController();
  const registry = new DistributionRegistry('r.example', {
    fetch: async () => {
      setImmediate(() => controller.abort());
      return status(503, { 'retry-after': '100' });
    },
  });
  await assert.rejects(registry.hasBlob('a', DIGEST, controller.signal), (error) => AksmlError.isCancelled(error));
});

test('credentials are found where docker and podman keep them', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-credentials-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const auth = (text: string) => Buffer.from(text).toString('base64');
  const asked: string[] = [];
  const runHelper: RunHelper = async (command, argument, input) => {
    asked.push(`${command} ${argument} ${input}`);
    if (input === 'none.example') return { code: 1, stdout: 'credentials not found in native keychain' };
    return { code: 0, stdout: JSON.stringify({ Username: input === 'token.example' ? '<token>' : 'h', Secret: 's' }) };
  };
  await writeFile(
    join(folder, 'config.json'),
    JSON.stringify({
      auths: {
        'https://index.docker.io/v1/': { auth: auth('hub:p') },
        'a.example': { auth: auth('a:p:q') },
        'i.example': { auth: auth('00000000-0000-0000-0000-000000000000:'), identitytoken: 'refresh' },
      },
      credHelpers: {
        'h.example': 'acr-env',
        'token.example': 'acr-env',
        'none.example': 'acr-env',
        'evil.example': '../../evil',
      },
    }),
  );
  const find = dockerCredentials({ environment: { DOCKER_CONFIG: folder }, homeFolder: folder, runHelper });
  const password = (username: string, word: string) => ({ kind: 'password', username, password: word });
  assert.deepEqual(await find('docker.io'), password('hub', 'p'));
  assert.deepEqual(await find('a.example'), password('a', 'p:q'));
  assert.deepEqual(await find('i.example'), { kind: 'identityToken', token: 'refresh' });
  assert.deepEqual(await find('h.example'), password('h', 's'));
  assert.deepEqual(await find('token.example'), { kind: 'identityToken', token: 's' });
  for (const host of ['none.example', 'evil.example', 'unknown.example'])
    assert.equal(await find(host), undefined, host);
  assert.deepEqual(
    asked,
    ['h', 'token', 'none'].map((name) => `docker-credential-acr-env get ${name}.example`),
  );
});
