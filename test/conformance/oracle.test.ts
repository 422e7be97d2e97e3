import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { followsRule, IMAGE_NAME, MODEL_NAME, type NameRule, SERVICE_NAME } from '../../src/contract/names.ts';
import type { Problem } from '../../src/contract/problem.ts';
import { type Configuration, loadConfiguration } from '../../src/engine/config/configuration.ts';
import { DIFFERENCES } from '../../src/engine/config/differences.ts';
import { checkSyntax } from '../../src/engine/environments/syntax.ts';

interface Verdict {
  readonly accepted: boolean;
  readonly codes: readonly string[];
  readonly normalized?: {
    readonly sendable?: boolean;
    readonly deploy?: { readonly ok: boolean; readonly codes: readonly string[]; readonly sendable?: boolean };
  };
}

interface Expected {
  readonly dir: string;
  readonly inference: Verdict | null;
  readonly deployment: Verdict | null;
  readonly names: Readonly<Record<string, { readonly accepted: boolean; readonly value: string }>> | null;
}

const ORACLE = join(import.meta.dirname, '..', '..', '..', 'shared', 'fixtures', 'oracle');
const skip = existsSync(ORACLE) ? false : 'the verdicts of the SDK are not on this machine';
const RULES: Readonly<Record<string, NameRule>> = {
  serviceName: SERVICE_NAME,
  versionName: SERVICE_NAME,
  modelName: MODEL_NAME,
  imageName: IMAGE_NAME,
};

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aksml-oracle-'));
});
after(() => rm(folder, { recursive: true, force: true }));

test("every verdict is the SDK's, or the difference is in the table of differences", { skip }, async (context) => {
  const lines = (await readFile(join(ORACLE, 'expected.jsonl'), 'utf8')).split('\n').filter(Boolean);
  const check = checkSyntax('python3', process.env);
  const hasMatch = await understandsMatch(check);
  const disagreements: string[] = [];
  const used = new Map<string, number>();
  for (const line of lines) {
    const expected: Expected = JSON.parse(line);
    if (!expected.inference && !expected.deployment) continue;
    if (expected.dir.includes('script-match') && !hasMatch) {
      context.diagnostic(`${expected.dir} left out: it needs the syntax of Python 3.10`);
      continue;
    }
    const configuration = await load(expected, check);
    for (const part of ['inference', 'deployment'] as const) {
      const verdict = expected[part];
      if (verdict) judge(expected.dir, part, verdict, configuration, disagreements, used);
    }
  }
  context.diagnostic(`${lines.length} cases; differences: ${JSON.stringify(Object.fromEntries(used))}`);
  assert.deepEqual(disagreements, []);
});

test("names are judged as the SDK's", { skip }, async () => {
  const lines = (await readFile(join(ORACLE, 'expected.jsonl'), 'utf8')).split('\n').filter(Boolean);
  for (const line of lines) {
    const { dir, names }: Expected = JSON.parse(line);
    for (const [kind, { accepted, value }] of Object.entries(names ?? {})) {
      const rule = RULES[kind];
      assert.ok(rule, `${dir}: no rule for ${kind}`);
      assert.equal(followsRule(rule, value), accepted, `${dir}: ${kind} ${JSON.stringify(value)}`);
    }
  }
});

/** The syntax is that of the Python at hand, as with the SDK. */
async function understandsMatch(check: ReturnType<typeof checkSyntax>): Promise<boolean> {
  const script = join(folder, 'match_statement.py');
  await writeFile(script, 'match 1:\n    case 1:\n        pass\n');
  return (await check(script)).ok;
}

async function load(expected: Expected, check: ReturnType<typeof checkSyntax>): Promise<Configuration> {
  // A copy outside any repository: paths must not be found in folders above.
  const home = join(folder, expected.dir);
  await cp(join(ORACLE, 'cases', expected.dir), home, { recursive: true });
  const files = await readdir(home);
  const { cwd = '.' }: { cwd?: string } = JSON.parse(await readFile(join(home, 'case.json'), 'utf8'));
  return loadConfiguration({
    ...(files.includes('inferenceconfig.json') ? { inferenceConfigFile: join(home, 'inferenceconfig.json') } : {}),
    ...(files.includes('deploymentconfig.json') ? { deploymentConfigFile: join(home, 'deploymentconfig.json') } : {}),
    flags: {},
    cwd: join(home, cwd),
    checkSyntax: check,
  });
}

function judge(
  dir: string,
  part: 'inference' | 'deployment',
  verdict: Verdict,
  configuration: Configuration,
  disagreements: string[],
  used: Map<string, number>,
): void {
  const problems = configuration.problems.filter(({ file }) =>
    part === 'deployment' ? file?.endsWith('deploymentconfig.json') : !file?.endsWith('deploymentconfig.json'),
  );
  const errors = problems.filter(({ severity }) => severity === 'error');
  const codes = errors.map(({ code }) => code);
  const deploy = verdict.normalized?.deploy;
  const isAccepted = errors.length === 0;
  if (verdict.accepted === isAccepted) {
    const missing = verdict.codes.filter((code) => !codes.includes(code));
    if (missing.length > 0) disagreements.push(`${dir} ${part}: ${missing} not among ${codes}`);
    return;
  }
  const kind = isAccepted ? 'accepted' : 'refused';
  const failedLater = deploy?.ok === false || deploy?.sendable === false || verdict.normalized?.sendable === false;
  const difference = DIFFERENCES.find((candidate) => candidate.kind === kind && tellsOf(candidate, problems));
  if (difference && (kind === 'accepted' || failedLater)) used.set(difference.id, (used.get(difference.id) ?? 0) + 1);
  else
    disagreements.push(
      `${dir} ${part}: the SDK ${verdict.accepted ? 'accepts' : 'refuses'} (${verdict.codes}), we say ${codes}`,
    );
}

function tellsOf(
  difference: { readonly id: string; readonly codes: readonly string[] },
  problems: readonly Problem[],
): boolean {
  return problems.some(({ code }) => code === `difference.${difference.id}` || difference.codes.includes(code));
}
