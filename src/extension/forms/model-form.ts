import { basename } from 'node:path';
import * as v from 'valibot';
import * as vscode from 'vscode';
import { MODEL_FORM } from '../../contract/webview/model.ts';
import type { FormKind } from './form-panel.ts';
import { TrackedRun } from './tracked-run.ts';

const t = vscode.l10n.t;

export const MODEL_SCOPE = v.object({
  folder: v.string(),
  workspace: v.optional(v.string()),
  /** Absolute. */
  path: v.optional(v.string()),
});
export type ModelScope = v.InferOutput<typeof MODEL_SCOPE>;

export const MODEL: FormKind<typeof MODEL_FORM, ModelScope> = {
  form: 'model',
  contract: MODEL_FORM,
  scope: MODEL_SCOPE,
  title: () => t('Register Model'),
  serve: ({ engine }, { path, ...scope }, { notify }) => {
    const run = new TrackedRun((view) => notify('run', view));
    return {
      open: async () => {
        const models = await engine.request('model.list', { ...scope, latest: true });
        return {
          known: models.map(({ name, version }) => ({ name, version })),
          ...(path === undefined ? {} : { path }),
        };
      },
      browse: async ({ kind }) => {
        const chosen = await vscode.window.showOpenDialog({
          canSelectFiles: kind === 'file',
          canSelectFolders: kind === 'folder',
          defaultUri: vscode.Uri.file(scope.folder),
          openLabel: t('Choose'),
        });
        return chosen?.[0] === undefined ? {} : { path: chosen[0].fsPath };
      },
      recognize: async ({ path: files }) => {
        const [model] = await engine.request('model.recognize', { paths: [files] });
        return { name: suggestedName(files), ...(model == null ? {} : { model }) };
      },
      register: (wish) => run.during((options) => engine.request('model.register', { ...scope, ...wish }, options)),
      cancel: () => {
        run.cancel();
        return null;
      },
      deploy: async ({ id }) => {
        await vscode.commands.executeCommand('aksml.endpoint.deploy', undefined, { model: id });
        return null;
      },
    };
  },
};

/** The file's name as v1 allows one for models. */
export function suggestedName(path: string): string {
  return basename(path)
    .replace(/\.[^.]+$/, '')
    .replace(/[^\w.-]+/g, '-')
    .replace(/^[^a-zA-Z0-9]+/, '');
}
