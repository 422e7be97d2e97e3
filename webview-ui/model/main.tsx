import { render, type VNode } from 'preact';
import { useEffect, useReducer } from 'preact/hooks';
import { AksmlError } from '../../src/contract/error.ts';
import { MODEL_FORM } from '../../src/contract/webview/model.ts';
import { failureOf } from '../components/failure.ts';
import { registerComponents } from '../components/toolkit.ts';
import { useDraft } from '../host/draft.ts';
import { connect } from '../host/host.ts';
import { MODEL_DRAFT, reduceModel, startModel, wishOf } from './model.ts';
import { ModelView } from './view.tsx';

registerComponents();
const host = connect(MODEL_FORM, MODEL_DRAFT);
const TYPING_PAUSE_MS = 300;

function RegisterModel(): VNode {
  const [state, dispatch] = useReducer(reduceModel, host.saved, startModel);
  const { path } = state.draft;
  const attempt = (work: Promise<unknown>) =>
    void work.catch((error: unknown) => {
      if (!AksmlError.isCancelled(error)) dispatch({ type: 'failed', failure: failureOf(error) });
    });
  useEffect(() => {
    host.on('run', (run) => dispatch({ type: 'run', run }));
    attempt(host.request('open', {}).then((opened) => dispatch({ type: 'opened', ...opened })));
  }, []);
  useDraft(host, () => state.draft, [state.draft]);
  useEffect(() => {
    if (path.trim() === '' || !state.isOpen) return;
    // A path that is still being typed is nothing yet, which is no failure.
    const recognize = () =>
      void host
        .request('recognize', { path })
        .then((found) => dispatch({ type: 'recognized', path, ...found }))
        .catch(() => undefined);
    const timer = setTimeout(recognize, TYPING_PAUSE_MS);
    return () => clearTimeout(timer);
  }, [path, state.isOpen]);

  const browse = async (kind: 'file' | 'folder') => {
    const chosen = await host.request('browse', { kind });
    if (chosen.path !== undefined) dispatch({ type: 'draft', changes: { path: chosen.path } });
  };
  const register = async () => {
    dispatch({ type: 'registered', model: await host.request('register', wishOf(state.draft)) });
    dispatch({ type: 'opened', known: (await host.request('open', {})).known });
  };
  return (
    <ModelView
      state={state}
      dispatch={dispatch}
      onBrowse={(kind) => attempt(browse(kind))}
      onRegister={() => attempt(register())}
      onCancel={() => attempt(host.request('cancel', {}))}
      onDeploy={(id) => attempt(host.request('deploy', { id }))}
    />
  );
}

const root = document.getElementById('form');
if (root) render(<RegisterModel />, root);
