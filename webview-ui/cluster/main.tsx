import { render, type VNode } from 'preact';
import { useEffect, useReducer } from 'preact/hooks';
import { AksmlError } from '../../src/contract/error.ts';
import { CLUSTER_FORM } from '../../src/contract/webview/cluster.ts';
import { failureOf } from '../components/failure.ts';
import { registerComponents } from '../components/toolkit.ts';
import { useDraft } from '../host/draft.ts';
import { connect } from '../host/host.ts';
import { CLUSTER_DRAFT, reduceCluster, startCluster, wishOf } from './model.ts';
import { ClusterView } from './view.tsx';

registerComponents();
const host = connect(CLUSTER_FORM, CLUSTER_DRAFT);

function AttachCluster(): VNode {
  const [state, dispatch] = useReducer(reduceCluster, host.saved, startCluster);
  const attempt = (work: Promise<unknown>) =>
    void work.catch((error: unknown) => {
      if (!AksmlError.isCancelled(error)) dispatch({ type: 'failed', failure: failureOf(error) });
    });
  useEffect(() => {
    host.on('run', (run) => dispatch({ type: 'run', run }));
    attempt(host.request('open', {}).then((opened) => dispatch({ type: 'opened', ...opened })));
  }, []);
  const { kubeconfig } = state.draft;
  useEffect(() => {
    const named = kubeconfig.trim() === '' ? {} : { kubeconfig: kubeconfig.trim() };
    let isCurrent = true;
    // What cannot be read, perhaps because it is still being typed, has no contexts; attaching says why.
    host.request('contexts', named).then(
      (contexts) => isCurrent && dispatch({ type: 'contexts', contexts }),
      () => isCurrent && dispatch({ type: 'contexts', contexts: { names: [] } }),
    );
    return () => {
      isCurrent = false;
    };
  }, [kubeconfig]);
  useDraft(host, () => state.draft, [state.draft]);
  const browse = async () => {
    const { path } = await host.request('browse', {});
    if (path !== undefined) dispatch({ type: 'draft', changes: { kubeconfig: path } });
  };
  const attach = async () => {
    dispatch({ type: 'attached', target: await host.request('attach', wishOf(state.draft)) });
    dispatch({ type: 'opened', ...(await host.request('open', {})) });
  };
  return (
    <ClusterView
      state={state}
      dispatch={dispatch}
      onBrowse={() => attempt(browse())}
      onAttach={() => attempt(attach())}
      onCancel={() => attempt(host.request('cancel', {}))}
    />
  );
}

const root = document.getElementById('form');
if (root) render(<AttachCluster />, root);
