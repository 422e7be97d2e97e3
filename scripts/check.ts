import { runToEnd } from './child.mjs';

/** Types, lint and formatting. */
for (const [command, ...args] of [
  ['tsc', '-p', '.'],
  ['tsc', '-p', 'webview-ui'],
  ['biome', 'check', '--error-on-warnings', '.'],
] as const) {
  const { code } = await runToEnd(`node_modules/.bin/${command}`, args);
  if (code !== 0) process.exit(code);
}
