import { spawnSync } from 'node:child_process';

/** Types, lint and formatting. */
for (const [command, ...args] of [
  ['tsc', '-p', '.'],
  ['tsc', '-p', 'webview-ui'],
  ['biome', 'check', '--error-on-warnings', '.'],
] as const) {
  const { status } = spawnSync(`node_modules/.bin/${command}`, args, { stdio: 'inherit', shell: false });
  if (status !== 0) process.exit(status ?? 1);
}
