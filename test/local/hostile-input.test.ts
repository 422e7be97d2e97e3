import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { followsRule, MODEL_NAME, SERVICE_NAME, WORKSPACE_NAME } from '../../src/contract/names.ts';
import type { Problem } from '../../src/contract/problem.ts';
import { lendEnvironments } from './shared-home.ts';
import { DEPLOY, type Outcome, openWorld, type World, writeProject } from './world.ts';

const NAUGHTY = join(import.meta.dirname, '..', '..', '..', 'shared', 'fixtures', 'suites', 'blns', 'blns.json');

/** Exit code 2 and a sentence: neither a crash nor a failure without a name. */
function refused(outcome: Outcome, what: RegExp = /./): void {
  assert.equal(outcome.code, 2, outcome.stderr || outcome.stdout);
  assert.match(outcome.stderr, what);
  assert.doesNotMatch(outcome.stderr, /^ {4}at /m);
  assert.doesNotMatch(outcome.stderr, /--debug and report/);
}

describe('hostile input', () => {
  let world: World;
  before(async () => {
    world = await openWorld();
    await writeProject(world);
  });
  after(() => world.close());

  test('names that v1 refused are refused by every command that takes one', async () => {
    const bad = '../Bad_Name';
    const commands: readonly (readonly string[])[] = [
      ['model', 'register', '-n', bad, '-p', 'model'],
      ['model', 'show', '-n', bad],
      [...DEPLOY, '-n', bad, '-m', 'weights:1'],
      ...['show', 'delete', 'run', 'get-keys', 'get-logs', 'get-access-token', 'update', 'history'].map((action) => [
        'service',
        action,
        '-n',
        bad,
      ]),
      ['service', 'regen-key', '-n', bad, '-k', 'Primary'],
      ['endpoint', 'realtime', 'delete-version', '-n', bad, '--vn', 'green'],
      ['endpoint', 'realtime', 'show', '-n', bad],
      ['workspace', 'create', '-w', bad],
    ];
    for (const command of commands) refused(await world.aksml(...command));
  });

  test('naughty strings: refused as names; kept to the letter as tags, properties and descriptions; harmless in tables', async (t) => {
    if (!existsSync(NAUGHTY)) return t.skip('the list of naughty strings is not beside this checkout');
    const all = JSON.parse(await readFile(NAUGHTY, 'utf8')) as readonly string[];
    const strings = all.filter((text) => !text.includes('\0'));
    const invalid = strings.filter((text) => !followsRule(MODEL_NAME, text) && !followsRule(SERVICE_NAME, text));
    const sample = invalid.filter((_, index) => index % Math.ceil(invalid.length / 6) === 0);
    for (const name of sample) {
      refused(await world.aksml('model', 'register', `--name=${name}`, '-p', 'model'));
      refused(await world.aksml('service', 'show', `--name=${name}`));
      if (!followsRule(WORKSPACE_NAME, name)) refused(await world.aksml('model', 'list', `--workspace-name=${name}`));
    }

    const pairs = strings.map((text, index) => [`n${index}`, text] as const);
    const registered = await world.aksml(
      ...['model', 'register', '-n', 'naughty', '-p', 'model', '-o', 'json', `--description=${strings.join('\n')}`],
      ...pairs.flatMap(([key, text]) => [`--tag=${key}=${text}`, `--property=${key}=${text}`]),
    );
    assert.equal(registered.code, 0, registered.stderr);
    const shown = (await world.aksml('model', 'show', '-n', 'naughty', '-o', 'json')).json<{
      tags: unknown;
      properties: unknown;
      description: string;
    }>();
    assert.deepEqual(shown.tags, Object.fromEntries(pairs));
    assert.deepEqual(shown.properties, Object.fromEntries(pairs));
    assert.equal(shown.description, strings.join('\n'));
    for (const format of ['table', 'yaml', 'tsv']) {
      const { code, stdout } = await world.aksml('model', 'show', '-n', 'naughty', '-o', format);
      assert.equal(code, 0, format);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal would obey
      assert.doesNotMatch(stdout, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/, format);
    }
  });

  test('a broken file is refused with its name and what to do', async () => {
    await mkdir(join(world.project, 'broken', 'folder.json'), { recursive: true });
    await symlink('loop.json', join(world.project, 'broken', 'loop.json'));
    await writeFile(join(world.project, 'broken', 'binary.json'), Buffer.from([0xff, 0xfe, 0x80, 0x00, 0x01]));
    await world.write('broken/empty.json', '');
    await world.write('broken/large.json', `{"a": "${'x'.repeat(8 << 20)}"}`);
    await world.write('broken/deep.json', '['.repeat(100_000));
    await world.write('broken/list.json', '[1]');
    for (const name of [...(await readdir(join(world.project, 'broken'))), 'nowhere.json']) {
      for (const files of [
        ['--ic', `broken/${name}`],
        ['--ic', 'inferenceconfig.json', '--dc', `broken/${name}`],
      ]) {
        const { code, stdout, stderr } = await world.aksml('config', 'validate', ...files, '-o', 'json');
        assert.equal(code, 2, name);
        assert.doesNotMatch(stderr, /^ {4}at /m);
        const errors = (JSON.parse(stdout) as { problems: Problem[] }).problems.filter((p) => p.severity === 'error');
        assert.ok(errors.length > 0, name);
        for (const { file, message, remedy } of errors) {
          assert.equal(file, `broken/${name}`);
          assert.ok(message && remedy, name);
        }
      }
    }
  });

  test('every wrong type in a deployment configuration is refused with file, path, line and remedy', async () => {
    const keys = ['numReplicas', 'scoringTimeoutMs', 'maxConcurrentRequestsPerContainer', 'maxQueueWaitMs'];
    const sections = ['autoScaler', 'containerResourceRequirements', 'livenessProbeRequirements'];
    for (const wrong of ['text', [1], -1]) {
      const wrongFor = (key: string) => (sections.includes(key) ? wrong : wrong === -1 ? 0.5 : wrong);
      const values = Object.fromEntries([...keys, ...sections].map((key) => [key, wrongFor(key)]));
      await world.write('wrong.json', JSON.stringify({ computeType: 'aks', ...values }, undefined, 2));
      const outcome = await world.aksml('config', 'validate', '--dc', 'wrong.json', '-o', 'json');
      assert.equal(outcome.code, 2, JSON.stringify(wrong));
      const { problems } = outcome.json<{ problems: Problem[] }>();
      for (const { file, path, line, remedy, message, severity } of problems) {
        if (severity !== 'error') continue;
        assert.equal(file, 'wrong.json', message);
        assert.ok(path && line && remedy, `${message} ${path} ${line} ${remedy}`);
      }
    }
  });

  test('an empty path does not mean the current folder', async () => {
    refused(await world.aksml('model', 'register', '-n', 'empty', '-p', ''), /path .*is empty/);
  });

  test('a home that cannot be used is named at once', async () => {
    const homes = [join(world.project, 'deploymentconfig.json'), join(world.project, 'long'.repeat(100))];
    if (process.platform === 'linux') homes.push('/proc/nowhere');
    for (const home of homes) {
      const other = await openWorld({ AKSML_HOME: home });
      refused(await other.aksml('model', 'list'), /cannot be the folder of aksml/);
      await other.close();
    }
  });

  test('a place where no folder can be made is named at once', async () => {
    await world.aksml('model', 'register', '-n', 'placed', '-p', 'deploymentconfig.json');
    const places = [join(world.project, 'deploymentconfig.json', 'below')];
    if (process.platform === 'linux') places.push('/proc/nowhere');
    for (const place of places) {
      for (const command of [
        ['model', 'download', '-i', 'placed:1', '-t', place],
        ['model', 'package', '-m', 'placed:1', '--output-path', join(place, 'deeper'), '-ic', 'inferenceconfig.json'],
        ['environment', 'scaffold', '-n', 'new', '-d', place],
        ['folder', 'attach', '-w', 'default', '--path', place],
      ]) {
        refused(await world.aksml(...command), /deploymentconfig\.json|\/proc\/nowhere/);
      }
    }
  });

  test('spaces, other alphabets and new lines in paths, and a missing HOME, change nothing', {
    skip: process.platform === 'win32' && 'such names are not allowed on Windows',
  }, async () => {
    const home = join(world.project, 'a home', 'дом 家');
    const other = await openWorld({ AKSML_HOME: home, HOME: undefined });
    const folder = 'odd\nfolder ü';
    await other.write(`${folder}/fi\nle 模型.txt`, 'content');
    const registered = await other.aksml('model', 'register', '-n', 'odd', '-p', folder, '-o', 'json');
    assert.equal(registered.code, 0, registered.stderr);
    const downloaded = await other.aksml('model', 'download', '-i', 'odd:1', '-t', 'back');
    assert.equal(downloaded.code, 0, downloaded.stderr);
    assert.equal(await readFile(join(other.project, 'back', folder, 'fi\nle 模型.txt'), 'utf8'), 'content');
    await other.close();
  });
});

