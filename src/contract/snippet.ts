import type { AuthMode, Endpoint } from './endpoint.ts';
import { shellWord } from './shell-words.ts';

export type SnippetLanguage = 'curl' | 'python' | 'csharp';

export interface SnippetRequest {
  readonly uri: string;
  readonly auth: AuthMode;
  /** Body of the request, JSON. */
  readonly body: string;
}

/** What a client needs to score: the address and how it is let in. The secret itself is left to an environment variable. */
export function snippet(language: SnippetLanguage, request: SnippetRequest): string {
  switch (language) {
    case 'curl':
      return curl(request);
    case 'python':
      return python(request);
    case 'csharp':
      return csharp(request);
  }
}

/** Undefined while the endpoint has no address. */
export function snippetRequest({ spec, status }: Endpoint, body: string): SnippetRequest | undefined {
  return status?.scoringUri === undefined ? undefined : { uri: status.scoringUri, auth: spec.auth, body };
}

/** The environment variable that snippets read. */
export const SECRET_VARIABLE = 'AKSML_KEY';

function curl({ uri, auth, body }: SnippetRequest): string {
  const lines = [
    `curl -X POST ${shellWord(uri)}`,
    `-H 'Content-Type: application/json'`,
    ...(auth === 'none' ? [] : [`-H "Authorization: Bearer $${SECRET_VARIABLE}"`]),
    `-d ${shellWord(body)}`,
  ];
  return `${lines.join(' \\\n  ')}\n`;
}

function python({ uri, auth, body }: SnippetRequest): string {
  const headers = [
    '"Content-Type": "application/json"',
    ...(auth === 'none' ? [] : [`"Authorization": "Bearer " + os.environ["${SECRET_VARIABLE}"]`]),
  ];
  return `import json
${auth === 'none' ? '' : 'import os\n'}import urllib.request

request = urllib.request.Request(
    ${JSON.stringify(uri)},
    data=${pythonText(body)}.encode("utf-8"),
    headers={${headers.join(', ')}},
)
with urllib.request.urlopen(request) as response:
    print(json.load(response))
`;
}

/** JSON's escapes are Python's, but for those that Python reads as two halves of one character. */
function pythonText(text: string): string {
  return JSON.stringify(text).replace(/[^\x20-\x7e]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

function csharp({ uri, auth, body }: SnippetRequest): string {
  const authorization =
    auth === 'none'
      ? ''
      : `client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue(
    "Bearer", Environment.GetEnvironmentVariable("${SECRET_VARIABLE}"));
`;
  return `using System;
using System.Net.Http;
${auth === 'none' ? '' : 'using System.Net.Http.Headers;\n'}using System.Text;

using var client = new HttpClient();
${authorization}var content = new StringContent(@"${body.replaceAll('"', '""')}", Encoding.UTF8, "application/json");
var response = await client.PostAsync(${JSON.stringify(uri)}, content);
response.EnsureSuccessStatusCode();
Console.WriteLine(await response.Content.ReadAsStringAsync());
`;
}
