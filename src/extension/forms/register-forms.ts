import * as vscode from 'vscode';
import { editorTypeOf, FORMS, viewTypeOf } from '../../contract/webview/forms.ts';
import type { AksmlWindow } from '../aksml-window.ts';

/** Opens again what was open before a reload, and makes a form an editor of both configuration files; the forms are loaded when one is needed. */
export function registerForms(window: AksmlWindow): void {
  const load = () => import('./forms.ts');
  window.context.subscriptions.push(
    ...FORMS.filter((form) => form !== 'configuration').map((form) =>
      vscode.window.registerWebviewPanelSerializer(viewTypeOf(form), {
        deserializeWebviewPanel: async (panel, state) => (await load()).restore(window, form, panel, state),
      }),
    ),
    ...(['inferenceconfig', 'deploymentconfig'] as const).map((file) =>
      vscode.window.registerCustomEditorProvider(
        editorTypeOf(file),
        {
          resolveCustomTextEditor: async (document, panel) =>
            (await load()).fillConfigurationEditor(window, document, panel),
        },
        { supportsMultipleEditorsPerDocument: true },
      ),
    ),
  );
}
