import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { shellLine } from '../../src/contract/shell-words.ts';
import { SECRET_VARIABLE, type SnippetLanguage, snippet } from '../../src/contract/snippet.ts';

const run = promisify(execFile);
const BODY = JSON.stringify({ data: [[0.5, "it's", 'ü 😀 "quoted" $HOME \\n']] });

test('a command that is printed is what a shell makes of it', { skip: process.platform === 'win32' }, async () => {
  const words = ['-p', 'my model.pkl', "it's", '$HOME', '', 'a=b', '*'];
  const { stdout } = await run('sh', ['-c', `printf '%s|' ${shellLine(words)}`]);
  assert.deepEqual(stdout.split('|').slice(0, -1), words);
});

describe('a client that is copied', () => {
  const programs: readonly (readonly [SnippetLanguage, string, (code: string) => string[]])[] = [
    ['curl', 'sh', (code) => ['-c', code]],
    ['python', 'python3', (code) => ['-c', code]],
  ];
  for (const [language, program, args] of programs) {
    for (const auth of ['key', 'none'] as const) {
      const isThere = spawnSync(language === 'curl' ? 'curl' : program, ['--version']).status === 0;
      test(`in ${language} sends what it was given, with ${auth === 'key' ? 'the key' : 'no key'}`, {
        skip: !isThere && `${language} is not installed`,
      }, async () => {
        const seen: { body: string; authorization: string | undefined; type: string | undefined }[] = [];
        const server = createServer(async (request, response) => {
          const { authorization, 'content-type': type } = request.headers;
          seen.push({ body: await text(request), authorization, type });
          response.writeHead(200, { 'content-type': 'application/json' }).end('{"answer": 1}');
        }).listen(0, '127.0.0.1');
        await once(server, 'listening');
        const uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/score`;
        try {
          const { stdout } = await run(program, args(snippet(language, { uri, auth, body: BODY })), {
            env: { ...process.env, [SECRET_VARIABLE]: 'the-key' },
          });
          assert.match(stdout, /answer.: 1/);
          assert.deepEqual(seen, [
            { body: BODY, authorization: auth === 'key' ? 'Bearer the-key' : undefined, type: 'application/json' },
          ]);
        } finally {
          server.close();
        }
      });
    }
  }

  test('in C# names the address, the key and the body', () => {
    const code = snippet('csharp', { uri: 'http://host/score', auth: 'key', body: '{"data": []}' });
    assert.match(code, /PostAsync\("http:\/\/host\/score", content\)/);
    assert.match(code, /@"\{""data"": \[\]\}"/);
    assert.match(code, new RegExp(`GetEnvironmentVariable\\("${SECRET_VARIABLE}"\\)`));
  });
});
