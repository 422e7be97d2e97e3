import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseIgnoreRules } from '../../src/engine/snapshot/ignore.ts';

/** Kept between runs, because installing it takes seconds. */
const VENV = join(tmpdir(), 'aksml-test-pathspec-0');
const PYTHON = process.platform === 'win32' ? join(VENV, 'Scripts', 'python.exe') : join(VENV, 'bin', 'python');

const JUDGE = `
import json, sys, warnings, pathspec
warnings.simplefilter('ignore')
for line in sys.stdin:
    case = json.loads(line)
    try:
        spec = pathspec.PathSpec.from_lines('gitwildmatch', case['lines'])
        print(json.dumps([spec.match_file(path) for path in case['paths']]))
    except Exception as error:
        print(json.dumps(type(error).__name__))
`;

const ATOMS = [
  ...[
    'a',
    'b',
    'c',
    'A',
    'build',
    '.py',
    '.',
    '-',
    '*',
    '**',
    '***',
    '?',
    '[ab]',
    '[!a]',
    '[^b]',
    '[a-c]',
    '[]a]',
    '[!]a]',
  ],
  ...[
    '[a-',
    '[z-a]',
    '[',
    ']',
    '[\\-a]',
    '[--a]',
    '[a-]',
    '[a-c-e]',
    '[[:alpha:]]',
    '[a&&b]',
    '[a||b]',
    '\\',
    '\\*',
    '\\ ',
  ],
  ...[
    ' ',
    '#',
    '!',
    'é',
    'e\u0301',
    '𝒳',
    '[é-𝒳]',
    '\t',
    '\ufeff',
    '\u00a0',
    '\u0085',
    '\x1c',
    '(',
    '+',
    '|',
    '$',
    '^',
    '{',
    '~',
  ],
];
const NAMES = [
  'a',
  'b',
  'c',
  'A',
  'build',
  '.py',
  '-',
  'é',
  'e\u0301',
  '𝒳',
  '[',
  ']',
  '\\',
  '*',
  '!',
  '#',
  ' ',
  '(',
  '+',
  '\ufeff',
  'z',
];

const segment = fc.array(fc.constantFrom(...ATOMS), { maxLength: 4 }).map((atoms) => atoms.join(''));
const folder = fc.constantFrom('**', '*', 'a', 'b', 'build', '');
const pattern = fc
  .tuple(
    fc.constantFrom('', '', '', '!', '/', '!/', ' '),
    fc.array(fc.oneof(segment, folder), { minLength: 1, maxLength: 4 }),
    fc.constantFrom('', '', '', '/', '/*', '/**', ' ', '\\ '),
  )
  .map(([start, parts, end]) => start + parts.join('/') + end);
const path = fc
  .array(
    fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }).map((parts) => parts.join('')),
    { minLength: 1, maxLength: 4 },
  )
  .map((parts) => parts.join('/'));
const cases = fc.record({
  lines: fc.array(pattern, { minLength: 1, maxLength: 3 }),
  paths: fc.array(path, { minLength: 20, maxLength: 20 }),
});

test('the rules judge as the library that v1 used, pathspec before 1.0', async (t) => {
  const missing = await installPathspec();
  if (missing !== undefined) {
    t.diagnostic(missing);
    t.skip(missing);
    return;
  }
  const samples = fc.sample(cases, 5000);
  const input = samples.map((sample) => JSON.stringify(sample)).join('\n');
  const judged = spawnSync(PYTHON, ['-c', JUDGE], { input, encoding: 'utf8', maxBuffer: 2 ** 28 });
  assert.equal(judged.status, 0, judged.stderr);
  const verdicts = judged.stdout.trim().split('\n');
  assert.equal(verdicts.length, samples.length);
  for (const [index, { lines, paths }] of samples.entries()) {
    const rules = parseIgnoreRules(lines.join('\n'), '.amlignore');
    const verdict: unknown = JSON.parse(verdicts[index] ?? '');
    const ours = rules.problems.length > 0 ? 'refused' : paths.map((path) => rules.ignores(path));
    assert.deepEqual(ours, typeof verdict === 'string' ? 'refused' : verdict, JSON.stringify({ lines, paths }));
  }
});

/** What is in the way, if anything is. */
async function installPathspec(): Promise<string | undefined> {
  const isThere = () => spawnSync(PYTHON, ['-c', 'import pathspec']).status === 0;
  if (existsSync(PYTHON) && isThere()) return undefined;
  await rm(VENV, { recursive: true, force: true });
  const python = process.platform === 'win32' ? 'python' : 'python3';
  const steps = [
    [python, '-m', 'venv', VENV],
    [PYTHON, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', 'pathspec<1'],
  ] as const;
  for (const [command, ...args] of steps) {
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
    if (status !== 0) return `pathspec could not be installed: ${(stderr ?? '').trim().split('\n').at(-1) ?? command}`;
  }
  return isThere() ? undefined : 'pathspec was installed but cannot be imported';
}
