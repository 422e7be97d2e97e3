import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse as parseYaml } from 'yaml';
import { renderError, renderProblem } from '../../src/cli/failure.ts';
import { pairs } from '../../src/cli/option.ts';
import { type Format, writeResult } from '../../src/cli/output.ts';
import { parseOptions } from '../../src/cli/parse.ts';
import { printable, printableLog } from '../../src/cli/printable.ts';
import { openProgress } from '../../src/cli/progress.ts';
import { type Result, valueResult } from '../../src/cli/result.ts';
import { showsUnicode, type Terminal, wantsColor } from '../../src/cli/terminal.ts';
import { AksmlError } from '../../src/contract/error.ts';

function fakeTerminal(
  look: {
    readonly isTerminal?: boolean;
    readonly columns?: number;
    readonly color?: boolean;
    readonly unicode?: boolean;
  } = {},
) {
  const written = { out: '', error: '' };
  const sink = (name: 'out' | 'error') => ({
    write: (text: string) => {
      written[name] += text;
    },
    isTerminal: look.isTerminal ?? false,
    columns: look.columns ?? 80,
    color: look.color ?? false,
  });
  const terminal: Terminal = { out: sink('out'), error: sink('error'), unicode: look.unicode ?? true };
  return { terminal, written };
}

const MODELS = [
  { name: 'a', version: 1, tags: { stage: 'test' } },
  { name: 'b', version: 2, tags: {} },
];
const LISTING: Result = {
  kind: 'value',
  value: MODELS,
  view: {
    kind: 'rows',
    columns: ['NAME', 'VERSION'],
    rows: MODELS.map(({ name, version }) => [name, version]),
    empty: 'None.',
  },
};

async function output(result: Result, format?: Format, query?: string, look = {}): Promise<string> {
  const { terminal, written } = fakeTerminal(look);
  await writeResult(result, { ...(format ? { format } : {}), ...(query ? { query } : {}) }, terminal);
  return written.out;
}

test('output: a person gets a table, a pipe gets JSON', async () => {
  assert.equal(await output(LISTING, undefined, undefined, { isTerminal: true }), 'NAME  VERSION\na     1\nb     2\n');
  assert.deepEqual(JSON.parse(await output(LISTING)), MODELS);
});

test('output: each format', async () => {
  assert.equal(await output(LISTING, 'tsv'), 'a\t1\t{"stage":"test"}\nb\t2\t{}\n');
  assert.equal(
    await output(LISTING, 'yaml'),
    '- name: a\n  version: 1\n  tags:\n    stage: test\n- name: b\n  version: 2\n  tags: {}\n',
  );
  assert.equal(await output(LISTING, 'table'), 'NAME  VERSION\na     1\nb     2\n');
  assert.equal(await output(LISTING, 'none'), '');
  assert.equal(
    await output({ kind: 'value', value: { a: 1 } }, 'jsonc', undefined, { color: true }),
    '{\n  \u001b[36m"a"\u001b[39m: \u001b[33m1\u001b[39m\n}\n',
  );
});

test('output: a query picks what scripts need, in az style', async () => {
  assert.equal(await output(LISTING, 'tsv', '[].name'), 'a\nb\n');
  assert.equal(await output(LISTING, 'tsv', "[?name=='b'].version | [0]"), '2\n');
  assert.equal(await output(LISTING, 'json', '[0].{n: name}'), '{\n  "n": "a"\n}\n');
  const file = 'kind: Config\nusers:\n  - name: me\n';
  assert.equal(await output({ kind: 'value', value: { file } }, 'tsv', 'file'), file);
  await assert.rejects(
    output(LISTING, 'json', '[?'),
    (error) => AksmlError.is(error, 'query.invalid') && error.fault === 'input',
  );
});

test('output: a resource that can be applied elsewhere is what YAML prints', async () => {
  const result: Result = { kind: 'value', value: { state: 'Healthy' }, resource: { kind: 'Endpoint' } };
  assert.equal(await output(result, 'yaml'), 'kind: Endpoint\n');
  assert.equal(await output(result, 'yaml', 'state'), 'Healthy\n');
});

const HOSTILE = 'a\u001b]0;owned\u0007\u009b31m\r\nb\u202ec\u0000';

