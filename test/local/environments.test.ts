import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { devNull, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { EnvironmentDefinition } from '../../src/contract/environment.ts';
import type { ProgressEvent } from '../../src/contract/event.ts';
import { type Command, type RunCommand, runCommand } from '../../src/engine/environments/command.ts';
import { type EnvironmentTools, prepareEnvironment, pythonSearch } from '../../src/engine/environments/environment.ts';
import { findPython, inspectInterpreter } from '../../src/engine/environments/python.ts';
import { checkSyntax } from '../../src/engine/environments/syntax.ts';
import { ensureUv } from '../../src/engine/environments/uv-bootstrap.ts';
import { openHome } from '../../src/home/home.ts';
import { lendEnvironments, prepareShared, sharedVariables } from './shared-home.ts';

function definition(pip: string[], dependencies: string[] = []): EnvironmentDefinition {
  return {
    environmentVariables: { GREETING: 'hello' },
    secretEnvironmentVariables: [],
    python: { userManagedDependencies: false, condaDependencies: { channels: [], dependencies, pip } },
    docker: { platform: { os: 'Linux', architecture: 'amd64' }, arguments: [], enableGpu: false },
  };
}

const SERVER_ONLY = definition(['azureml-inference-server-http']);

async function emptyHome(t: TestContext): Promise<EnvironmentTools> {
  const root = await mkdtemp(join(tmpdir(), 'aksml-environments-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  return { home: openHome({ AKSML_HOME: root }), environment: sharedVariables(root), clock: () => new Date() };
}

/** A home that has uv and the server's environment already, so that a test pays only for what it is about. */
async function furnishedHome(t: TestContext): Promise<EnvironmentTools> {
  await prepareShared(SERVER_ONLY);
  const tools = await emptyHome(t);
  await lendEnvironments(tools.home.root);
  return tools;
}

const refuse: RunCommand = ({ command, args }) => Promise.reject(new Error(`${command} ${args.join(' ')} was run`));

test('an environment is installed once, and found again without running anything', async (t) => {
  const tools = await emptyHome(t);
  const events: ProgressEvent[] = [];
  const first = await prepareEnvironment(tools, definition(['six']), { onProgress: (event) => events.push(event) });
  assert.equal(first.reused, false);
  assert.deepEqual(first.environmentVariables, { GREETING: 'hello' });
  assert.ok(first.lock.some((line) => /^six==\S+ --hash=sha256:/.test(line)));
  assert.deepEqual(
    first.problems.map(({ code }) => code),
    ['environment.serverAdded'],
  );
  assert.ok(events.some((event) => event.type === 'progress' && event.done === first.lock.length));
  const imported = await runCommand({ command: first.python, args: ['-c', 'import six, flask'], env: {} });
  assert.equal(imported.exitCode, 0, imported.stderr);

  const again = await prepareEnvironment({ ...tools, run: refuse }, definition(['six']));
  assert.deepEqual(again, { ...first, reused: true });
  const renamed = await prepareEnvironment(
    { ...tools, run: refuse },
    { ...definition(['six']), name: 'n', version: '2' },
  );
  assert.equal(renamed.hash, first.hash, 'name and version are not part of the hash');

  await rm(first.folder, { recursive: true });
  const restored = await prepareEnvironment(tools, definition(['something-else-today']), { recorded: first });
  assert.equal(restored.hash, first.hash, 'what was recorded is installed, not what the definition says');
});

test('two processes at once install one environment, and a killed one leaves nothing that counts', async (t) => {
  const tools = await furnishedHome(t);
  const script = `
    import { prepareEnvironment } from '${new URL('../../src/engine/environments/environment.ts', import.meta.url).href}';
    const prepared = await prepareEnvironment(
      { home: ${JSON.stringify(tools.home)}, environment: process.env, clock: () => new Date() },
      ${JSON.stringify(definition(['six', 'idna']))},
      { onProgress: (event) => event.type === 'progress' && event.total && console.log('installing') },
    );
    console.log(JSON.stringify({ python: prepared.python, reused: prepared.reused }));`;
  const start = () =>
    spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
      env: tools.environment,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  const killed = start();
  await once(killed.stdout, 'data');
  killed.kill('SIGKILL');
  await once(killed, 'close');
  const results = await Promise.all(
    [start(), start()].map(async (child) => {
      const output = (await child.stdout.toArray()).join('');
      return JSON.parse(output.trim().split('\n').at(-1) ?? '') as { python: string; reused: boolean };
    }),
  );
  assert.equal(results[0]?.python, results[1]?.python);
  assert.deepEqual(results.map(({ reused }) => reused).sort(), [false, true]);
  assert.ok(await inspectInterpreter(pythonSearch(tools), results[0]?.python ?? ''));
});

test('credentials of a private index reach neither arguments, nor events, errors, records or files', async (t) => {
  const tools = await furnishedHome(t);
  const feed = await startFeed(t, 'private-thing');
  const secret = 'pa55-w0rd-of-the-feed';
  const environment = { ...tools.environment, FEED_TOKEN: secret };
  const seen: unknown[] = [];
  const run: RunCommand = (command, options) => {
    seen.push(command.args);
    return runCommand(command, options);
  };
  const watched = { ...tools, environment, run };
  const onProgress = (event: ProgressEvent): void => void seen.push(event);
  const reference = `\${FEED_TOKEN}`;
  const url = `http://me:${reference}@${feed.host}/simple`;
  const prepared = await prepareEnvironment(watched, definition(['private-thing', `--extra-index-url ${url}`]), {
    onProgress,
  });
  assert.ok(prepared.lock.some((line) => line.startsWith('private-thing==1.0')));
  assert.ok(feed.authorized() > 0, 'the feed was asked with the credentials');
  const other = await prepareEnvironment(
    { ...watched, environment: { ...environment, FEED_TOKEN: 'another' } },
    definition(['private-thing', `--extra-index-url ${url}`]),
  );
  assert.equal(other.hash, prepared.hash, 'credentials are not part of the hash');

  const file = (version: string): EnvironmentDefinition =>
    definition([`private-thing @ http://me:${reference}@${feed.host}/files/private_thing-${version}-py3-none-any.whl`]);
  const direct = await prepareEnvironment(watched, file('1.0'), { onProgress });
  assert.ok(direct.lock.some((line) => line.startsWith(`private-thing @ http://${feed.host}/files/`)));
  await assert.rejects(prepareEnvironment(watched, file('9.9'), { onProgress }), (error) => {
    seen.push(error, error instanceof Error ? error.message : '');
    return true;
  });
  assert.doesNotMatch(JSON.stringify(seen), new RegExp(secret));
  for (const folder of [tools.home.environments, tools.home.cache]) {
    for (const file of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!file.isFile() || !/\.(json|lock|in|netrc|yml)$|^netrc$/.test(file.name)) continue;
      assert.doesNotMatch(await readFile(join(file.parentPath, file.name), 'utf8'), new RegExp(secret), file.name);
    }
  }
});

test('what cannot be installed is explained', async (t) => {
  const tools = await furnishedHome(t);
  const search = pythonSearch(tools);
  const python = await findPython(search);
  assert.ok(python);
  const minor = python.parts.slice(0, 2).join('.');
  const unknown = definition(['six==0.0.0.1'], [`python=${minor}`]);
  await assert.rejects(prepareEnvironment(tools, unknown), {
    code: 'environment.unresolvable',
    fault: 'input',
    message: /no version of six==0\.0\.0\.1/,
  });
  const old = definition(['flask==1.0.2'], [`python=${minor}`]);
  await assert.rejects(prepareEnvironment(tools, old), {
    code: 'environment.unresolvable',
    message: /flask==1\.0\.2 and azureml-inference-server-http.*exclude each other/,
    remedy: /Flask/,
  });
  const offline = { ...tools, environment: { ...tools.environment, UV_PYTHON_DOWNLOADS: 'never' } };
  await assert.rejects(prepareEnvironment(offline, definition([], ['python=3.99'])), {
    code: 'python.missing',
    message: new RegExp(`Python 3\\.99.*present are .*${minor.replace('.', '\\.')}`),
    remedy: /--python nearest/,
  });
  const nearest = await prepareEnvironment(tools, definition(['azureml-inference-server-http'], ['python=3.99']), {
    pythonOverride: minor,
  });
  assert.deepEqual(
    nearest.problems.map(({ code }) => code),
    ['environment.pythonReplaced'],
  );
  const withoutConda = {
    ...tools,
    environment: { ...tools.environment, PATH: '', CONDA_EXE: undefined, MAMBA_EXE: undefined },
  };
  await assert.rejects(prepareEnvironment(withoutConda, definition([], ['r-base'])), {
    code: 'environment.needsConda',
    message: /r-base/,
  });
});

test('an environment that the user manages is used as it is, if it has the scoring server', async (t) => {
  const tools = await furnishedHome(t);
  const { python } = await prepareShared(SERVER_ONLY);
  const managed = (interpreterPath: string): EnvironmentDefinition => ({
    ...definition([]),
    python: { userManagedDependencies: true, interpreterPath },
  });
  const prepared = await prepareEnvironment(tools, managed(python));
  assert.equal(prepared.python, python);
  assert.ok(prepared.lock.some((line) => line.startsWith('azureml-inference-server-http==')));
  const bare = await findPython(pythonSearch(tools));
  const venv = join(tools.home.root, 'bare');
  await runCommand({ command: bare?.path ?? '', args: ['-m', 'venv', '--without-pip', venv], env: tools.environment });
  await assert.rejects(prepareEnvironment(tools, managed(join(venv, 'bin', 'python'))), {
    code: 'environment.serverBroken',
    message: /not installed/,
  });
  await assert.rejects(prepareEnvironment(tools, managed('/no/such/python')), { code: 'python.notFound' });
});

test('conda packages are installed by the conda tool on PATH, and the pip section on top', async (t) => {
  const tools = await furnishedHome(t);
  const bin = join(tools.home.root, 'bin');
  const { python } = await prepareShared(SERVER_ONLY);
  await mkdir(bin);
  // Stands in for micromamba: channels cannot be reached from everywhere. It makes the prefix that it is asked for.
  const fake = `#!/bin/sh\ncat "$6" > "${bin}/seen.yml"\nexec "${python}" -m venv --without-pip "$4"\n`;
  await writeFile(join(bin, 'micromamba'), fake);
  await chmod(join(bin, 'micromamba'), 0o755);
  const environment = { ...tools.environment, PATH: `${bin}${delimiter}${tools.environment['PATH']}` };
  const prepared = await prepareEnvironment({ ...tools, environment }, definition(['six'], ['r-base=4']));
  assert.match(prepared.python, /conda-[0-9a-f]{8}/);
  assert.ok(prepared.lock.some((line) => line.startsWith('six==')));
  assert.deepEqual(JSON.parse(await readFile(join(bin, 'seen.yml'), 'utf8')).dependencies, [
    'python>=3.9,<3.14',
    'r-base=4',
  ]);
  const again = await prepareEnvironment({ ...tools, run: refuse }, definition(['six'], ['r-base=4']));
  assert.equal(again.hash, prepared.hash);
});

async function pipsDefaultIndex(): Promise<string> {
  const program = 'from pip._internal.models.index import PyPI; print(PyPI.simple_url)';
  const { stdout } = await runCommand({ command: 'python3', args: ['-c', program], env: process.env });
  return stdout.trim();
}

test('uv is fetched without pip, verified, and used from PATH where it is', async (t) => {
  const shared = await furnishedHome(t);
  const [name] = await readdir(shared.home.tools);
  const uv = join(shared.home.tools, name ?? '', 'uv');
  const tools = await emptyHome(t);
  const base = { ...tools, platform: process.platform, run: runCommand, fetch, python: undefined };
  const withoutUv = { ...tools.environment, PATH: '/usr/bin', UV_DEFAULT_INDEX: await pipsDefaultIndex() };
  const fetched = await ensureUv({ ...base, environment: withoutUv });
  assert.match((await runCommand({ command: fetched, args: ['--version'], env: {} })).stdout, /^uv /);
  const bin = join(tools.home.root, 'bin');
  await mkdir(bin);
  await symlink(uv, join(bin, 'uv'));
  assert.equal(await ensureUv({ ...base, environment: { PATH: bin } }), join(bin, 'uv'));

  const nowhere = ensureUv({
    ...base,
    home: (await emptyHome(t)).home,
    environment: { PATH: '/usr/bin', PIP_CONFIG_FILE: devNull },
  });
  await assert.rejects(nowhere, { code: 'uv.unobtainable', message: /no package index is configured/ });

  const corrupt = await emptyHome(t);
  const tampering: typeof fetch = async (input, init) => {
    const response = await fetch(input, init);
    return String(input).endsWith('.whl') ? new Response('tampered') : response;
  };
  const failing = ensureUv({ ...base, home: corrupt.home, environment: withoutUv, fetch: tampering });
  await assert.rejects(failing, { code: 'uv.unobtainable', message: /checksum/ });
  assert.deepEqual(await readdir(corrupt.home.tools), []);
});

test('programs that are no working Python 3 are passed over', async (t) => {
  const tools = await emptyHome(t);
  const bin = join(tools.home.root, 'bin');
  await mkdir(bin, { recursive: true });
  const shim = '#!/bin/sh\necho "pyenv: python3: command not found" >&2\nexit 127\n';
  const chatty = '#!/bin/sh\necho "Python 2.7.18"\n';
  for (const [name, text] of [
    ['python3', shim],
    ['python', chatty],
  ] as const) {
    await writeFile(join(bin, name), text);
    await chmod(join(bin, name), 0o755);
  }
  const environment = { ...tools.environment, PATH: `${bin}${delimiter}${tools.environment['PATH']}` };
  const python = await findPython(pythonSearch({ ...tools, environment }));
  assert.ok(python);
  assert.ok(!python.path.startsWith(bin));
});

test("a script's syntax is checked by v1's rules", async (t) => {
  const tools = await emptyHome(t);
  const python = await findPython(pythonSearch(tools));
  const check = checkSyntax(python?.path ?? '', tools.environment);
  await mkdir(tools.home.root, { recursive: true });
  const scripts: [string, string | Uint8Array, boolean][] = [
    ['good.py', 'def init():\n  pass\n', true],
    ['empty.py', '', true],
    ['bad.py', 'def init(:\n', false],
    ['bom.py', '\uFEFFx = 1\n', false],
    ['latin.py', Buffer.from('# -*- coding: latin-1 -*-\nx = "\xe9"\n', 'latin1'), false],
    ['nul.py', 'x = 1\0', false],
  ];
  const verdicts = await Promise.all(
    scripts.map(async ([name, content]) => {
      await writeFile(join(tools.home.root, name), content);
      return check(join(tools.home.root, name));
    }),
  );
  assert.deepEqual(
    verdicts.map(({ ok }) => ok),
    scripts.map(([, , expected]) => expected),
  );
  assert.deepEqual(verdicts[2]?.ok === false && verdicts[2].line, 1);
  assert.equal((await check(join(tools.home.root, 'absent.py'))).ok, false);
  await assert.rejects(checkSyntax('/no/such/python', {})('x.py'), { code: 'python.failed' });
});

/** A package index with one package, which wants a user name and a password. */
async function startFeed(t: TestContext, name: string): Promise<{ readonly host: string; authorized(): number }> {
  const wheel = await buildWheel(t, name);
  const sha256 = createHash('sha256').update(wheel).digest('hex');
  const file = `${name.replaceAll('-', '_')}-1.0-py3-none-any.whl`;
  let authorized = 0;
  const server: Server = createServer((request, response) => {
    if (!request.headers.authorization) return void response.writeHead(401, { 'www-authenticate': 'Basic' }).end();
    authorized += 1;
    if (request.url === `/simple/${name}/`) {
      return void response
        .setHeader('content-type', 'text/html')
        .end(`<a href="/files/${file}#sha256=${sha256}">${file}</a>`);
    }
    if (request.url === `/files/${file}`) return void response.end(wheel);
    response.writeHead(404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, authorized: () => authorized };
}

const BUILD_WHEEL = `
import sys, zipfile
name, target = sys.argv[1:]
info = name + "-1.0.dist-info"
with zipfile.ZipFile(target, "w") as wheel:
    wheel.writestr(name + ".py", "")
    wheel.writestr(info + "/METADATA", "Metadata-Version: 2.1\\nName: " + name + "\\nVersion: 1.0\\n")
    wheel.writestr(info + "/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(info + "/RECORD", "")
`;

async function buildWheel(t: TestContext, name: string): Promise<Buffer> {
  const tools = await emptyHome(t);
  await mkdir(tools.home.root, { recursive: true });
  const python = await findPython(pythonSearch(tools));
  const target = join(tools.home.root, 'x.whl');
  const command: Command = {
    command: python?.path ?? '',
    args: ['-c', BUILD_WHEEL, name.replaceAll('-', '_'), target],
    env: tools.environment,
  };
  const { exitCode, stderr } = await runCommand(command);
  assert.equal(exitCode, 0, stderr);
  return readFile(target);
}
