import * as vscode from 'vscode';
import type { EndpointScope } from '../../contract/engine-api.ts';
import type { MetricsSample } from '../../contract/metrics.ts';
import { ENDPOINT_FORM, type EndpointAction } from '../../contract/webview/endpoint.ts';
import { folderScopes } from '../scopes.ts';
import { endpointNodeId } from '../tree/nodes.ts';
import { ENDPOINT_OF_FORM, followEndpoint, followMetrics } from './endpoint-scope.ts';
import type { FormKind } from './form-panel.ts';

const COMMANDS: Readonly<Record<EndpointAction, string>> = {
  test: 'aksml.endpoint.test',
  rollout: 'aksml.endpoint.rollout',
  keys: 'aksml.endpoint.keys',
  logs: 'aksml.endpoint.logs',
  deploy: 'aksml.endpoint.deploy',
  openSwagger: 'aksml.endpoint.openSwagger',
  copyUri: 'aksml.endpoint.copyUri',
  copyCurl: 'aksml.endpoint.copyCurl',
};

/** Ten minutes, as many as the page shows. */
const MOST_SAMPLES = 600;

export const ENDPOINT: FormKind<typeof ENDPOINT_FORM, EndpointScope> = {
  form: 'endpoint',
  contract: ENDPOINT_FORM,
  scope: ENDPOINT_OF_FORM,
  title: ({ name }) => name,
  serve: (window, scope, opened) => {
    // The page is gone while it is hidden; what was measured meanwhile is here.
    const samples: MetricsSample[] = [];
    followEndpoint(window, scope, opened);
    followMetrics(window, scope, opened, (sample) => {
      samples.push(sample);
      if (samples.length > MOST_SAMPLES) samples.shift();
      opened.notify('metrics', sample);
    });
    return {
      open: async (_, signal) => ({
        endpoint: await window.engine.request('endpoint.get', scope, { signal }),
        target: scope.target,
        samples,
      }),
      act: async ({ action }) => {
        await vscode.commands.executeCommand(COMMANDS[action], nodeIdOf(scope));
        return null;
      },
    };
  },
};

/** The endpoint's node in the tree, which commands are told. */
export function nodeIdOf({ folder, workspace, target, name }: EndpointScope): string | undefined {
  const found = folderScopes().find(({ scope }) => scope.folder === folder && scope.workspace === workspace);
  return found && endpointNodeId(found.key, target, name);
}
