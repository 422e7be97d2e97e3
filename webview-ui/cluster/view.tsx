import type { VNode } from 'preact';
import { MOST_ROUTERS } from '../../src/contract/compute-record.ts';
import { Banner, FailureBanner, Field, Head, Loading } from '../components/parts.tsx';
import { Run } from '../components/run-view.tsx';
import { Button, Dropdown, TextField } from '../components/toolkit.ts';
import { l10n } from '../host/l10n.ts';
import {
  type ClusterAction,
  type ClusterDraft,
  type ClusterState,
  draftProblem,
  REACHES,
  type Reach,
} from './model.ts';

export interface ClusterViewProps {
  readonly state: ClusterState;
  readonly dispatch: (action: ClusterAction) => void;
  readonly onBrowse: () => void;
  readonly onAttach: () => void;
  readonly onCancel: () => void;
}

export function ClusterView(props: ClusterViewProps): VNode {
  const { state, dispatch, onAttach, onCancel } = props;
  if (!state.isOpen) return <Loading title={l10n.t('Attach a cluster')} failure={state.failure} />;
  const { run, attached } = state;
  const isRunning = run?.status === 'running';
  return (
    <main>
      <Head
        title={l10n.t('Attach a cluster')}
        subtitle={l10n.t(
          'To the workspace {0}. Everybody who works in it sees the cluster; credentials stay on this machine.',
          state.workspace,
        )}
      />
      {state.failure === undefined ? null : (
        <FailureBanner failure={state.failure} onDismiss={() => dispatch({ type: 'dismiss' })} />
      )}
      {attached === undefined ? null : (
        <Banner tone="info">
          {l10n.t('{0} is attached. Choose it as the compute target of a deployment.', attached.listing.name)}
        </Banner>
      )}
      {run === undefined || !isRunning ? null : (
        <Run run={run} title={l10n.t('Attaching {0}', state.draft.name)} onCancel={onCancel} />
      )}
      <Fields {...props} />
      <footer class="footer actions">
        <Button appearance="primary" disabled={isRunning || draftProblem(state) !== undefined} onClick={onAttach}>
          {l10n.t('Attach')}
        </Button>
        <span class="muted">
          {state.draft.name === ''
            ? l10n.t('A name is needed.')
            : l10n.t("The cluster is checked first, then aksml's controller and front end are installed in it.")}
        </span>
      </footer>
    </main>
  );
}

function Fields({ state, dispatch, onBrowse }: ClusterViewProps): VNode {
  const { draft } = state;
  const problem = draftProblem(state);
  const change = (changes: Partial<ClusterDraft>) => dispatch({ type: 'draft', changes });
  const wrong = (field: 'name' | 'namespace' | 'routers') => {
    if (problem?.field !== field || draft[field] === '') return undefined;
    if (problem.kind === 'taken') return l10n.t('There is a compute target {0} already.', problem.hint);
    return problem.kind === 'number' ? l10n.t('Give a number from 1 to {0}.', MOST_ROUTERS) : problem.hint;
  };
  return (
    <section class="columns two fields-plain" aria-label={l10n.t('Cluster')}>
      <Field label={l10n.t('Name')} help={l10n.t('How deployments call it.')}>
        <TextField
          label={l10n.t('Name')}
          value={draft.name}
          invalid={wrong('name') !== undefined}
          description={wrong('name')}
          onInput={(name) => change({ name })}
        />
        {wrong('name') === undefined ? null : <p class="wrong">{wrong('name')}</p>}
      </Field>
      <Field
        label={l10n.t('Registry')}
        help={l10n.t('HOST/PREFIX that you push images to and the cluster pulls from; else the one of the workspace.')}
      >
        <TextField label={l10n.t('Registry')} value={draft.registry} onInput={(registry) => change({ registry })} />
      </Field>
      <Field
        label={l10n.t('Purpose')}
        help={l10n.t('FastProd is for production and wants 3 nodes and 12 vCPUs; DevTest makes do with one.')}
      >
        <Dropdown
          label={l10n.t('Purpose')}
          value={draft.purpose}
          choices={['FastProd', 'DevTest'].map((value) => ({ value, text: value }))}
          onChange={(purpose) => change({ purpose: purpose === 'DevTest' ? 'DevTest' : 'FastProd' })}
        />
      </Field>
      <Field
        label={l10n.t('Namespace')}
        help={l10n.t('Where endpoints go, unless a deployment configuration names another.')}
      >
        <TextField
          label={l10n.t('Namespace')}
          placeholder="default"
          value={draft.namespace}
          invalid={wrong('namespace') !== undefined}
          description={wrong('namespace')}
          onInput={(namespace) => change({ namespace })}
        />
        {wrong('namespace') === undefined ? null : <p class="wrong">{wrong('namespace')}</p>}
      </Field>
      <Field
        label={l10n.t('Kubeconfig')}
        help={l10n.t('The file that knows how to reach the cluster; your own where none is named.')}
      >
        <div class="row control">
          <TextField
            label={l10n.t('Kubeconfig')}
            placeholder="~/.kube/config"
            value={draft.kubeconfig}
            onInput={(kubeconfig) => change({ kubeconfig })}
          />
          <Button onClick={onBrowse}>{l10n.t('Browse…')}</Button>
        </div>
      </Field>
      <Field label={l10n.t('Context')} help={l10n.t('Of the kubeconfig; its current one where none is named.')}>
        <Context contexts={state.contexts} value={draft.context} onChange={(context) => change({ context })} />
      </Field>
      <Field
        label={l10n.t('Image')}
        help={l10n.t('Of what is installed in the cluster; else it is composed and pushed to the registry.')}
      >
        <TextField label={l10n.t('Image')} value={draft.image} onInput={(image) => change({ image })} />
      </Field>
      <FrontEnd draft={draft} wrong={wrong('routers')} onChange={change} />
    </section>
  );
}

