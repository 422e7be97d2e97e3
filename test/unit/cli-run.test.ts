import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Command } from '../../src/cli/command.ts';
import { COMMAND_GROUPS, fullName } from '../../src/cli/commands.ts';
import { complete } from '../../src/cli/complete.ts';
import { completionScript } from '../../src/cli/completion-scripts.ts';
import { openContext } from '../../src/cli/context.ts';
import { findCommand } from '../../src/cli/find-command.ts';
import { GLOBAL_OPTIONS } from '../../src/cli/global-options.ts';
import type { Host } from '../../src/cli/host.ts';
import { longName, type OptionTable } from '../../src/cli/option.ts';
import { runCommandLine } from '../../src/cli/run.ts';
import { tokenize } from '../../src/cli/tokenize.ts';

async function run(...argv: string[]): Promise<{ code: number; out: string; error: string }> {
  const written = { out: '', error: '' };
  const sink = (name: 'out' | 'error') => ({
    write: (text: string) => {
      written[name] += text;
    },
    isTerminal: false,
    columns: 100,
    color: false,
  });
  const host: Host = {
    environment: {},
    cwd: process.cwd(),
    platform: 'linux',
    terminal: { out: sink('out'), error: sink('error'), unicode: true },
    signal: new AbortController().signal,
    now: () => 0,
    version: '1.2.3',
    supervisorCommand: [],
    readInput: async () => new Uint8Array(),
    ask: async () => undefined,
  };
  const code = await runCommandLine(argv, host, async (forHost, globals) => openContext(forHost, globals));
  return { code, ...written };
}

test('help: the overview names every group and goes to standard output', async () => {
  for (const argv of [[], ['--help'], ['-h'], ['help']]) {
    const { code, out, error } = await run(...argv);
    assert.equal(code, 0);
    assert.equal(error, '');
    for (const { words } of COMMAND_GROUPS) assert.match(out, new RegExp(`^  ${words.join(' ')} `, 'm'));
  }
});

