import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';

const skip = process.platform === 'win32' ? 'there are no signals' : false;

test('what an npm script has started is told of the signal that ends the script, and waited for', {
  skip,
}, async () => {
  const inner = `process.on('SIGTERM', () => setTimeout(() => { console.log('left'); process.exit(7); }, 50));
    setInterval(() => {}, 1000); console.log('begun');`;
  const outer = `import { runToEnd } from ${JSON.stringify(join(import.meta.dirname, '../../scripts/child.mjs'))};
    const { code, stoppedBy } = await runToEnd(process.execPath, ['--eval', ${JSON.stringify(inner)}]);
    console.log(stoppedBy); process.exit(code);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', outer], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'begun') child.kill('SIGTERM');
    lines.push(line);
  }
  assert.deepEqual(lines, ['begun', 'left', 'SIGTERM']);
  assert.deepEqual(await ended, [7, null]);
});
