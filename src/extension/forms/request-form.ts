import * as vscode from 'vscode';
import type { EndpointScope } from '../../contract/engine-api.ts';
import { REQUEST_FORM } from '../../contract/webview/request.ts';
import { ENDPOINT_OF_FORM, followEndpoint } from './endpoint-scope.ts';
import type { FormKind } from './form-panel.ts';
import { httpFile } from './http-file.ts';

const t = vscode.l10n.t;

export const REQUEST: FormKind<typeof REQUEST_FORM, EndpointScope> = {
  form: 'request',
  contract: REQUEST_FORM,
  scope: ENDPOINT_OF_FORM,
  title: ({ name }) => t('Test {0}', name),
  serve: (window, scope, opened) => {
    const { engine } = window;
    followEndpoint(window, scope, opened);
    return {
      open: async (_, signal) => ({ endpoint: await engine.request('endpoint.get', scope, { signal }) }),
      swagger: async (_, signal) => ({ ...(await engine.request('endpoint.swagger', scope, { signal })) }),
      send: (wish, signal) => engine.request('endpoint.run', { ...scope, ...wish }, { signal }),
      saveAsHttp: async (wish) => {
        const endpoint = await engine.request('endpoint.get', scope);
        const chosen = await vscode.window.showSaveDialog({
          defaultUri: vscode.Uri.joinPath(vscode.Uri.file(scope.folder), `${scope.name}.http`),
          filters: { [t('HTTP requests')]: ['http', 'rest'] },
          title: t('Save the Request'),
        });
        if (chosen === undefined) return { saved: false };
        await vscode.workspace.fs.writeFile(chosen, new TextEncoder().encode(httpFile(endpoint, wish)));
        await vscode.window.showTextDocument(chosen);
        return { saved: true };
      },
    };
  },
};