test('help: every command has a line of its own, options, and an example that parses', async () => {
  for (const { group, command } of await allCommands()) {
    const name = fullName(group, command);
    const { code, out } = await run(...name.split(' '), '--help');
    assert.equal(code, 0, name);
    assert.match(out, new RegExp(`^aksml ${name}: `));
    assert.ok(command.examples.length > 0, `${name} has an example`);
    for (const { line } of command.examples) {
      if (!line.startsWith(`aksml ${name}`)) continue;
      const words = line
        .replace(/ (\||>) .*/, '')
        .split(/ (?=(?:[^"']|"[^"]*"|'[^']*')*$)/)
        .slice(1);
      const found = await findCommand(COMMAND_GROUPS, words);
      assert.equal(found.kind, 'command', line);
      const { problems } = tokenize({ ...GLOBAL_OPTIONS, ...command.options }, found.rest);
      assert.deepEqual(problems, [], line);
    }
  }
});

test('help: a group without a command is bad input, and shows its commands', async () => {
  const { code, out, error } = await run('service');
  assert.deepEqual([code, out], [2, '']);
  assert.match(error, /get-logs/);
});

test('options do not share a short form within a command', async () => {
  for (const { group, command } of await allCommands()) {
    const names = Object.entries(command.options).flatMap(([key, option]) => [
      longName(key),
      ...(option.aliases ?? []),
    ]);
    assert.deepEqual(names.length, new Set(names).size, `${fullName(group, command)}: ${names.join(' ')}`);
  }
});

test('exit codes and messages of what cannot be understood', async () => {
  const cases: readonly [argv: string[], error: RegExp][] = [
    [['modle', 'list'], /There is no command "aksml modle"\.\nDid you mean "aksml model"\?/],
    [['model', 'deply'], /There is no command "aksml model deply"\.\nDid you mean "aksml model deploy"\?/],
    [['endpoint', 'list'], /There is no command "aksml endpoint list"/],
    [['service', 'show', '--nme', 'x'], /There is no option --nme. Did you mean --name\?[\s\S]*--name\/-n is required/],
    [['model', 'list', '-o', 'xml'], /"xml" is none of json, jsonc, yaml, table, tsv, none/],
    [['model', 'list', '--dataset-id', 'x'], /--dataset-id cannot be used: aksml keeps no datasets/],
  ];
  for (const [argv, message] of cases) {
    const { code, out, error } = await run(...argv);
    assert.deepEqual([code, out], [2, ''], argv.join(' '));
    assert.match(error, message);
  }
});

test('errors are JSON on standard error when JSON was asked for', async () => {
  const { code, error } = await run('model', 'deploy', '-o', 'json', '--nr', 'many');
  assert.equal(code, 2);
  const { error: parsed } = JSON.parse(error);
  assert.equal(parsed.code, 'usage');
  assert.deepEqual(
    parsed.problems.map((problem: { code: string }) => problem.code),
    ['option.valueInvalid', 'option.missing'],
  );
});

test('global options may stand before and between the words', async () => {
  const found = await findCommand(COMMAND_GROUPS, ['-o', 'json', 'endpoint', '--debug', 'realtime', 'show', '-n', 'x']);
  assert.equal(found.kind === 'command' && fullName(found.group, found.command), 'endpoint realtime show');
  assert.deepEqual(found.rest, ['-o', 'json', '--debug', '-n', 'x']);
});

test('the version', async () => {
  assert.deepEqual(await run('--version'), { code: 0, out: 'aksml 1.2.3\n', error: '' });
});

test('completion: commands, options, values', async () => {
  const lookUp = async (what: string) => (what === 'model' ? ['diabetes', 'diabetes:1'] : []);
  const texts = async (...words: string[]) =>
    (await complete(words, lookUp))
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split('\t')[0]);
  assert.deepEqual(await texts('mo'), ['model']);
  assert.deepEqual(await texts('endpoint', ''), ['realtime']);
  assert.deepEqual(await texts('model', 'de'), ['delete', 'deploy']);
  assert.deepEqual(await texts('model', 'deploy', '--autoscale-m'), [
    '--autoscale-min-replicas',
    '--autoscale-max-replicas',
  ]);
  assert.deepEqual(await texts('model', 'deploy', '-m', 'dia'), ['diabetes', 'diabetes:1']);
  assert.deepEqual(await texts('model', 'deploy', '-ae', ''), ['true', 'false']);
  assert.deepEqual(await texts('model', 'deploy', '--compute-type=a'), [
    '--compute-type=aks',
    '--compute-type=aksendpoint',
    '--compute-type=aci',
  ]);
  assert.deepEqual(await texts('model', 'deploy', '-ic', ''), [':files']);
  assert.deepEqual(await texts('completion', ''), ['bash', 'zsh', 'fish', 'pwsh']);
  assert.deepEqual(await texts('nothing', ''), []);
});

test('completion: the scripts reach it in both of their ways', async () => {
  assert.equal((await run('__complete', '--', 'model', 'sho')).out, 'show\tShow a model\n');
  assert.equal((await run('__complete', '--current=sho', '--', 'model')).out, 'show\tShow a model\n');
  assert.match((await run('__complete', '--current=', '--', 'completion')).out, /^bash\nzsh\n/);
});

test('completion: a script for each shell', async () => {
  for (const shell of ['bash', 'zsh', 'fish', 'pwsh'] as const) {
    assert.match(completionScript(shell), /aksml __complete /);
    assert.equal((await run('completion', shell)).out, completionScript(shell));
  }
});

/** v1's commands that train, or that come with clusters and with Azure. */
const NOT_HERE = /^(model profile|workspace list-keys|computetarget (?!list|show).*)$/;

test('every option of the v1 command line is known, in all its spellings', async (context) => {
  const reference = await readFile(join('..', 'shared', 'facts', 'cli-v1.md'), 'utf8').catch(() => undefined);
  if (reference === undefined) return context.skip('the reference of the v1 command line is not beside the checkout');
  const rows = [...reference.matchAll(/^\| `([^`]+)` \| ([^|]*) \| ([^|]*) \|$/gm)].filter(
    ([, name]) => !NOT_HERE.test(name ?? ''),
  );
  assert.ok(rows.length > 30);
  for (const [, name = '', required = '', optional = ''] of rows) {
    const found = await findCommand(COMMAND_GROUPS, name.split(' '));
    if (found.kind !== 'command') return assert.fail(`${name} is missing`);
    const table: OptionTable = { ...GLOBAL_OPTIONS, ...found.command.options };
    for (const [, spellings = ''] of `${required} ${optional}`.matchAll(/`(-[^`]+)`/g)) {
      const written = spellings.replace('…', '').split('/');
      // `--ic/--inference-config-file` is also written `-ic`.
      const all = written.flatMap((one) =>
        one === written[0] && written.length > 1 && one.startsWith('--') ? [one, one.slice(1)] : [one],
      );
      const keys = all.map((one) => {
        const { given, problems } = tokenize(table, [one, 'true']);
        assert.deepEqual(problems, [], `${name} ${one}`);
        return [...given.keys()].join();
      });
      assert.equal(new Set(keys).size, 1, `${name} ${spellings} is one option`);
      if (spellings.endsWith('…'))
        assert.equal(table[keys[0] ?? '']?.repeated, true, `${name} ${spellings} may be repeated`);
    }
    for (const [, spelling = ''] of required.matchAll(/`-[^`]*\/--([a-z-]+)`|`--[a-z]+\/--([a-z-]+)`/g)) {
      if (spelling)
        assert.equal(
          Object.entries(table).find(([key]) => longName(key) === spelling)?.[1].required,
          true,
          `${name} --${spelling} is required`,
        );
    }
  }
});

async function allCommands() {
  const loaded = await Promise.all(
    COMMAND_GROUPS.map(async (group) => (await group.load()).map((command: Command) => ({ group, command }))),
  );
  return loaded.flat();
}
