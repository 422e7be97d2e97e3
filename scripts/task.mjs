// Entry of every npm script. Runs on any Node >= 20: installs what is missing, then hands over to the Node that the project brings along.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runToEnd } from './child.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [task, ...args] = process.argv.slice(2);
const npm = process.env['npm_execpath'];

await installDependencies();
const node = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
const { code } = await runToEnd(
  existsSync(node) ? node : process.execPath,
  [join(root, 'scripts', `${task}.ts`), ...args],
  {
    env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env['PATH'] ?? ''}` },
  },
);
process.exit(code);

async function installDependencies() {
  const stamp = join(root, 'node_modules', '.aksml-lock');
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  console.error('Installing dependencies …');
  const [command, first] = npm ? [process.execPath, [npm]] : [process.platform === 'win32' ? 'npm.cmd' : 'npm', []];
  const install = await runToEnd(command, [...first, 'ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (install.code !== 0) process.exit(install.code);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, lock);
}
