import * as v from 'valibot';
import { FormCaller, type FormContract } from '../../src/contract/webview/channel.ts';
import { useBundle } from './l10n.ts';

/** What VS Code gives a webview, once a page. */
interface VsCodeApi {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}

declare function acquireVsCodeApi(): VsCodeApi;

const BOOT = v.object({
  l10n: v.record(v.string(), v.union([v.string(), v.object({ message: v.string() })])),
  /** What the panel was opened for; kept in the page's state, so that it comes back after a reload. */
  scope: v.unknown(),
});

/** The extension as a form sees it. */
export interface Host<C extends FormContract, S> {
  readonly request: FormCaller<C>['request'];
  readonly on: FormCaller<C>['on'];
  /** What {@link Host.save} kept before a reload; undefined on the first day, or when it is of another shape. */
  readonly saved: S | undefined;
  /** Keeps what the user would miss after a reload. Never a secret. */
  save(draft: S): void;
}

export function connect<C extends FormContract, S>(contract: C, draft: v.GenericSchema<unknown, S>): Host<C, S> {
  const api = acquireVsCodeApi();
  const boot = v.parse(BOOT, JSON.parse(document.getElementById('boot')?.textContent ?? '{}'));
  useBundle(boot.l10n);
  const caller = new FormCaller(contract, (message) => api.postMessage(message));
  window.addEventListener('message', ({ data }) => caller.receive(data));
  const before = v.safeParse(v.object({ draft }), api.getState());
  if (!before.success) api.setState({ scope: boot.scope });
  return {
    request: caller.request.bind(caller),
    on: caller.on.bind(caller),
    saved: before.success ? before.output.draft : undefined,
    save: (next) => api.setState({ scope: boot.scope, draft: next }),
  };
}
