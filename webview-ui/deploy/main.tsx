import { render, type VNode } from 'preact';
import { useEffect, useReducer } from 'preact/hooks';
import { AksmlError } from '../../src/contract/error.ts';
import type { ConfigurationFile } from '../../src/contract/webview/configuration.ts';
import { DEPLOY_FORM } from '../../src/contract/webview/deploy.ts';
import { failureOf } from '../components/failure.ts';
import { registerComponents } from '../components/toolkit.ts';
import type { FieldSpec } from '../configuration/fields.ts';
import { useDraft } from '../host/draft.ts';
import { connect } from '../host/host.ts';
import { canDeploy, changesOf, DEPLOY_DRAFT, draftOf, reduceDeploy, startDeploy } from './model.ts';
import { DeployView } from './view.tsx';

registerComponents();
const host = connect(DEPLOY_FORM, DEPLOY_DRAFT);
const TYPING_PAUSE_MS = 200;

function Deploy(): VNode {
  const [state, dispatch] = useReducer(reduceDeploy, host.saved, startDeploy);
  const { wish } = state;
  const attempt = (work: Promise<unknown>) =>
    void work.catch((error: unknown) => dispatch({ type: 'failed', failure: failureOf(error) }));
  useEffect(() => {
    host.on('run', (run) => dispatch({ type: 'run', run }));
    host.on('choices', (choices) => dispatch({ type: 'choices', choices }));
    host.on('changed', () => dispatch({ type: 'changed' }));
    attempt(host.request('open', {}).then((opened) => dispatch({ type: 'opened', ...opened })));
  }, []);
  useDraft(host, () => (state.isOpen ? draftOf(state) : undefined), [state.isOpen, wish, state.tab]);
  useEffect(() => {
    if (!state.isOpen) return;
    const stop = new AbortController();
    const evaluate = async () => {
      try {
        dispatch({ type: 'evaluated', evaluation: await host.request('evaluate', { wish }, stop.signal) });
      } catch (error) {
        if (!AksmlError.isCancelled(error)) dispatch({ type: 'notEvaluated', failure: failureOf(error) });
      }
    };
    const timer = setTimeout(() => void evaluate(), TYPING_PAUSE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [state.isOpen, state.revision]);

  const browse = async (file: ConfigurationFile, { id, path: key }: FieldSpec) => {
    const kind = id === 'sourceDirectory' ? 'folder' : 'file';
    const { path } = await host.request('browse', { wish, file, kind, path: [...key] });
    if (path !== undefined) dispatch({ type: 'edit', file, path: key, value: path });
  };
  const browseModel = async () => {
    const { path } = await host.request('browseModel', {});
    if (path !== undefined) dispatch({ type: 'addModel', model: path });
  };
  const write = async () => {
    await host.request('write', { wish });
    dispatch({ type: 'written' });
  };
  const deploy = async () => {
    if (changesOf(state).length > 0) await write();
    await host.request('deploy', { wish: { ...wish, edits: [] } });
  };
  useEffect(() => {
    if (!state.isAwaited || state.isEvaluating) return;
    dispatch({ type: 'begun' });
    // Changes that came with the plan have not been seen.
    if (canDeploy(state) && changesOf(state).length === 0) attempt(deploy());
  }, [state.isAwaited, state.isEvaluating]);
  return (
    <DeployView
      state={state}
      dispatch={dispatch}
      onBrowse={(file, spec) => attempt(browse(file, spec))}
      onBrowseModel={() => attempt(browseModel())}
      onOpenDiff={(path) => attempt(host.request('openDiff', { wish, path }))}
      onOpenAsText={(path) => attempt(host.request('openAsText', { path }))}
      onWrite={() => attempt(write())}
      onDeploy={() => (state.isEvaluating ? dispatch({ type: 'await' }) : attempt(deploy()))}
      onCancel={() => attempt(host.request('cancel', {}))}
      onFollow={(action) => attempt(host.request('follow', { action }))}
    />
  );
}

const root = document.getElementById('form');
if (root) render(<Deploy />, root);
