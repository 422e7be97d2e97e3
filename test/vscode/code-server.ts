import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../images/docker-registry.ts';
import { installedCodeServer } from './code-server-install.ts';

export interface CodeServer {
  /** `http://127.0.0.1:PORT` */
  readonly address: string;
  /** Where the extensions are installed, a folder each. */
  readonly extensions: string;
  /** What the extension hosts and the workbench wrote to their log files. */
  logs(): Promise<string>;
  /** Ends it with everything that it started. */
  stop(): Promise<void>;
}

export interface CodeServerOptions {
  /** An empty folder of its own: settings, installed extensions, logs. */
  readonly folder: string;
  /** Packaged extensions. */
  readonly extensions: readonly string[];
  /** User settings, over those that keep a workbench quiet. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly environment: NodeJS.ProcessEnv;
}

const START_TIMEOUT_MS = 120_000;

const QUIET_SETTINGS = {
  'security.workspace.trust.enabled': false,
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.layoutControl.enabled': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.colorTheme': 'Default Dark Modern',
  'chat.disableAIFeatures': true,
  'telemetry.telemetryLevel': 'off',
  'extensions.autoCheckUpdates': false,
  'extensions.ignoreRecommendations': true,
  'git.openRepositoryInParentFolders': 'never',
  'files.simpleDialog.enable': true,
  // It would count whatever listens on this machine.
  'remote.autoForwardPorts': false,
  'window.confirmBeforeClose': 'never',
  // Windows of a test lose the focus for reasons of their own.
  'workbench.quickOpen.closeOnFocusLost': false,
} as const;

/** VS Code as a server on a loopback port, with the extensions installed as a user installs them. */
export async function startCodeServer(options: CodeServerOptions): Promise<CodeServer> {
  const entry = await installedCodeServer();
  const data = join(options.folder, 'user-data');
  const extensions = join(options.folder, 'extensions');
  const places = ['--user-data-dir', data, '--extensions-dir', extensions];
  await mkdir(join(data, 'User'), { recursive: true });
  await writeFile(
    join(data, 'User', 'settings.json'),
    JSON.stringify({ ...QUIET_SETTINGS, ...options.settings }, undefined, 2),
  );
  const environment = withoutOuterEditor(options.environment);
  for (const extension of options.extensions) {
    await ended(
      start([entry, ...places, '--install-extension', extension], options.folder, environment),
      `installing ${extension}`,
    );
  }
  const port = await freePort();
  const words = ['--auth', 'none', '--bind-addr', `127.0.0.1:${port}`, '--disable-telemetry', '--disable-update-check'];
  const server = start([entry, ...words, ...places], options.folder, environment);
  const address = `http://127.0.0.1:${port}`;
  await untilAnswering(server, `${address}/healthz`);
  return { address, extensions, logs: () => logsBelow(join(data, 'logs')), stop: () => endGroup(server.child) };
}

interface Started {
  readonly child: ChildProcess;
  readonly said: () => string;
}

/** In a process group of its own, so that nothing outlives it. */
function start(args: readonly string[], cwd: string, environment: NodeJS.ProcessEnv): Started {
  const child = spawn(process.execPath, args, {
    cwd,
    env: environment,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-20_000);
    });
  }
  return { child, said: () => said };
}

async function ended({ child, said }: Started, what: string): Promise<void> {
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`${what} ended with ${code}: ${said()}`);
}

async function untilAnswering({ child, said }: Started, url: string): Promise<void> {
  for (const deadline = Date.now() + START_TIMEOUT_MS; Date.now() < deadline; await sleep(100)) {
    if (child.exitCode !== null) throw new Error(`code-server ended with ${child.exitCode}: ${said()}`);
    const answer = await fetch(url).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok) return;
  }
  await endGroup(child);
  throw new Error(`code-server did not begin to answer: ${said()}`);
}

async function endGroup(child: ChildProcess): Promise<void> {
  const { pid } = child;
  if (pid === undefined) return;
  const runs = child.exitCode === null && child.signalCode === null;
  const closed = runs && new Promise((resolve) => child.once('close', resolve));
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
  await closed;
}

/** A terminal inside VS Code tells the programs that it starts about that VS Code. */
function withoutOuterEditor(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const own = Object.entries(environment).filter(
    ([name]) => !/^(VSCODE_|npm_|CODE_SERVER_|NODE_TEST_CONTEXT$|NODE_OPTIONS$)/.test(name),
  );
  return { ...Object.fromEntries(own), PATH: [dirname(process.execPath), environment['PATH']].join(':') };
}

async function logsBelow(folder: string): Promise<string> {
  const files = await readdir(folder, { recursive: true }).catch(() => []);
  const texts = files
    .filter((file) => file.endsWith('.log'))
    .map(async (file) => `--- ${file}\n${await readFile(join(folder, file), 'utf8')}`);
  return (await Promise.all(texts)).join('\n');
}
