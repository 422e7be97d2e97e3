import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import { withLock } from '../../home/lock.ts';
import type { Command } from './command.ts';
import type { Preparation } from './environment.ts';
import { installRequirements } from './install.ts';
import { inspectInterpreter } from './python.ts';
import { checkServer } from './server-check.ts';
import {
  environmentFolder,
  type InstalledEnvironment,
  removeAttempts,
  shortHash,
  useInstalled,
  writeInstalled,
} from './store.ts';
import type { UvSession } from './uv-session.ts';

type Variables = Readonly<Record<string, string | undefined>>;

export interface CondaTool {
  readonly kind: 'micromamba' | 'mamba' | 'conda';
  readonly path: string;
}

/**
 * Installs an environment whose packages exist only in conda channels with the user's own micromamba, mamba or conda; the pip section and
 * the scoring server go on top with uv. The hash is that of the definition, because a conda prefix cannot be moved once it is made.
 * @throws AksmlError `environment.needsConda` | `environment.installFailed` | `environment.serverBroken`
 */
export async function installWithConda(
  preparation: Preparation,
  session: UvSession,
  key: string,
): Promise<{ readonly installed: InstalledEnvironment; readonly reused: boolean }> {
  const { tools, options, plan } = preparation;
  const tool = findCondaTool(tools.environment, tools.platform);
  if (!tool) throw needsConda(plan.conda.only);
  const hash = shortHash({ key, refreshed: options.refresh ? tools.clock().toISOString() : '' });
  return withLock(
    tools.home,
    `environment-${hash}`,
    async () => {
      const present = await useInstalled(tools.home, hash);
      if (present) return { installed: present, reused: true };
      await removeAttempts(tools.home, hash);
      const installed = await create(preparation, session, tool, hash);
      await writeInstalled(tools.home, installed);
      return { installed, reused: false };
    },
    options.signal === undefined ? {} : { signal: options.signal },
  );
}

async function create(
  preparation: Preparation,
  session: UvSession,
  tool: CondaTool,
  hash: string,
): Promise<InstalledEnvironment> {
  const { tools, options, plan, search } = preparation;
  const prefix = join(environmentFolder(tools.home, hash), `conda-${randomUUID().slice(0, 8)}`);
  await mkdir(join(prefix, '..'), { recursive: true, mode: 0o700 });
  const file = join(session.folder, 'environment.yml');
  await writeFile(file, condaFile(plan.conda), { mode: 0o600 });
  const redact = (line: string): string => withoutChannelTokens(session.redact(line));
  const result = await tools.run(createCommand(tool, prefix, file, tools.environment), {
    signal: options.signal,
    onLine: (line) =>
      options.onProgress?.({ type: 'log', stage: 'environment', source: tool.kind, line: redact(line) }),
  });
  if (result.exitCode !== 0) {
    throw new AksmlError('environment.installFailed', `${tool.kind} could not create the environment.`, {
      fault: 'input',
      remedy: 'See the log, change the conda dependencies, and run the command again.',
      logTail: redact(result.stderr || result.stdout)
        .trimEnd()
        .split('\n')
        .slice(-14),
    });
  }
  const python = tools.platform === 'win32' ? join(prefix, 'python.exe') : join(prefix, 'bin', 'python');
  const interpreter = await inspectInterpreter(search, python);
  if (!interpreter) throw new AksmlError('environment.installFailed', `${tool.kind} made no Python in ${prefix}.`);
  await installRequirements(preparation, session, python);
  const lock = await checkServer(tools, python, options.signal);
  return { hash, python, pythonVersion: interpreter.version, lock, createdTime: tools.clock().toISOString() };
}

/** Channels may hold tokens, so they go into a private file and not into the arguments. JSON is YAML, too. */
export function condaFile(conda: {
  readonly channels: readonly string[];
  readonly dependencies: readonly string[];
}): string {
  const hasPython = conda.dependencies.some((spec) => /^(\S+::)?python(?![\w.-])/.test(spec.trim()));
  return JSON.stringify({
    channels: conda.channels.length === 0 ? ['conda-forge'] : conda.channels,
    dependencies: hasPython ? conda.dependencies : ['python>=3.9,<3.14', ...conda.dependencies],
  });
}

export function createCommand(tool: CondaTool, prefix: string, file: string, environment: Variables): Command {
  const verb = tool.kind === 'micromamba' ? ['create', '--yes'] : ['env', 'create'];
  return {
    command: tool.path,
    args: [...verb, '--prefix', prefix, '--file', file],
    env: { ...environment, CONDA_ALWAYS_YES: 'true', MAMBA_ALWAYS_YES: 'true', PYTHONPATH: undefined },
  };
}

export function findCondaTool(environment: Variables, platform: NodeJS.Platform): CondaTool | undefined {
  const folders = (environment['PATH'] ?? environment['Path'] ?? '')
    .split(delimiter)
    .filter((path) => isAbsolute(path));
  const suffixes = platform === 'win32' ? ['.exe', '.bat'] : [''];
  for (const kind of ['micromamba', 'mamba', 'conda'] as const) {
    const given =
      kind === 'conda' ? environment['CONDA_EXE'] : kind === 'micromamba' ? environment['MAMBA_EXE'] : undefined;
    const candidates = folders.flatMap((folder) => suffixes.map((suffix) => join(folder, kind + suffix)));
    const path = [...(given ? [given] : []), ...candidates].find((candidate) => existsSync(candidate));
    if (path) return { kind, path };
  }
  return undefined;
}

/** Anaconda's channels carry tokens in their path: `/t/TOKEN/channel`. */
export function withoutChannelTokens(text: string): string {
  return text.replace(/\/t\/[^/\s"']+/g, '/t/****');
}

function needsConda(packages: readonly string[]): AksmlError {
  return new AksmlError(
    'environment.needsConda',
    `These packages exist only in conda channels: ${packages.join(', ')}. No micromamba, mamba or conda was found on PATH.`,
    {
      fault: 'input',
      remedy:
        'Install micromamba, mamba or conda, or remove these packages from the conda file if the scoring script does without them.',
    },
  );
}
