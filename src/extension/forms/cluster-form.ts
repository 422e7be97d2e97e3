import { homedir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import * as vscode from 'vscode';
import type { WorkspaceScope } from '../../contract/engine-api.ts';
import { CLUSTER_FORM } from '../../contract/webview/cluster.ts';
import type { FormKind } from './form-panel.ts';
import { TrackedRun } from './tracked-run.ts';

const t = vscode.l10n.t;

export const CLUSTER_SCOPE = v.object({ folder: v.string(), workspace: v.optional(v.string()) });

export const CLUSTER: FormKind<typeof CLUSTER_FORM, WorkspaceScope> = {
  form: 'cluster',
  contract: CLUSTER_FORM,
  scope: CLUSTER_SCOPE,
  title: () => t('Attach Cluster'),
  serve: ({ engine }, scope, { notify }) => {
    const run = new TrackedRun((view) => notify('run', view));
    return {
      open: async () => {
        const [{ name }, targets] = await Promise.all([
          engine.request('workspace.open', scope),
          engine.request('target.list', scope),
        ]);
        return { workspace: name, taken: targets.map(({ listing }) => listing.name) };
      },
      browse: async () => {
        const chosen = await vscode.window.showOpenDialog({
          title: t('Kubeconfig'),
          defaultUri: vscode.Uri.file(join(homedir(), '.kube', 'config')),
          openLabel: t('Choose'),
        });
        return chosen?.[0] === undefined ? {} : { path: chosen[0].fsPath };
      },
      contexts: (params, signal) => engine.request('target.contexts', { ...scope, ...params }, { signal }),
      attach: ({ namespace, ...wish }) => {
        const params = { ...scope, ...wish, ...(namespace === undefined ? {} : { namespaces: [namespace] }) };
        return run.during((options) => engine.request('target.attach', params, options));
      },
      cancel: () => {
        run.cancel();
        return null;
      },
    };
  },
};
