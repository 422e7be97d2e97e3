import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { openHome } from '../../src/home/home.ts';
import { withLock } from '../../src/home/lock.ts';

/** VS Code 1.139.1: npm has no other package that carries a whole workbench. */
const VERSION = '4.139.1';
/** What the extension host misses most when nothing native is built: its log, and the watchdog that ends it with its parent. */
const NATIVE_MODULES = ['@vscode/spdlog', '@vscode/native-watchdog'];

/**
 * The entry script of code-server. Installed once a machine, outside of the checkout: half a gigabyte that every checkout and every run
 * shares.
 */
export async function installedCodeServer(): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'aksml');
  const folder = join(cache, `code-server-${VERSION}-node-${process.versions.modules}`);
  const entry = join(folder, 'node_modules', 'code-server', 'out', 'node', 'entry.js');
  if (await isThere(entry)) return entry;
  await withLock(openHome({ AKSML_HOME: cache }), 'code-server', async () => {
    if (await isThere(entry)) return;
    console.log(`Installing code-server ${VERSION} to ${folder} …`);
    await mkdir(cache, { recursive: true });
    const work = await mkdtemp(join(cache, '.installing-'));
    try {
      await install(work);
      await rm(folder, { recursive: true, force: true });
      await rename(work, folder);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
  return entry;
}

async function install(folder: string): Promise<void> {
  await writeFile(join(folder, 'package.json'), '{"private":true}\n');
  // Its own install script compiles more than is needed, and calls package managers that may be absent.
  await npm(folder, 'install', '--ignore-scripts', `code-server@${VERSION}`);
  const vscode = join(folder, 'node_modules', 'code-server', 'lib', 'vscode');
  await npm(vscode, 'install', '--omit=dev', '--ignore-scripts');
  await npm(join(vscode, 'extensions'), 'install', '--omit=dev', '--ignore-scripts');
  await npm(vscode, 'rebuild', ...NATIVE_MODULES).catch((error: unknown) =>
    console.log(`VS Code will run without ${NATIVE_MODULES.join(' and ')}: ${String(error)}`),
  );
}

function npm(cwd: string, ...args: readonly string[]): Promise<void> {
  const script = process.env['npm_execpath'];
  const [command, words] = script === undefined ? ['npm', args] : [process.execPath, [script, ...args]];
  const child = spawn(command, [...words, '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd,
    env: { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`npm ${args.join(' ')} ended with ${code}\n${said}`)),
    );
  });
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
