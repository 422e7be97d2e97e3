import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readConfiguration } from '../../src/engine/config/reader.ts';
import { type SourceValue, toPlain } from '../../src/engine/config/source.ts';
import { parseYaml11 } from '../../src/engine/config/yaml11.ts';

function read(content: string | Uint8Array) {
  return readConfiguration('file', typeof content === 'string' ? Buffer.from(content) : content);
}

function readValue(text: string): SourceValue {
  const result = read(text);
  assert.ok(result.ok, `${JSON.stringify(text)} is refused: ${JSON.stringify(result.problems)}`);
  return result.value;
}

const YAML_SCALARS: readonly (readonly [text: string, type: string, value: unknown])[] = [
  ['1e1', 'str', '1e1'],
  ['1.0e1', 'str', '1.0e1'],
  ['1.0e+1', 'float', 10],
  ['010', 'int', 8],
  ['0x1F', 'int', 31],
  ['0b11', 'int', 3],
  ['0o10', 'str', '0o10'],
  ['1:30', 'int', 90],
  ['1:30.5', 'float', 90.5],
  ['60_000', 'int', 60000],
  ['-.inf', 'float', Number.NEGATIVE_INFINITY],
  ['.nan', 'float', Number.NaN],
  ['NaN', 'str', 'NaN'],
  ['yes', 'bool', true],
  ['Off', 'bool', false],
  ['y', 'str', 'y'],
  ['tRUE', 'str', 'tRUE'],
  ['~', 'NoneType', null],
  ['2020-01-01', 'datetime.date', '2020-01-01'],
  ['2020-01-01 10:00:00', 'datetime.datetime', '2020-01-01 10:00:00'],
  ['"yes"', 'str', 'yes'],
  ["'it''s'", 'str', "it's"],
  ['"\\ud83d\\ude42"', 'str', '🙂'],
  ['!!str 5', 'str', '5'],
  ['1 // one', 'str', '1 // one'],
];

test("scalars are YAML 1.1 as v1's reader understood it", () => {
  for (const [text, type, value] of YAML_SCALARS) {
    const read = readValue(`key: ${text}`);
    assert.ok(read.type === 'dict');
    const scalar = read.entries.get('key')?.value;
    assert.deepEqual([scalar?.type, scalar && 'value' in scalar ? scalar.value : undefined], [type, value], text);
  }
});

test('what YAML refuses is read as JSON, with the rules of Python', () => {
  const result = read('{"a":\t1e1, "b": NaN, "b": "\\ud83d\\ude42"}');
  assert.ok(result.ok);
  assert.equal(result.parser, 'json');
  assert.deepEqual(toPlain(result.value), Object.assign(Object.create(null), { a: 10, b: '🙂' }));
});

const READABLE: readonly (readonly [what: string, text: string, value: object])[] = [
  ['a byte order mark', '\uFEFF{"a": 1}', { a: 1 }],
  ['trailing commas', '{"a": [1, 2,],}', { a: [1, 2] }],
  ['Python words', '{"a": True, "b": None}', { a: true, b: 'None' }],
  ['single quotes and bare keys', "{a: 'x'}", { a: 'x' }],
  ['comments with #', '# first\n{"a": 1} # last', { a: 1 }],
  ['brackets that close at the left margin', 'a: {\n"b": 1\n}\n', { a: { b: 1 } }],
  ['anchors and merge keys', 'b: &b {x: 1, y: 1}\na: {<<: *b, y: 2}', { b: { x: 1, y: 1 }, a: { x: 1, y: 2 } }],
  ['a comment right after a sign', '{"a": [#one\n1]#two\n}', { a: [1] }],
  ['a line separator where a line may end', '{\u2028"a": 1,\u2028"b": 2}', { a: 1, b: 2 }],
  ['a line separator inside quotes', '{"a": "x\u2028y"}', { a: 'x\u2028y' }],
  ['a directive of a newer YAML', '%YAML 1.2\n---\na: 1\n', { a: 1 }],
  ['a tag that leaves the type open', "a: ! '3'", { a: 3 }],
  ['a key marked as such', '{? a: 1, ?b: 2}', { a: 1, b: 2 }],
  ['a sign in brackets that is text', '{"a": -, "b": [[1]\n, [2]]}', { a: '-', b: [[1], [2]] }],
  ['a block of text that says its own indentation', 'a:\n|1-\n b\n  c\n', { a: 'b\n c' }],
  ['a list as wide as its key', 'a:\n- 1\n- b: 2\n  c: 3\n', { a: [1, { b: 2, c: 3 }] }],
  ['Windows line ends', '{\r\n"a": 1\r\n}', { a: 1 }],
];

