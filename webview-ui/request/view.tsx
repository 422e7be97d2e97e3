import type { VNode } from 'preact';
import { Icon, Spinner } from '../components/icon.tsx';
import {
  Announcement,
  Banner,
  FailureBanner,
  Head,
  Loading,
  Scroller,
  State,
  TabPanel,
  Tabs,
} from '../components/parts.tsx';
import { Button, Dropdown, TextArea, TextField } from '../components/toolkit.ts';
import { l10n } from '../host/l10n.ts';
import { bodyProblem, formatted, isFilling, type RequestAction, type RequestState } from './model.ts';

export interface RequestViewProps {
  readonly state: RequestState;
  readonly dispatch: (action: RequestAction) => void;
  readonly onSend: () => void;
  readonly onCancel: () => void;
  readonly onSave: () => void;
}

export function RequestView(props: RequestViewProps): VNode {
  const { state, dispatch } = props;
  const { endpoint } = state;
  if (endpoint === undefined) return <Loading title={l10n.t('Test')} failure={state.failure} />;
  const { name } = endpoint.metadata;
  return (
    <main>
      <Head title={l10n.t('Test {0}', name)} subtitle={<span class="mono">POST {endpoint.status?.scoringUri}</span>}>
        {endpoint.status === undefined ? null : <State status={endpoint.status} />}
      </Head>
      {state.isGone ? <Banner tone="warning">{l10n.t('{0} has been deleted.', name)}</Banner> : null}
      {state.failure === undefined ? null : (
        <FailureBanner failure={state.failure} onDismiss={() => dispatch({ type: 'dismiss' })} />
      )}
      <Announcement text={state.response === undefined ? (state.done ?? '') : statusText(state.response)} />
      <div class="columns two">
        <Request {...props} />
        <div>
          <Response {...props} />
          <History {...props} />
        </div>
      </div>
    </main>
  );
}

function Request({ state, dispatch, onSend, onCancel, onSave }: RequestViewProps): VNode {
  const problem = bodyProblem(state);
  const isHeld = state.isGone || isFilling(state);
  const versions = state.endpoint?.spec.versions ?? [];
  return (
    <section aria-label={l10n.t('Request')}>
      <h2>{l10n.t('Request')}</h2>
      {versions.length < 2 ? null : (
        <div class="stack">
          <span>{l10n.t('Version')}</span>
          <Dropdown
            label={l10n.t('Version')}
            value={state.versionName ?? ''}
            choices={[
              { value: '', text: l10n.t('by the traffic rule') },
              ...versions.map(({ name }) => ({ value: name, text: name })),
            ]}
            onChange={(name) => dispatch({ type: 'version', name: name === '' ? undefined : name })}
          />
        </div>
      )}
      <TextArea
        className="wide mono"
        label={l10n.t('Body of the request')}
        description={problem}
        invalid={problem !== undefined}
        rows={14}
        value={state.body}
        onInput={(text) => dispatch({ type: 'body', text })}
        onSubmit={() => isHeld || onSend()}
      />
      <p class="problem-line muted">{problem === undefined ? '' : l10n.t('Not JSON: {0}', problem)}</p>
      <div class="actions">
        {state.isSending ? (
          <Button onClick={onCancel}>{l10n.t('Cancel')}</Button>
        ) : (
          <Button appearance="primary" disabled={isHeld} onClick={onSend}>
            <Icon name="play" /> {l10n.t('Send')}
          </Button>
        )}
        <Button disabled={state.operation?.input === undefined} onClick={() => dispatch({ type: 'sample' })}>
          {l10n.t('Use the sample')}
        </Button>
        <Button disabled={problem !== undefined} onClick={() => dispatch({ type: 'format' })}>
          {l10n.t('Format')}
        </Button>
        <Button onClick={onSave}>{l10n.t('Save as .http…')}</Button>
      </div>
      <Headers state={state} dispatch={dispatch} />
      <Schema state={state} />
    </section>
  );
}

function Headers({ state, dispatch }: Pick<RequestViewProps, 'state' | 'dispatch'>): VNode {
  return (
    <details>
      <summary>{l10n.t('Headers ({0})', state.headers.length)}</summary>
      <p class="muted">
        {state.endpoint?.spec.auth === 'none'
          ? l10n.t('No authorization is needed.')
          : l10n.t('Authorization is added when the request is sent; it never comes into this form.')}
      </p>
      <div class="pairs">
        {state.headers.map((header, index) => (
          <>
            <TextField
              label={l10n.t('Name of header {0}', index + 1)}
              value={header.name}
              onInput={(name) => dispatch({ type: 'header', index, header: { ...header, name } })}
            />
            <TextField
              label={l10n.t('Value of header {0}', index + 1)}
              value={header.value}
              onInput={(value) => dispatch({ type: 'header', index, header: { ...header, value } })}
            />
            <Button
              appearance="icon"
              label={l10n.t('Remove header {0}', index + 1)}
              onClick={() => dispatch({ type: 'removeHeader', index })}
            >
              <Icon name="close" />
            </Button>
          </>
        ))}
      </div>
      <p>
        <Button onClick={() => dispatch({ type: 'addHeader' })}>{l10n.t('Add a header')}</Button>
      </p>
    </details>
  );
}

