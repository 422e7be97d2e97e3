import { render, type VNode } from 'preact';
import { useEffect, useReducer } from 'preact/hooks';
import { ROLLOUT_FORM } from '../../src/contract/webview/rollout.ts';
import { failureOf } from '../components/failure.ts';
import { registerComponents } from '../components/toolkit.ts';
import { useDraft } from '../host/draft.ts';
import { connect } from '../host/host.ts';
import { l10n } from '../host/l10n.ts';
import { isChanged, ROLLOUT_DRAFT, reduceRollout, startRollout } from './model.ts';
import { RolloutView } from './view.tsx';

registerComponents();
const host = connect(ROLLOUT_FORM, ROLLOUT_DRAFT);

function Rollout(): VNode {
  const [state, dispatch] = useReducer(reduceRollout, host.saved, startRollout);
  useEffect(() => {
    host.on('endpoint', ({ endpoint }) => dispatch({ type: 'endpoint', endpoint }));
    host.on('gone', () => dispatch({ type: 'gone' }));
    host.on('metrics', (sample) => dispatch({ type: 'metrics', sample }));
    host
      .request('open', {})
      .then(({ endpoint }) => dispatch({ type: 'endpoint', endpoint }))
      .catch((error: unknown) => dispatch({ type: 'failed', failure: failureOf(error) }));
  }, []);
  useDraft(host, () => state.endpoint && { split: isChanged(state) ? [...state.split] : [], step: state.step }, [
    state.endpoint === undefined,
    state.split,
    state.step,
  ]);

  const run = async (what: 'apply' | 'rollBack', work: () => Promise<void>) => {
    dispatch({ type: 'busy', what });
    await work().catch((error: unknown) => dispatch({ type: 'failed', failure: failureOf(error) }));
  };
  const apply = () =>
    run('apply', async () => {
      const { endpoint } = await host.request('apply', {
        percentiles: Object.fromEntries(state.split.map(({ name, share }) => [name, share])),
        defaultVersion: state.split.find(({ isDefault }) => isDefault)?.name ?? '',
        controlVersion: state.split.find(({ isControl }) => isControl)?.name ?? null,
      });
      dispatch({ type: 'applied', endpoint, text: l10n.t('The traffic is set.') });
    });
  const rollBack = (versionName: string) =>
    run('rollBack', async () => {
      await host.request('rollBack', { versionName });
      dispatch({ type: 'done', text: l10n.t('{0} runs its earlier revision again.', versionName) });
    });
  return (
    <RolloutView
      state={state}
      dispatch={dispatch}
      onApply={() => void apply()}
      onRollBack={(name) => void rollBack(name)}
    />
  );
}

const root = document.getElementById('form');
if (root) render(<Rollout />, root);
