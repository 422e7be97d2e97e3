import * as vscode from 'vscode';
import { AksmlError } from '../../contract/error.ts';
import { type SnippetLanguage, snippet, snippetRequest } from '../../contract/snippet.ts';
import type { AksmlWindow, CommandTarget } from '../aksml-window.ts';
import { type EndpointNode, endpointOf, selected } from './pick.ts';

const t = vscode.l10n.t;
const EXAMPLE_BODY = '{"data": []}';

export async function copyUri(window: AksmlWindow, on: CommandTarget): Promise<void> {
  await copy(await uriOf(await endpointOf(window, on)), t('The scoring URI is copied.'));
}

export async function copyName(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const chosen = selected(on, 'endpoint');
  const nodes = chosen.length > 0 ? chosen : [await endpointOf(window, on)];
  const names = nodes.map(({ endpoint }) => endpoint.metadata.name);
  await vscode.env.clipboard.writeText(names.join('\n'));
}

export const copyCurl = (window: AksmlWindow, on: CommandTarget) => copySnippet(window, on, 'curl');
export const copyPython = (window: AksmlWindow, on: CommandTarget) => copySnippet(window, on, 'python');
export const copyCSharp = (window: AksmlWindow, on: CommandTarget) => copySnippet(window, on, 'csharp');

async function copySnippet(window: AksmlWindow, on: CommandTarget, language: SnippetLanguage): Promise<void> {
  const node = await endpointOf(window, on);
  const request = snippetRequest(node.endpoint, await sampleBody(node));
  if (request === undefined) throw noUri(node);
  const said =
    request.auth === 'none'
      ? t('Copied.')
      : t('Copied. It reads the key or token from the environment variable AKSML_KEY.');
  await copy(snippet(language, request), said);
}

/** A sample request beside the project's files, if there is one. */
async function sampleBody({ workspace }: EndpointNode): Promise<string> {
  const pattern = new vscode.RelativePattern(workspace.scope.folder, '**/*sample*{request,input}*.json');
  const [file] = await vscode.workspace.findFiles(pattern, '**/node_modules/**', 1);
  if (file === undefined) return EXAMPLE_BODY;
  const text = new TextDecoder().decode(await vscode.workspace.fs.readFile(file));
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return EXAMPLE_BODY;
  }
}

async function uriOf(node: EndpointNode): Promise<string> {
  const uri = node.endpoint.status?.scoringUri;
  if (uri === undefined) throw noUri(node);
  return uri;
}

function noUri({ endpoint }: EndpointNode): AksmlError {
  const { name } = endpoint.metadata;
  return new AksmlError('service.noUri', t('{0} has no scoring URI yet.', name), {
    subject: name,
    remedy: t('Wait until it is healthy.'),
  });
}

async function copy(text: string, said: string): Promise<void> {
  await vscode.env.clipboard.writeText(text);
  vscode.window.setStatusBarMessage(said, 5000);
}