test('output: what a terminal would obey is shown, not sent, in every format', async () => {
  const result: Result = {
    kind: 'value',
    value: [{ tag: HOSTILE }],
    view: { kind: 'rows', columns: ['TAG'], rows: [[HOSTILE]], empty: '' },
  };
  for (const format of ['json', 'jsonc', 'yaml', 'table', 'tsv'] as const) {
    const text = await output(result, format, undefined, { isTerminal: true });
    assert.doesNotMatch(text, /[^\P{Cc}\n]|\u202e/u, format);
  }
  assert.equal(JSON.parse(await output(result, 'json'))[0].tag, HOSTILE);
  assert.equal(parseYaml(await output(result, 'yaml'))[0].tag, HOSTILE);
  assert.equal(await output(result, 'table'), 'TAG\na\\x1b]0;owned\\x07\\x9b31m\\r\\nb\\u202ec\\x00\n');
});

test('output: no naughty string reaches the terminal, and none is lost', async (context) => {
  const file = join('..', 'shared', 'fixtures', 'suites', 'blns', 'blns.json');
  const source = await readFile(file, 'utf8').catch(() => undefined);
  if (source === undefined) return context.skip('the Big List of Naughty Strings is not beside the checkout');
  for (const text of JSON.parse(source) as string[]) {
    const { values } = await parseOptions({ tag: pairs({ help: '' }) }, [`--tag=k=${text}`], async () => '');
    assert.deepEqual(values, { tag: { k: text } });
    for (const format of ['json', 'yaml', 'table', 'tsv'] as const) {
      const written = await output(valueResult(values), format, undefined, { isTerminal: true });
      assert.doesNotMatch(written, /[^\P{Cc}\n]|[\u202a-\u202e\u2066-\u2069]/u, format);
      if (format === 'json') assert.deepEqual(JSON.parse(written), values);
      if (format === 'yaml') assert.deepEqual(parseYaml(written), values);
    }
  }
});

test('output: a terminal that knows ASCII only gets ASCII only', () => {
  assert.equal(printable('café 模型 😀', false), 'caf\\xe9 \\u6a21\\u578b \\u{1f600}');
  assert.equal(printable('café 模型 👩‍👧', true), 'café 模型 👩‍👧');
  assert.equal(printable('\ud800', true), '\\ud800');
});

test('output: a wide table is cut to the terminal, between characters', async () => {
  const cells = ['模型模型模型模型模型模型模型模型', 'https://localhost:12345/api/v1/service/diabetes/score'];
  const result: Result = {
    kind: 'value',
    value: [],
    view: { kind: 'rows', columns: ['NAME', 'URI'], rows: [cells], empty: '' },
  };
  const lines = (await output(result, 'table', undefined, { isTerminal: true, columns: 40 })).split('\n');
  assert.equal(lines[1], '模型模型模型模型模…  https://localhost:…');
});

test('output: a narrow terminal loses the columns that say least before a cell is cut', async () => {
  const result: Result = {
    kind: 'value',
    value: [],
    view: {
      kind: 'rows',
      columns: ['NAME', 'STATE', 'URI'],
      rows: [['x', 'Healthy', 'http://x/score']],
      expendable: ['STATE'],
      empty: '',
    },
  };
  const at = (columns: number) => output(result, 'table', undefined, { isTerminal: true, columns });
  assert.equal(await at(80), 'NAME  STATE    URI\nx     Healthy  http://x/score\n');
  assert.equal(await at(24), 'NAME  URI\nx     http://x/score\n');
});

test('output: a log keeps its colours at a terminal and loses everything else', () => {
  const line = '\u001b[31mred\u001b[0m \u001b[2Jgone \u001b]8;;http://x\u0007link\tend';
  assert.equal(
    printableLog(line, true),
    '\u001b[31mred\u001b[0m \\x1b[2Jgone \\x1b]8;;http://x\\x07link\tend\u001b[0m',
  );
  assert.equal(printableLog(line, false), 'red \\x1b[2Jgone \\x1b]8;;http://x\\x07link\tend');
});

const FAILURE = new AksmlError(
  'deployment.failed',
  'diabetes is Unhealthy: UserScriptInitFailed: init() raised KeyError.',
  {
    subject: 'diabetes',
    remedy: 'Correct the script and deploy it again.',
    logTail: ['Traceback (most recent call last):', "KeyError: 'x'\u001b[2J"],
  },
);

test('errors: what failed, the log that shows it, and what to do', () => {
  const { terminal } = fakeTerminal();
  assert.equal(
    renderError(FAILURE, terminal, {}),
    "Error: diabetes is Unhealthy: UserScriptInitFailed: init() raised KeyError.\n  │ Traceback (most recent call last):\n  │ KeyError: 'x'\\x1b[2J\nCorrect the script and deploy it again.\n",
  );
});

