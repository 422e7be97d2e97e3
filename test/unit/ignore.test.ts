import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseIgnoreRules } from '../../src/engine/snapshot/ignore.ts';

interface Case {
  readonly rules: string;
  readonly ignored?: readonly string[];
  readonly packed?: readonly string[];
}

const CASES: Readonly<Record<string, Case>> = {
  'a name without a slash matches at any depth, and everything below it': {
    rules: 'build',
    ignored: ['build', 'build/a', 'src/build', 'src/build/x/y'],
    packed: ['rebuild', 'build.py', 'Build'],
  },
  'a slash at the end matches only what is in a folder': {
    rules: 'build/',
    ignored: ['build/a', 'src/build/a/b'],
    packed: ['build', 'src/build'],
  },
  'a slash in front, or inside, binds to the root': {
    rules: '/a\nb/c',
    ignored: ['a', 'a/x', 'b/c', 'b/c/x'],
    packed: ['x/a', 'x/b/c'],
  },
  'a file can be kept although its folder is left out, unlike in git': {
    rules: 'build/\n!build/keep.txt',
    ignored: ['build/other.txt'],
    packed: ['build/keep.txt'],
  },
  'everything but the scripts, at any depth': {
    rules: '*\n!*.py',
    ignored: ['a.txt', 'src/a.txt'],
    packed: ['a.py', 'src/a.py', 'src/deep/a.py'],
  },
  'the last rule that matches decides': {
    rules: '!a.py\n*.py\n!b.py\nb.py',
    ignored: ['a.py', 'b.py'],
  },
  'two stars match any number of folders': {
    rules: '**/logs\na/**/z\ndata/**',
    ignored: ['logs', 'x/logs/y', 'a/z', 'a/b/c/z', 'data/x', 'data/x/y'],
    packed: ['data', 'b/a/z'],
  },
  'one star and the question mark stay within a name': {
    rules: 'a/*.py\n?.txt',
    ignored: ['a/x.py', 'b.txt', 'deep/c.txt', '😀.txt'],
    packed: ['a/b/x.py', 'bc.txt', '.txt'],
  },
  'character classes know ranges, negation and a literal bracket in front': {
    rules: '[a-c].x\n[!a-c].y\n[^z].z\n[]].w\n[a-].v',
    ignored: ['b.x', 'd.y', 'a.z', '].w', '-.v', 'a.v'],
    packed: ['d.x', 'b.y', 'z.z', 'b.v'],
  },
  'a backslash in a class is a backslash, and POSIX names are plain letters': {
    rules: '[\\].x\n[[:alpha:]]',
    ignored: ['\\.x', ':]', 'a]'],
    packed: ['].x', 'z', 'a'],
  },
  'an unclosed class is a plain bracket': { rules: 'a[b', ignored: ['a[b'], packed: ['ab'] },
  'a backslash takes the meaning from the next character': {
    rules: '\\#a\n\\!b\n\\*c\nd\\?',
    ignored: ['#a', '!b', '*c', 'd?'],
    packed: ['xc', 'dx'],
  },
  'comments and blank lines say nothing': { rules: '# a\n\n   \n/\n#b', packed: ['a', '#b', '# a'] },
  'white space around a rule goes, unless it is an escaped space at the end': {
    rules: '  a  \r\nb\\ \r\n\tc\t',
    ignored: ['a', 'b ', 'c'],
    packed: ['b', 'a  '],
  },
  'two stars with a slash leave out everything except what lies in the root': {
    rules: '**/',
    ignored: ['a/b'],
    packed: ['a'],
  },
  'upper and lower case count': { rules: '*.PY', ignored: ['a.PY'], packed: ['a.py'] },
  'composed and decomposed letters differ': { rules: 'caf\u00e9', ignored: ['caf\u00e9'], packed: ['cafe\u0301'] },
  'regular-expression characters are plain': { rules: 'a+(b)|c.$', ignored: ['a+(b)|c.$'], packed: ['aab'] },
  'a line break in a name is matched like any other character': {
    rules: 'secret/\n*.key',
    ignored: ['secret/a\nb', 'a\nb.key'],
  },
};

for (const [sentence, { rules, ignored = [], packed = [] }] of Object.entries(CASES)) {
  test(sentence, () => {
    const parsed = parseIgnoreRules(rules, '.amlignore');
    assert.deepEqual(parsed.problems, []);
    const judged = (paths: readonly string[]) => paths.map((path) => [path, parsed.ignores(path)]);
    assert.deepEqual(
      judged(ignored),
      ignored.map((path) => [path, true]),
    );
    assert.deepEqual(
      judged(packed),
      packed.map((path) => [path, false]),
    );
  });
}

test('lines that v1 could not read are errors with their line, all at once, and the others hold', () => {
  const rules = parseIgnoreRules('a\nb\\\n!\n[z-a]\nc', '.gitignore');
  assert.deepEqual(
    rules.problems.map(({ severity, code, file, line }) => [severity, code, file, line]),
    [2, 3, 4].map((line) => ['error', 'ignore.badPattern', '.gitignore', line]),
  );
  assert.ok(rules.ignores('c'));
});

test('a folder that need not be read holds nothing that would be packed', () => {
  const name = fc.stringMatching(/^[ab.!*?[\]\\/-]{1,6}$/);
  const path = fc.array(fc.constantFrom('a', 'b', 'ab', '-', '.a'), { minLength: 2, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(name, { maxLength: 4 }), path, (lines, parts) => {
      const rules = parseIgnoreRules(lines.join('\n'), '.amlignore');
      if (rules.ignoresAllBelow(parts.slice(0, -1).join('/')))
        assert.ok(rules.ignores(parts.join('/')), lines.join(' '));
    }),
    { numRuns: 3000 },
  );
});
