import * as v from 'valibot';
import * as vscode from 'vscode';
import { type FormContract, type FormHandlers, FormServer } from '../../contract/webview/channel.ts';
import { type FormName, viewTypeOf } from '../../contract/webview/forms.ts';
import type { AksmlWindow } from '../aksml-window.ts';
import { formHtml } from './html.ts';

/** One kind of form: what it is opened for, and the extension's end of its messages. */
export interface FormKind<C extends FormContract, S> {
  readonly form: FormName;
  readonly contract: C;
  /** Of what the page keeps to be opened again after a reload. */
  readonly scope: v.GenericSchema<unknown, S>;
  title(scope: S): string;
  serve(window: AksmlWindow, scope: S, opened: OpenForm<C>): FormHandlers<C>;
}

/** A form that is open. */
export interface OpenForm<C extends FormContract> {
  readonly notify: FormServer<C>['notify'];
  /** Disposed of when the form is closed. */
  readonly subscriptions: vscode.Disposable[];
  readonly panel: vscode.WebviewPanel;
}

const open = new Map<string, vscode.WebviewPanel>();

/** Opens the form in a tab, or shows the tab that is open for the same thing. */
export function showForm<C extends FormContract, S>(window: AksmlWindow, kind: FormKind<C, S>, scope: S): void {
  const present = open.get(keyOf(kind.form, scope));
  if (present) {
    present.reveal();
    return;
  }
  const panel = vscode.window.createWebviewPanel(viewTypeOf(kind.form), kind.title(scope), vscode.ViewColumn.Active);
  fillForm(window, kind, scope, panel);
}

/** After a reload of the window: fills a tab that VS Code has kept, from what its page has kept. */
export function restoreForm<C extends FormContract, S>(
  window: AksmlWindow,
  kind: FormKind<C, S>,
  panel: vscode.WebviewPanel,
  state: unknown,
): void {
  const kept = v.safeParse(v.object({ scope: v.unknown() }), state);
  const scope = kept.success ? v.safeParse(kind.scope, kept.output.scope) : undefined;
  if (scope?.success) fillForm(window, kind, scope.output, panel);
  else panel.dispose();
}

function fillForm<C extends FormContract, S>(
  window: AksmlWindow,
  kind: FormKind<C, S>,
  scope: S,
  panel: vscode.WebviewPanel,
): void {
  const key = keyOf(kind.form, scope);
  panel.title = kind.title(scope);
  panel.iconPath = vscode.Uri.joinPath(window.context.extensionUri, 'media', 'icon.png');
  open.set(key, panel);
  const subscriptions = connectForm(window, kind, scope, panel);
  panel.onDidDispose(() => {
    open.delete(key);
    for (const subscription of subscriptions) subscription.dispose();
  });
}

/** Puts the page into a webview and answers it; what is returned ends with the webview. */
export function connectForm<C extends FormContract, S>(
  window: AksmlWindow,
  kind: Pick<FormKind<C, S>, 'form' | 'contract' | 'title' | 'serve'>,
  scope: S,
  panel: vscode.WebviewPanel,
): readonly vscode.Disposable[] {
  const { webview } = panel;
  const folder = vscode.Uri.joinPath(window.context.extensionUri, 'dist', 'webview');
  const address = (file: string) => webview.asWebviewUri(vscode.Uri.joinPath(folder, file)).toString();
  const subscriptions: vscode.Disposable[] = [];
  let server: FormServer<C> | undefined;
  const handlers = kind.serve(window, scope, {
    notify: (name, payload) => server?.notify(name, payload),
    subscriptions,
    panel,
  });
  server = new FormServer(kind.contract, (message) => void webview.postMessage(message), handlers);
  const current = server;
  subscriptions.push(
    webview.onDidReceiveMessage((message) => void current.receive(message)),
    { dispose: () => current.dispose() },
  );
  webview.options = { enableScripts: true, localResourceRoots: [folder] };
  webview.html = formHtml({
    title: kind.title(scope),
    language: vscode.env.language,
    script: address(`${kind.form}.js`),
    style: address('style.css'),
    cspSource: webview.cspSource,
    l10n: bundle(),
    scope,
  });
  return subscriptions;
}

function bundle(): Readonly<Record<string, string | { readonly message: string }>> {
  return (vscode.l10n.bundle ?? {}) as Readonly<Record<string, string | { readonly message: string }>>;
}

function keyOf(form: FormName, scope: unknown): string {
  return `${form} ${JSON.stringify(scope)}`;
}
