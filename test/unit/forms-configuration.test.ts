import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DEPLOYMENT_KEYS } from '../../src/contract/configuration/deployment-keys.ts';
import { INFERENCE_KEYS } from '../../src/contract/configuration/inference-keys.ts';
import { configurationSchema } from '../../src/engine/config/schema.ts';
import { contentOf, difference, editedText } from '../../src/extension/forms/configuration-text.ts';
import { notationOf } from '../../src/extension/languages/notation.ts';
import { condaLists, withLists } from '../../webview-ui/configuration/conda.ts';
import { environmentReference, GROUPS, shownGroups } from '../../webview-ui/configuration/fields.ts';
import { calculate } from '../../webview-ui/configuration/model.ts';
import { otherProblems, problemsOf } from '../../webview-ui/configuration/problems.ts';

const FILE = `{
  # the cluster of the team
  "computeType": "aks", // upper case works, too
  "mystery": {"kept": true},
  "containerResourceRequirements": {
    "cpu": 0.5, # measured
    "memoryInGB": 1
  },
  "numReplicas": 2
}
`;

const EDITS: readonly (readonly [what: string, before: string, path: string, value: unknown, after: string])[] = [
  ['a value is replaced where it stands', FILE, 'containerResourceRequirements.cpu', 0.75, FILE.replace('0.5', '0.75')],
  ['the same value changes nothing', FILE, 'numReplicas', 2, FILE],
  ['a key that is not there is not taken out', FILE, 'authEnabled', undefined, FILE],
  [
    'a key is taken out, and every comment stays',
    FILE,
    'containerResourceRequirements.memoryInGB',
    undefined,
    FILE.replace(', # measured\n    "memoryInGB": 1', ' # measured'),
  ],
  [
    'a key is added at the end of its section, indented as the file is',
    FILE,
    'containerResourceRequirements.cpuLimit',
    1,
    FILE.replace('"memoryInGB": 1', '"memoryInGB": 1,\n    "cpuLimit": 1'),
  ],
  ['an empty file becomes an object', '', 'computeType', 'aks', '{\n  "computeType": "aks"\n}\n'],
  ['a file of comments, too', '# to do\n', 'computeType', 'aks', '# to do\n{\n  "computeType": "aks"\n}\n'],
  [
    'a section goes with its last key',
    '{\n\t"authEnabled": true,\n\t"autoScaler": {\n\t\t"autoscaleEnabled": true\n\t}\n}',
    'autoScaler.autoscaleEnabled',
    undefined,
    '{\n\t"authEnabled": true\n}',
  ],
  [
    'an entry of a list is replaced without its neighbours',
    '{"a": ["x", # first\n "y", "z"]}',
    'a',
    ['x', 'why', 'z'],
    '{"a": ["x", # first\n "why", "z"]}',
  ],
  ['a key beside others on one line', '{"a": { "x": 1, "y": 2 }}', 'a.x', undefined, '{"a": { "y": 2 }}'],
  ['the last key on one line', '{"a": { "x": 1, "y": 2 }}', 'a.y', undefined, '{"a": { "x": 1 }}'],
  ['a key is added on one line', '{"a": { "x": 1 }}', 'a.y', ['p', 'q'], '{"a": { "x": 1, "y": ["p", "q"] }}'],
  [
    'the comment behind the last key stays behind it',
    '{\n  "a": 1 # one\n}',
    'b',
    2,
    '{\n  "a": 1, # one\n  "b": 2\n}',
  ],
  ['a comma at the end stays one', '{\n  "a": 1,\n}', 'b', 2, '{\n  "a": 1,\n  "b": 2,\n}'],
  [
    'a key between comments goes alone',
    '{\n  # one\n  "a": 1,\n  # two\n  "b": 2\n}',
    'a',
    undefined,
    '{\n  # one\n  # two\n  "b": 2\n}',
  ],
  [
    'a section is made for its first key',
    '{\n  "a": 1\n}',
    'b.c',
    true,
    '{\n  "a": 1,\n  "b": {\n    "c": true\n  }\n}',
  ],
  ['a section that is null is replaced', '{"b": null}', 'b.c', 1, '{"b": {\n  "c": 1\n}}'],
  [
    'an entry is put between others',
    '{"a": [\n  "x", # first\n  "z"\n]}',
    'a',
    ['x', 'y', 'z'],
    '{"a": [\n  "x", # first\n  "y",\n  "z"\n]}',
  ],
  ['an entry is taken out', '{"a": ["x", "y", "z"]}', 'a', ['x', 'z'], '{"a": ["x", "z"]}'],
  ['Windows line ends stay', '{\r\n  "a": 1\r\n}\r\n', 'b', true, '{\r\n  "a": 1,\r\n  "b": true\r\n}\r\n'],
  ['a byte order mark stays', '\uFEFF{"a": 1}', 'a', 2, '\uFEFF{"a": 2}'],
  ['a # in a text is no comment', '{"a": "x # y", "b": 1}', 'b', 2, '{"a": "x # y", "b": 2}'],
];

