import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boolean, filters, flag, integer, number, type OptionTable, pairs, text, texts } from '../../src/cli/option.ts';
import { parseOptions } from '../../src/cli/parse.ts';

const TABLE = {
  name: text({ aliases: ['n'], required: true, help: '' }),
  inferenceConfigFile: text({ aliases: ['ic'], help: '' }),
  imageName: text({ aliases: ['in'], help: '' }),
  model: texts({ aliases: ['m'], help: '' }),
  modelName: text({ help: '' }),
  numLines: integer({ aliases: ['l'], help: '' }),
  memoryGb: number({ aliases: ['gb'], help: '' }),
  authEnabled: boolean({ aliases: ['ae'], help: '' }),
  noWait: flag({ help: '' }),
  yes: flag({ aliases: ['y'], help: '' }),
  init: flag({ aliases: ['i'], help: '' }),
  output: text({ aliases: ['o'], help: '' }),
  tag: pairs({ help: '' }),
  property: filters({ help: '' }),
  primaryKey: text({ aliases: ['kp'], fromFile: true, secret: true, help: '' }),
  location: text({ aliases: ['lo'], effect: { kind: 'noEffect', reason: 'there is none' }, help: '' }),
  sslEnabled: boolean({ effect: { kind: 'noEffect', reason: 'there is none' }, help: '' }),
  isMigration: boolean({ effect: { kind: 'refused', reason: 'it stays' }, help: '' }),
} satisfies OptionTable;

async function parse(argv: readonly string[]) {
  const files: Readonly<Record<string, string>> = { 'key.txt': 'secret\n' };
  const { values, problems } = await parseOptions(TABLE, ['-n', 'x', ...argv], async (path) => files[path] ?? '');
  const { name, ...rest } = values;
  return { name, rest, codes: problems.map(({ code }) => code), problems };
}

const ACCEPTED: readonly [what: string, argv: readonly string[], values: Readonly<Record<string, unknown>>][] = [
  ['a long name', ['--inference-config-file', 'f.json'], { inferenceConfigFile: 'f.json' }],
  ['a long name with its value attached', ['--inference-config-file=f=g.json'], { inferenceConfigFile: 'f=g.json' }],
  ['an unambiguous beginning, as v1 did', ['--inference-config', 'f.json'], { inferenceConfigFile: 'f.json' }],
  ['a two-letter form with one dash', ['-ic', 'f.json'], { inferenceConfigFile: 'f.json' }],
  ['a two-letter form with two dashes', ['--ic', 'f.json'], { inferenceConfigFile: 'f.json' }],
  ['a two-letter form with its value attached', ['-ic=f.json'], { inferenceConfigFile: 'f.json' }],
  ['a two-letter form that begins like another letter', ['-in', 'image'], { imageName: 'image' }],
  ['underscores', ['--num_lines', '7'], { numLines: 7 }],
  ['hyphens', ['--num-lines', '7'], { numLines: 7 }],
  ['a value behind its letter', ['-oJSON'], { output: 'JSON' }],
  ['switches in one word', ['-yi'], { yes: true, init: true }],
  ['switches and a value in one word', ['-yl5'], { yes: true, numLines: 5 }],
  ['repetition', ['-m', 'a:1', '--model', 'b'], { model: ['a:1', 'b'] }],
  ['true in any case', ['--ae', 'TRUE'], { authEnabled: true }],
  ['false', ['--auth-enabled=False'], { authEnabled: false }],
  ['a boolean alone', ['--ae', '--no-wait'], { authEnabled: true, noWait: true }],
  ['a flag with a value', ['--no-wait', 'false'], { noWait: false }],
  ['a number with a fraction', ['--gb', '.5'], { memoryGb: 0.5 }],
  ['a negative number', ['--gb', '-1.5'], { memoryGb: -1.5 }],
  ['a value that begins with a dash', ['--model-name', '-rf'], { modelName: '-rf' }],
  ['pairs, split at the first equals sign', ['--tag', 'a=b=c', '--tag', 'd='], { tag: { a: 'b=c', d: '' } }],
  ['filters', ['--property', 'a', '--property', 'b=1'], { property: [{ key: 'a' }, { key: 'b', value: '1' }] }],
  ['a secret from a file, without its line break', ['--kp', '@key.txt'], { primaryKey: 'secret' }],
  ['an empty text', ['--model-name', ''], { modelName: '' }],
];

for (const [what, argv, values] of ACCEPTED) {
  test(`options: ${what}: ${argv.join(' ')}`, async () => {
    const { rest, codes } = await parse(argv);
    assert.deepEqual({ rest, codes }, { rest: values, codes: [] });
  });
}

test('options: a pair named like a prototype is a pair', async () => {
  const { rest } = await parse(['--tag', '__proto__=x']);
  assert.deepEqual(Object.entries(rest['tag'] as object), [['__proto__', 'x']]);
});

const REFUSED: readonly [what: string, argv: readonly string[], code: string, remedy?: RegExp][] = [
  ['an unknown option', ['--nmae', 'x'], 'option.unknown', /Did you mean --name/],
  ['a long name with one dash', ['-model-name', 'x'], 'option.unknown', /Did you mean --model-name/],
  ['an ambiguous beginning', ['--mod', 'x'], 'option.ambiguous'],
  ['a missing value at the end', ['-m'], 'option.valueMissing'],
  ['a missing value before an option', ['-m', '--no-wait'], 'option.valueMissing'],
  ['a word that belongs nowhere', ['stray'], 'argument.unexpected'],
  ['text for a whole number', ['-l', '3.5'], 'option.valueInvalid'],
  ['an empty number', ['--gb', ''], 'option.valueInvalid'],
  ['hexadecimal', ['--gb', '0x10'], 'option.valueInvalid'],
  ['infinity', ['--gb', 'Infinity'], 'option.valueInvalid'],
  ['a pair without a value', ['--tag', 'a'], 'option.valueInvalid'],
  ['an option that cannot be obeyed', ['--is-migration', 'true'], 'option.refused'],
];

for (const [what, argv, code, remedy] of REFUSED) {
  test(`options refuse ${what}: ${argv.join(' ')}`, async () => {
    const { codes, problems } = await parse(argv);
    assert.deepEqual(codes, [code]);
    assert.equal(problems[0]?.severity, 'error');
    if (remedy) assert.match(problems[0]?.remedy ?? '', remedy);
  });
}

const WARNED: readonly [what: string, argv: readonly string[], code: string][] = [
  ['an option without effect', ['--lo', 'westeurope'], 'option.noEffect'],
  ['a boolean that v1 took for not given', ['--ae', 'yes'], 'option.valueIgnored'],
  ['an option given twice', ['--model-name', 'a', '--model-name', 'b'], 'option.repeated'],
];

for (const [what, argv, code] of WARNED) {
  test(`options warn about ${what}: ${argv.join(' ')}`, async () => {
    const { codes, problems } = await parse(argv);
    assert.deepEqual(codes, [code]);
    assert.equal(problems[0]?.severity, 'warning');
  });
}

test('options: a false boolean needs no word about what it cannot have', async () => {
  const { codes } = await parse(['--ssl-enabled', 'false', '--is-migration', 'False']);
  assert.deepEqual(codes, []);
});

test('options: everything that is wrong is told at once', async () => {
  const { problems } = await parseOptions(TABLE, ['--nmae', 'x', '-l', 'many', '--tag', 'a'], async () => '');
  assert.deepEqual(
    problems.map(({ code }) => code),
    ['option.unknown', 'option.valueInvalid', 'option.valueInvalid', 'option.missing'],
  );
});