test('errors: the same facts as JSON', () => {
  const { terminal } = fakeTerminal();
  const { error } = JSON.parse(renderError(FAILURE, terminal, { format: 'json' }));
  assert.deepEqual(error, FAILURE.toJSON());
});

test('errors: every problem has its place', () => {
  const { terminal } = fakeTerminal();
  const problem = {
    severity: 'warning',
    code: 'x',
    file: 'deploymentconfig.json',
    path: 'autoScaler.minReplicas',
    line: 4,
    message: 'It is a text.',
    remedy: 'Write a number.',
  } as const;
  assert.equal(
    renderProblem(problem, terminal),
    'Warning: deploymentconfig.json:4 autoScaler.minReplicas: It is a text. Write a number.',
  );
});

test('progress: a pipe gets plain lines', () => {
  const { terminal, written } = fakeTerminal();
  let time = 0;
  const { onProgress } = openProgress(terminal, { verbose: false, now: () => time });
  onProgress({ type: 'start', stage: 'environment', label: 'Installing the environment' });
  onProgress({ type: 'progress', stage: 'environment', done: 1, total: 2, unit: 'packages' });
  onProgress({ type: 'log', stage: 'environment', source: 'uv', line: 'Resolved 3 packages' });
  time = 2500;
  onProgress({ type: 'done', stage: 'environment', reused: false, detail: '3 packages' });
  onProgress({ type: 'start', stage: 'watch', label: 'Waiting for x' });
  onProgress({ type: 'log', stage: 'watch', source: 'x-1', line: 'loading' });
  onProgress({ type: 'state', endpoint: 'x', state: 'Transitioning', detail: '0/1 replicas ready' });
  assert.equal(
    written.error,
    'Installing the environment …\n✓ Installing the environment: 3 packages 2.5 s\nWaiting for x …\nx: Transitioning, 0/1 replicas ready\n',
  );
  assert.equal(written.out, '');
});

test('progress: who asks for it gets the log, in which nothing can steer the terminal', () => {
  const { terminal, written } = fakeTerminal();
  const { onProgress } = openProgress(terminal, { verbose: true, now: () => 0 });
  onProgress({ type: 'log', stage: 'watch', source: 'x-1', line: 'loading\u001b[2J' });
  assert.equal(written.error, '  x-1 │ loading\\x1b[2J\n');
});

test('progress: a terminal gets one moving line, which is gone in the end', () => {
  const { terminal, written } = fakeTerminal({ isTerminal: true, columns: 30, unicode: false });
  const display = openProgress(terminal, { verbose: false, now: () => 0 });
  display.onProgress({ type: 'start', stage: 'image', label: 'Composing the image of this service' });
  display.close();
  assert.equal(written.error, '\r\u001b[K| Composing the image of t...\r\u001b[K');
});

test('colours: NO_COLOR, FORCE_COLOR, dumb terminals', () => {
  assert.deepEqual(
    [
      wantsColor({}, true),
      wantsColor({}, false),
      wantsColor({ NO_COLOR: '1' }, true),
      wantsColor({ FORCE_COLOR: '1' }, false),
      wantsColor({ TERM: 'dumb' }, true),
      wantsColor({ NO_COLOR: '1', FORCE_COLOR: '1' }, true),
    ],
    [true, false, false, true, false, false],
  );
});

test('characters: the locale says what can be shown', () => {
  assert.deepEqual(
    [
      showsUnicode({ LANG: 'C.UTF-8' }, 'linux'),
      showsUnicode({ LANG: 'C' }, 'linux'),
      showsUnicode({ LC_ALL: 'POSIX', LANG: 'en_US.UTF-8' }, 'linux'),
      showsUnicode({}, 'win32'),
      showsUnicode({ WT_SESSION: 'x' }, 'win32'),
    ],
    [true, false, false, false, true],
  );
});

test('a text of its own is printed as it is, except where JSON or YAML is asked for', async () => {
  const written = async (format: Format | undefined) => {
    const { terminal, written } = fakeTerminal();
    await writeResult({ kind: 'text', text: 'a 1\nb 2\n' }, { format, query: undefined }, terminal);
    return written.out;
  };
  for (const format of [undefined, 'table', 'tsv'] as const) assert.equal(await written(format), 'a 1\nb 2\n');
  assert.equal(await written('json'), '"a 1\\nb 2\\n"\n');
});