interface FrontEndProps {
  readonly draft: ClusterDraft;
  /** What is wrong with the number of routers. */
  readonly wrong: string | undefined;
  readonly onChange: (changes: Partial<ClusterDraft>) => void;
}

function FrontEnd({ draft, wrong, onChange }: FrontEndProps): VNode {
  const reaches: Readonly<Record<Reach, string>> = {
    public: l10n.t('A load balancer with a public address'),
    internal: l10n.t('A load balancer inside the virtual network'),
    nodePort: l10n.t('A port of every node'),
    clusterIp: l10n.t('From within the cluster alone'),
  };
  return (
    <>
      <Field
        label={l10n.t('Front end')}
        help={l10n.t('How callers reach the endpoints. A load balancer is what the cluster has to give one for.')}
      >
        <Dropdown
          label={l10n.t('Front end')}
          value={draft.reach}
          choices={REACHES.map((value) => ({ value, text: reaches[value] }))}
          onChange={(reach) => onChange({ reach: REACHES.find((known) => known === reach) ?? 'public' })}
        />
      </Field>
      <Field
        label={l10n.t('Routers')}
        help={l10n.t(
          'How many take requests at once, 1 to {0}; else 3 for FastProd, which gets more when it needs them, and 1 for DevTest.',
          MOST_ROUTERS,
        )}
      >
        <TextField
          className="short"
          label={l10n.t('Routers')}
          inputMode="numeric"
          placeholder={draft.purpose === 'FastProd' ? '3' : '1'}
          value={draft.routers}
          invalid={wrong !== undefined}
          description={wrong}
          onInput={(routers) => onChange({ routers })}
        />
        {wrong === undefined ? null : <p class="wrong">{wrong}</p>}
      </Field>
      {draft.reach === 'internal' ? (
        <Field
          label={l10n.t('Subnet')}
          help={l10n.t('On AKS: where the load balancer has its address; else that of the nodes.')}
        >
          <TextField label={l10n.t('Subnet')} value={draft.subnet} onInput={(subnet) => onChange({ subnet })} />
        </Field>
      ) : null}
    </>
  );
}

interface ContextProps {
  readonly contexts: ClusterState['contexts'];
  readonly value: string;
  readonly onChange: (context: string) => void;
}

/** Chosen where the kubeconfig can be read, else typed. */
function Context({ contexts: { current, names }, value, onChange }: ContextProps): VNode {
  if (names.length === 0) return <TextField label={l10n.t('Context')} value={value} onInput={onChange} />;
  const none = current === undefined ? l10n.t('(not set)') : l10n.t('{0}, the current one', current);
  const others = [...new Set([...names, ...(value === '' ? [] : [value])])];
  return (
    <Dropdown
      label={l10n.t('Context')}
      value={value}
      choices={[{ value: '', text: none }, ...others.map((name) => ({ value: name, text: name }))]}
      onChange={onChange}
    />
  );
}