describe('secrets', () => {
  const MARKER = 'Marker-9f3c1d77';
  let world: World;
  before(async () => {
    world = await openWorld({ MY_SECRET: `${MARKER}-variable` });
    await lendEnvironments(world.home);
    await writeProject(world);
    await world.aksml('model', 'register', '-n', 'weights', '-p', 'model');
  });
  after(() => world.close());

  test('keys and secret variables are in one private file and nowhere else', async () => {
    const project = JSON.parse(await readFile(join(world.project, 'inferenceconfig.json'), 'utf8'));
    // biome-ignore lint/suspicious/noTemplateCurlyInString: aksml's own notation
    project.environment.environmentVariables = { TOKEN: '${secret:MY_SECRET}', PASSWORD: `${MARKER}-password` };
    project.environment.secretEnvironmentVariables = ['PASSWORD'];
    await world.write('inferenceconfig.json', JSON.stringify(project));
    await world.write(
      'source/score.py',
      'import os\ndef init():\n    pass\ndef run(data):\n    return len(os.environ["TOKEN"] + os.environ["PASSWORD"])\n',
    );
    await world.write(
      'deploymentconfig.json',
      JSON.stringify({ computeType: 'aks', numReplicas: 1, primaryKey: `${MARKER}-primary` }),
    );
    const deployed = await world.aksml(...DEPLOY, '-n', 'secretive', '-m', 'weights:1', '--debug', '-o', 'json');
    assert.equal(deployed.code, 0, deployed.stderr);
    assert.equal((await world.aksml('service', 'run', '-n', 'secretive', '-d', '{}')).json(), 2 * MARKER.length + 18);

    const others = await Promise.all([
      world.aksml('service', 'show', '-n', 'secretive', '-o', 'json'),
      world.aksml('service', 'history', '-n', 'secretive', '-o', 'json'),
      world.aksml('service', 'get-logs', '-n', 'secretive'),
      world.aksml('config', 'validate', '--ic', 'inferenceconfig.json', '--dc', 'deploymentconfig.json'),
      world.aksml('local', 'status'),
    ]);
    for (const { stdout, stderr } of [deployed, ...others]) assert.doesNotMatch(stdout + stderr, new RegExp(MARKER));
    if (process.platform !== 'win32')
      assert.doesNotMatch(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }), new RegExp(MARKER));
    assert.deepEqual(await filesWith(world.home, MARKER), [join('local', 'secrets', 'secretive.json')]);
  });

  test('the password of a package index is in no file and in no output', async () => {
    const index = `http://someone:${MARKER}-index@127.0.0.1:9/simple`;
    const dependencies = [{ pip: [`--index-url ${index}`, 'azureml-inference-server-http'] }];
    const environment = { name: 'private', python: { condaDependencies: { name: 'private', dependencies } } };
    await world.write(
      'private.json',
      JSON.stringify({ entryScript: 'score.py', sourceDirectory: 'source', environment }),
    );
    const deployed = await world.aksml(
      'model',
      'deploy',
      '-ic',
      'private.json',
      '-n',
      'private',
      '-m',
      'weights:1',
      '--debug',
    );
    assert.notEqual(deployed.code, 0);
    assert.doesNotMatch(deployed.stdout + deployed.stderr, new RegExp(`${MARKER}-index`));
    assert.deepEqual(await filesWith(world.home, `${MARKER}-index`), []);
  });

  test('what is private can be read by its user alone', {
    skip: process.platform === 'win32' && 'Windows has other permissions',
  }, async () => {
    for (const folder of ['local', 'locks', 'workspaces']) {
      for (const name of ['.', ...(await readdir(join(world.home, folder), { recursive: true }))]) {
        const { mode } = await stat(join(world.home, folder, name)).catch(() => ({ mode: 0 }));
        const isPrivate = name === '.' || /^(secrets|endpoints|logs|bodies)|^[^/]*\.(json|token)$/.test(name);
        if (isPrivate) assert.equal(mode & 0o077, 0, join(folder, name));
      }
    }
  });
});

/** Files below a folder whose content has the text, relative to it. Installed packages aside. */
async function filesWith(folder: string, text: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.parentPath.includes('site-packages')) continue;
    const path = join(entry.parentPath, entry.name);
    if ((await readFile(path)).includes(text)) found.push(path.slice(folder.length + 1));
  }
  return found;
}