for (const [what, before, path, value, after] of EDITS) {
  test(`editing a configuration: ${what}`, () => assert.equal(editedText(before, path.split('.'), value), after));
}

const CONTENTS: readonly (readonly [what: string, text: string, state: string, values: unknown])[] = [
  ['JSON', '{"a": 1}', 'object', { a: 1 }],
  ['JSON with both kinds of comments and a trailing comma', '{# one\n"a": 1, // two\n}', 'object', { a: 1 }],
  ['nothing', ' \n', 'object', {}],
  ['YAML in its own way', 'computeType: aks\nnumReplicas: 1\n', 'text', {}],
  ['YAML that looks like JSON', '{computeType: aks}', 'text', {}],
  ['a list', '[1]', 'text', {}],
  ['what is neither', '{"a": ', 'text', {}],
];

for (const [what, text, state, values] of CONTENTS) {
  test(`reading a configuration for the form: ${what}`, () => assert.deepEqual(contentOf(text), { state, values }));
}

test('editing a configuration: whatever is set or taken out, the rest says what it said', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd e');
  const value = fc.letrec((tie) => ({
    any: fc.oneof({ maxDepth: 2 }, fc.integer(), fc.string(), fc.boolean(), tie('list'), tie('object')),
    list: fc.array(tie('any'), { maxLength: 3 }),
    object: fc.dictionary(key, tie('any'), { maxKeys: 3, noNullPrototype: true }),
  }));
  const layout = fc.constantFrom(undefined, 2, '\t');
  fc.assert(
    fc.property(
      value.object,
      layout,
      fc.array(key, { minLength: 1, maxLength: 3 }),
      fc.option(value.any, { nil: undefined }),
      (values, indent, path, next) => {
        const commented = JSON.stringify(values, undefined, indent).replace(/,\n/g, ', # a "comment"\n');
        const after = editedText(commented, path, next);
        assert.deepEqual(contentOf(after).values, expected(values, path, next));
        if (replacesWhole(values, path)) return;
        assert.equal(after.match(/# a "comment"/g)?.length, commented.match(/# a "comment"/g)?.length);
      },
    ),
  );
});

/** A list or an object goes, with the comments in it. */
function replacesWhole(values: unknown, [key, ...rest]: readonly string[]): boolean {
  if (Array.isArray(values) || key === undefined) return typeof values === 'object';
  return typeof values === 'object' && values !== null && replacesWhole((values as Schema)[key], rest);
}

/** The same change, on plain data. */
function expected(values: unknown, path: readonly string[], value: unknown): unknown {
  const [key = '', ...rest] = path;
  const isObject = typeof values === 'object' && values !== null && !Array.isArray(values);
  const members: Record<string, unknown> = isObject ? { ...values } : {};
  if (value === undefined && !Object.hasOwn(members, key)) return values;
  if (rest.length === 0 && value !== undefined) members[key] = value;
  else if (rest.length === 0) delete members[key];
  else {
    const inner = members[key];
    members[key] = expected(inner, rest, value);
    const isEmptied = value === undefined && JSON.stringify(members[key]) === '{}' && JSON.stringify(inner) !== '{}';
    if (isEmptied) delete members[key];
  }
  return members;
}

test('the stretch in which two texts differ is the shortest', () => {
  assert.deepEqual(difference('{"a": 1}', '{"a": 12}'), { start: 7, end: 7, text: '2' });
  assert.equal(difference('x', 'x'), undefined);
});

test('the form has every key of both files, each once, as the JSON schemas have them', () => {
  const ids = (file: 'deploymentconfig' | 'inferenceconfig') =>
    GROUPS[file].flatMap(({ fields }) => fields.map(({ id }) => id));
  assert.deepEqual([...ids('deploymentconfig')].sort(), DEPLOYMENT_KEYS.map(({ path }) => path).sort());
  const inference = ids('inferenceconfig');
  assert.equal(new Set(inference).size, inference.length);
  const expected = [
    ...INFERENCE_KEYS.map(({ path }) => path).filter((path) => path !== 'environment'),
    ...leaves('environment', propertiesOf(configurationSchema('inferenceconfig'))['environment']),
  ];
  assert.deepEqual([...inference].sort(), expected.sort());
});

type Schema = Readonly<Record<string, unknown>>;

function propertiesOf(schema: unknown): Schema {
  return ((schema as Schema)['properties'] ?? {}) as Schema;
}

/** A conda environment is one field. */
function leaves(path: string, schema: unknown): string[] {
  const members = Object.entries(propertiesOf(schema));
  if (members.length === 0 || path.endsWith('condaDependencies')) return [path];
  return members.flatMap(([name, member]) => leaves(`${path}.${name}`, member));
}

test('the form shows what has an effect, what the file says, and what is searched for', () => {
  const ids = (values: Schema, query = '', showAll = false) =>
    shownGroups('deploymentconfig', values, { query, showAll }).flatMap(({ fields }) => fields.map(({ id }) => id));
  assert.ok(ids({ computeType: 'LOCAL' }).includes('port'));
  assert.ok(!ids({ computeType: 'local' }).includes('numReplicas'));
  assert.ok(ids({ computeType: 'local', numReplicas: 3 }).includes('numReplicas'));
  assert.ok(!ids({}).includes('location'));
  assert.ok(ids({}, '', true).includes('location'));
  assert.deepEqual(ids({}, 'azure REGION'), ['location']);
});

test('problems stand at their key, and at the top where no key is shown', () => {
  const at = (path: string | undefined) =>
    ({ severity: 'error', code: 'x', message: 'x', ...(path === undefined ? {} : { path }) }) as const;
  const problems = [
    at('autoScaler.minReplicas'),
    at('autoScaler'),
    at('environment.python.condaDependencies.dependencies[1]'),
    at(undefined),
  ];
  const fields = Object.values(GROUPS).flatMap((groups) => groups.flatMap((group) => group.fields));
  assert.deepEqual(problemsOf({ id: 'autoScaler.minReplicas' }, problems), [problems[0]]);
  assert.deepEqual(problemsOf({ id: 'environment.python.condaDependencies' }, problems), [problems[2]]);
  assert.deepEqual(otherProblems(fields, problems), [problems[1], problems[3]]);
});

test('the lists of a conda environment change without what stands beside them', () => {
  const conda = {
    name: 'e',
    channels: ['conda-forge'],
    dependencies: ['python=3.11', { pip: ['numpy'] }, { other: 1 }],
  };
  assert.deepEqual(condaLists(conda), { channels: ['conda-forge'], packages: ['python=3.11'], pip: ['numpy'] });
  assert.deepEqual(withLists(conda, { ...condaLists(conda), pip: ['numpy', 'scipy'] }), {
    name: 'e',
    channels: ['conda-forge'],
    dependencies: ['python=3.11', { other: 1 }, { pip: ['numpy', 'scipy'] }],
  });
  assert.equal(withLists(undefined, { channels: [], packages: [], pip: [] }), undefined);
});

test("the replica calculator gives v1's worked example, with the file's figures over the defaults", () => {
  const load = { requestsPerSecond: '20', secondsPerRequest: '10' };
  assert.equal(calculate(load, {})?.replicas, 286);
  const values = { autoScaler: { targetUtilization: 50 }, maxConcurrentRequestsPerContainer: 4 };
  assert.equal(calculate(load, values)?.replicas, 100);
  assert.equal(calculate({ ...load, secondsPerRequest: 'soon' }, {}), undefined);
});

test('an environment that says nothing but its name refers to a registered one', () => {
  const REFERENCES: readonly (readonly [environment: unknown, reference: string | undefined])[] = [
    [{ name: 'shared', version: '2' }, 'shared:2'],
    [{ name: 'shared', version: null }, 'shared'],
    [{ name: 'shared', version: '2', python: null }, 'shared:2'],
    [{ name: 'shared', docker: {} }, undefined],
    [{ version: '2' }, undefined],
    ['shared', undefined],
    [undefined, undefined],
  ];
  for (const [environment, reference] of REFERENCES) {
    assert.equal(environmentReference({ environment }), reference, JSON.stringify(environment));
  }
});

test('a configuration file is shown in the language that it is written in', () => {
  const NOTATIONS: readonly (readonly [what: string, text: string, notation: ReturnType<typeof notationOf>])[] = [
    ['JSON', '{"computeType": "aks", "description": "# no comment"}', 'json'],
    ['a comment makes YAML of it', '{\n  # agreed\n  "computeType": "aks" # and so on\n}', 'yaml'],
    ['so does a comma too many', '{"computeType": "aks",}', 'yaml'],
    ['YAML of its own', '# agreed\ncomputeType: aks\n', 'yaml'],
    ['a comment of JSON is one of neither', '{\n  // agreed\n  "computeType": "aks"\n}', undefined],
    ['what is being typed', '{"computeType": ', undefined],
    ['nothing', '\n', undefined],
  ];
  for (const [what, text, notation] of NOTATIONS) assert.equal(notationOf(text), notation, what);
});
