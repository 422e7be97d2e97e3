import * as vscode from 'vscode';
import type { EndpointScope } from '../../contract/engine-api.ts';
import { ROLLOUT_FORM } from '../../contract/webview/rollout.ts';
import { runOperation } from '../operation.ts';
import { ENDPOINT_OF_FORM, followEndpoint, followMetrics } from './endpoint-scope.ts';
import type { FormKind } from './form-panel.ts';

const t = vscode.l10n.t;

export const ROLLOUT: FormKind<typeof ROLLOUT_FORM, EndpointScope> = {
  form: 'rollout',
  contract: ROLLOUT_FORM,
  scope: ENDPOINT_OF_FORM,
  title: ({ name }) => t('Rollout of {0}', name),
  serve: (window, scope, opened) => {
    const { engine } = window;
    followEndpoint(window, scope, opened);
    followMetrics(window, scope, opened, (sample) => opened.notify('metrics', sample));
    return {
      open: async (_, signal) => ({ endpoint: await engine.request('endpoint.get', scope, { signal }) }),
      apply: async (split) => ({ endpoint: await engine.request('traffic.set', { ...scope, ...split }) }),
      rollBack: async ({ versionName }) => {
        await runOperation(window, t('Rolling {0} back', versionName), 'revision.rollback', { ...scope, versionName });
        return null;
      },
    };
  },
};