test('files as people write them are read', () => {
  for (const [what, text, value] of READABLE) {
    assert.equal(JSON.stringify(toPlain(readValue(text))), JSON.stringify(value), what);
  }
});

const REFUSED: readonly (readonly [text: string | Uint8Array, line: number | undefined, message: RegExp])[] = [
  ['{\n  "a": 1, // one\n  "b": 2\n}', 2, /"\/\/" or "\/\*" is neither YAML nor JSON/],
  ['a: 1\n---\nb: 2\n', 2, /more than one YAML document/],
  ['a: !!python/object:os.system x', 1, /tag/],
  [Buffer.from('{"a": 1}', 'utf16le'), undefined, /UTF-8/],
  [Buffer.from('\uFEFF{"a": 1}', 'utf16le'), undefined, /UTF-16/],
  ['{\n\t"a": 1,\n}', 3, /strict JSON, because of a tab in line 2.*key in double quotes/],
  ['{\n\t"a": True\n}', 2, /"True"/],
  [`{"a": ${'['.repeat(3000)}${']'.repeat(3000)}}`, 1, /nested too deeply/],
  ['a: "x\u0001"', 1, /control character U\+0001/],
  ['a: *b', 1, /alias/],
  ['a: 1\n b: 2', 2, /not YAML: a ":" cannot stand here/],
  ['a: &b.c 1', 1, /&b\.c is no possible name of an anchor/],
  ['{"a": 1, &b\n"c": 2}', 2, /"," or "}" is expected, not ":"/],
  ['{\n"a": 1\n---\n}', 3, /document separator/],
  ['a: "x\n--- y"', 2, /document separator stands inside quotes/],
  ['{a: b?c}', 1, /"}" is expected, not "\?"/],
  ['%YAML\n---\na: 1', 1, /no possible directive/],
  ['%YAML 2.0\n---\na: 1', 1, /no possible directive/],
  ['>\nb', 2, /the end of the file is expected, not "b"/],
  ['a: 1\u2028 b: 2', 1, /not YAML/],
  ['a: &b 1\nc: &b 2', 2, /the anchor &b is given twice/],
  ['{"a": !}', 1, /no possible tag/],
  ['a: !!binary YQ', 1, /!!binary|its value does not fit it/],
  ['- 1\n-\t2', 2, /a tab is used/],
  ['a:\n  - 1\n - 2', 3, /a list item, indented like the one before|is expected/],
  ['a: "b\n', 1, /a quote is not closed/],
  ['{"a": 1', 1, /end of the file/],
];

test('what neither reader takes is refused with the line and the reason', () => {
  for (const [content, line, message] of REFUSED) {
    const result = read(content);
    assert.equal(result.ok, false, String(content).slice(0, 60));
    const [problem] = result.problems;
    assert.equal(problem?.code, 'file.unparsable');
    assert.match(problem?.message ?? '', message);
    assert.equal(problem?.line, line, problem?.message);
    assert.ok(problem?.remedy);
  }
});

test('a duplicate key is a warning at the value that does not count', () => {
  const result = read('{\n"a": {"b": 1,\n"b": 2}}');
  assert.ok(result.ok);
  assert.deepEqual(
    result.problems.map(({ severity, code, path, line }) => [severity, code, path, line]),
    [['warning', 'key.duplicate', 'a.b', 2]],
  );
});

test('an alias bomb and an alias of itself cost nothing', () => {
  const bomb = ['a0: &a0 [x]', ...Array.from({ length: 40 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`)];
  assert.ok(read(bomb.join('\n')).ok);
  for (const text of ['a: &a [*a]', '&a [*a]', 'a: &a !!omap [{x: *a}]', 'm: &m {<<: [*m, {y: 1}], x: 1}\na: *m'])
    assert.ok(read(text).ok, text);
  const loop = parseYaml11('ignored: &a {b: *a, <<: {c: 1}}\nself: &m {<<: *m, x: 1}\nz: 1');
  assert.ok(loop.type === 'dict');
  const plain = toPlain(loop) as Record<string, Record<string, unknown>>;
  assert.equal(plain['ignored']?.['b'], plain['ignored'], 'as Python has it');
  assert.deepEqual([plain['ignored']?.['c'], { ...plain['self'] }, plain['z']], [1, { x: 1 }, 1]);
  assert.throws(() => parseYaml11('&a {? *a : 1}'), /single value/);
});

test('no content makes the reader throw', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.json(),
        fc.string({ unit: fc.constantFrom(...'{}[]:,-"\'#&*!|> \n\tab1') }),
      ),
      (text) => {
        read(text);
      },
    ),
    { numRuns: 500 },
  );
});