function Schema({ state: { operation } }: Pick<RequestViewProps, 'state'>): VNode | null {
  if (operation === undefined) return null;
  return (
    <details>
      <summary>{l10n.t('Schema')}</summary>
      {(['input', 'output'] as const).map((side) => (
        <Scroller
          key={side}
          label={side === 'input' ? l10n.t('Schema of the request') : l10n.t('Schema of the response')}
        >
          <h3>{side === 'input' ? l10n.t('Request') : l10n.t('Response')}</h3>
          <pre class="log">{JSON.stringify(operation[side] ?? {}, undefined, 2)}</pre>
        </Scroller>
      ))}
    </details>
  );
}

function Response({ state, dispatch }: RequestViewProps): VNode {
  const { response } = state;
  return (
    <section aria-label={l10n.t('Response')} class="response">
      <h2>{l10n.t('Response')}</h2>
      {state.isSending ? (
        <p class="empty">
          <Spinner /> {l10n.t('Waiting for the answer…')}
        </p>
      ) : null}
      {response === undefined && !state.isSending ? (
        <p class="empty">
          {isFilling(state)
            ? l10n.t('Asking the endpoint for a sample of its input…')
            : l10n.t('Send the request to see the answer: Ctrl+Enter in the body does it, too.')}
        </p>
      ) : null}
      {response === undefined ? null : (
        <>
          <p class={`state ${response.status < 400 ? 'good' : 'bad'}`}>
            <Icon name={response.status < 400 ? 'check' : 'error'} />
            <strong>{response.status}</strong> {milliseconds(response.milliseconds)} ·{' '}
            {size(new TextEncoder().encode(response.body).length)}
          </p>
          <Tabs
            label={l10n.t('Parts of the response')}
            selected={state.tab}
            tabs={[
              { id: 'body', text: l10n.t('Body') },
              { id: 'headers', text: l10n.t('Headers ({0})', Object.keys(response.headers).length) },
            ]}
            onSelect={(tab) => dispatch({ type: 'tab', tab })}
          />
          <TabPanel id={state.tab}>
            {state.tab === 'body' ? (
              <Scroller label={l10n.t('Body of the response')}>
                <pre class="log">{formatted(response.body)}</pre>
              </Scroller>
            ) : (
              <ResponseHeaders headers={response.headers} />
            )}
          </TabPanel>
        </>
      )}
    </section>
  );
}

function ResponseHeaders({ headers }: { readonly headers: Readonly<Record<string, string>> }): VNode {
  return (
    <dl class="facts">
      {Object.entries(headers).map(([name, value]) => (
        <>
          <dt class="mono">{name}</dt>
          <dd class="mono">{value}</dd>
        </>
      ))}
    </dl>
  );
}

function History({ state, dispatch }: RequestViewProps): VNode | null {
  if (state.history.length === 0) return null;
  return (
    <section aria-label={l10n.t('History')}>
      <div class="row">
        <h2>{l10n.t('History')}</h2>
        <span class="end">
          <Button onClick={() => dispatch({ type: 'clearHistory' })}>{l10n.t('Clear')}</Button>
        </span>
      </div>
      <table>
        <thead>
          <tr>
            <th scope="col">{l10n.t('Time')}</th>
            <th scope="col">{l10n.t('Status')}</th>
            <th scope="col" class="number">
              {l10n.t('Latency')}
            </th>
            <th scope="col">{l10n.t('Request')}</th>
          </tr>
        </thead>
        <tbody>
          {state.history.map((exchange) => (
            <tr key={exchange.id}>
              <td>{new Date(exchange.time).toLocaleTimeString()}</td>
              <td>{exchange.status ?? l10n.t('none')}</td>
              <td class="number">{exchange.milliseconds === undefined ? '' : milliseconds(exchange.milliseconds)}</td>
              <td>
                <Button
                  label={l10n.t('Use again: the request of {0}', new Date(exchange.time).toLocaleTimeString())}
                  onClick={() => dispatch({ type: 'recall', exchange })}
                >
                  {l10n.t('Use again')}
                </Button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function statusText({ status, milliseconds: time }: NonNullable<RequestState['response']>): string {
  return l10n.t('Answered {0} after {1}', status, milliseconds(time));
}

function milliseconds(value: number): string {
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}

function size(bytes: number): string {
  return bytes < 1000 ? l10n.t('{0} bytes', bytes) : l10n.t('{0} kB', (bytes / 1000).toFixed(1));
}
