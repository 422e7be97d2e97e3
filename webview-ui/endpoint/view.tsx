import type { VNode } from 'preact';
import { Fragment } from 'preact';
import type { Endpoint, VersionStatus } from '../../src/contract/endpoint.ts';
import { isStopped } from '../../src/contract/look.ts';
import type { EndpointAction } from '../../src/contract/webview/endpoint.ts';
import { effectiveShares } from '../../src/serving/traffic.ts';
import { figure } from '../components/chart.tsx';
import {
  Banner,
  CopyButton,
  FailureBanner,
  Head,
  Loading,
  LogTail,
  Scroller,
  State,
  TabPanel,
  Tabs,
} from '../components/parts.tsx';
import { Button, Dropdown } from '../components/toolkit.ts';
import { l10n } from '../host/l10n.ts';
import { Charts } from './charts.tsx';
import { causesOf, type EndpointPageAction, type EndpointPageState } from './model.ts';
import { rowsOf } from './series.ts';

export interface EndpointViewProps {
  readonly state: EndpointPageState;
  readonly dispatch: (action: EndpointPageAction) => void;
  readonly onAct: (action: EndpointAction) => void;
}

export function EndpointView(props: EndpointViewProps): VNode {
  const { state, dispatch, onAct } = props;
  const { endpoint } = state;
  if (endpoint === undefined) return <Loading title={l10n.t('Endpoint')} failure={state.failure} />;
  const { name } = endpoint.metadata;
  return (
    <main>
      <Head
        title={name}
        subtitle={
          <>
            {endpoint.status === undefined ? null : <State status={endpoint.status} />}{' '}
            {endpoint.spec.description === undefined ? null : <span> · {endpoint.spec.description}</span>}
          </>
        }
      >
        <Button appearance="primary" disabled={state.isGone} onClick={() => onAct('test')}>
          {l10n.t('Test')}
        </Button>
        <Button disabled={state.isGone} onClick={() => onAct('rollout')}>
          {l10n.t('Rollout')}
        </Button>
        <Button disabled={state.isGone} onClick={() => onAct('keys')}>
          {l10n.t('Keys')}
        </Button>
        <Button disabled={state.isGone} onClick={() => onAct('logs')}>
          {l10n.t('Logs')}
        </Button>
        <Button onClick={() => onAct('deploy')}>{l10n.t('Deploy…')}</Button>
      </Head>
      {state.isGone ? <Banner tone="warning">{l10n.t('{0} has been deleted.', name)}</Banner> : null}
      {state.failure === undefined ? null : (
        <FailureBanner failure={state.failure} onDismiss={() => dispatch({ type: 'dismiss' })} />
      )}
      <Causes endpoint={endpoint} onAct={onAct} />
      <Facts {...props} endpoint={endpoint} />
      <Versions endpoint={endpoint} />
      <Load {...props} endpoint={endpoint} />
    </main>
  );
}

interface WithEndpoint {
  readonly endpoint: Endpoint;
}

function Causes({ endpoint, onAct }: WithEndpoint & Pick<EndpointViewProps, 'onAct'>): VNode {
  return (
    <>
      {causesOf(endpoint).map(({ about, cause }) => (
        <Banner tone={isStopped(cause) ? 'info' : 'error'} key={`${about} ${cause.code}`}>
          <p>
            <strong>
              {about}: {cause.code}
            </strong>{' '}
            {cause.message}
          </p>
          {cause.remedy === undefined ? null : <p>{cause.remedy}</p>}
          <LogTail lines={cause.logTail ?? []} />
          <p>
            <Button label={l10n.t('Logs of {0}', about)} onClick={() => onAct('logs')}>
              {l10n.t('Logs')}
            </Button>
          </p>
        </Banner>
      ))}
    </>
  );
}

function Facts({ endpoint, state, onAct }: WithEndpoint & EndpointViewProps): VNode {
  const { spec, status, metadata } = endpoint;
  const tags = Object.entries(spec.tags).map(([key, value]) => `${key}=${value}`);
  return (
    <section aria-label={l10n.t('Facts')} class="block">
      <dl class="facts">
        <dt>{l10n.t('Scoring URI')}</dt>
        <dd>
          {status?.scoringUri === undefined ? (
            <span class="muted">{l10n.t('none yet')}</span>
          ) : (
            <span class="row tight">
              <code>{status.scoringUri}</code>
              <CopyButton label={l10n.t('Copy the scoring URI')} onClick={() => onAct('copyUri')} />
              <Button label={l10n.t('Copy as curl')} onClick={() => onAct('copyCurl')}>
                {l10n.t('Copy as curl')}
              </Button>
              <Button onClick={() => onAct('openSwagger')}>{l10n.t('Swagger')}</Button>
            </span>
          )}
        </dd>
        <dt>{l10n.t('Compute target')}</dt>
        <dd>{state.target}</dd>
        <dt>{l10n.t('Authentication')}</dt>
        <dd>{authInWords(spec.auth)}</dd>
        <dt>{l10n.t('Created')}</dt>
        <dd>
          {metadata.creationTimestamp === undefined ? '–' : new Date(metadata.creationTimestamp).toLocaleString()}
        </dd>
        {tags.length === 0 ? null : (
          <>
            <dt>{l10n.t('Tags')}</dt>
            <dd>{tags.join(', ')}</dd>
          </>
        )}
      </dl>
    </section>
  );
}

function authInWords(auth: Endpoint['spec']['auth']): string {
  switch (auth) {
    case 'key':
      return l10n.t('keys');
    case 'token':
      return l10n.t('tokens');
    case 'none':
      return l10n.t('none: whoever reaches it can call it');
  }
}

function Versions({ endpoint }: WithEndpoint): VNode {
  const shares = effectiveShares(endpoint.spec.versions);
  return (
    <section aria-label={l10n.t('Versions')}>
      <h2>{l10n.t('Versions')}</h2>
      <Scroller label={l10n.t('Versions and their replicas')}>
        <table>
          <thead>
            <tr>
              <th scope="col">{l10n.t('Version')}</th>
              <th scope="col">{l10n.t('State')}</th>
              <th scope="col" class="number">
                {l10n.t('Traffic')}
              </th>
              <th scope="col" class="number">
                {l10n.t('Replicas')}
              </th>
              <th scope="col" class="number">
                {l10n.t('Utilization')}
              </th>
              <th scope="col">{l10n.t('Models')}</th>
              <th scope="col" class="number">
                {l10n.t('Revision')}
              </th>
            </tr>
          </thead>
          <tbody>
            {endpoint.spec.versions.map((version) => {
              const status = endpoint.status?.versions.find(({ name }) => name === version.name);
              return (
                <Fragment key={version.name}>
                  <tr>
                    <td>
                      <strong>{version.name}</strong>{' '}
                      {version.isDefault ? <span class="tag">{l10n.t('default')}</span> : null}{' '}
                      {version.type === 'Control' ? <span class="tag">{l10n.t('control')}</span> : null}
                    </td>
                    <td>{status === undefined ? '–' : <State status={status} />}</td>
                    <td class="number">{figure(shares.get(version.name), '%')}</td>
                    <td class="number">
                      {status === undefined ? '–' : `${status.availableReplicas} / ${status.desiredReplicas}`}
                    </td>
                    <td class="number">
                      {figure(
                        status?.utilization === undefined ? undefined : Math.round(status.utilization * 100),
                        '%',
                      )}
                    </td>
                    <td>{version.models.join(', ')}</td>
                    <td class="number">{version.revisionNumber}</td>
                  </tr>
                  <Replicas status={status} />
                </Fragment>
              );
            })}
          </tbody>
        </table>
      </Scroller>
    </section>
  );
}

function Replicas({ status }: { readonly status: VersionStatus | undefined }): VNode {
  return (
    <>
      {status?.replicas.map((replica) => (
        <tr class="sub" key={replica.id}>
          <td class="mono indented">{replica.id}</td>
          <td>{replica.state}</td>
          <td colSpan={2}>{l10n.t('since {0}', new Date(replica.startedTime).toLocaleString())}</td>
          <td class="number">
            {replica.restarts === 1 ? l10n.t('1 restart') : l10n.t('{0} restarts', replica.restarts)}
          </td>
          <td colSpan={2}>{replica.error?.message ?? replica.message ?? ''}</td>
        </tr>
      ))}
    </>
  );
}

function Load({ state, dispatch, endpoint }: WithEndpoint & EndpointViewProps): VNode {
  const { versions } = endpoint.spec;
  return (
    <section aria-label={l10n.t('Load')}>
      <div class="row">
        <h2>{l10n.t('Load')}</h2>
        {versions.length < 2 ? null : (
          <span class="end version-choice">
            <Dropdown
              label={l10n.t('Version whose load is shown')}
              value={state.version ?? ''}
              choices={[
                { value: '', text: l10n.t('all versions') },
                ...versions.map(({ name }) => ({ value: name, text: name })),
              ]}
              onChange={(name) => dispatch({ type: 'version', version: name === '' ? undefined : name })}
            />
          </span>
        )}
      </div>
      <Tabs
        label={l10n.t('How the load is shown')}
        selected={state.view}
        tabs={[
          { id: 'charts', text: l10n.t('Charts') },
          { id: 'table', text: l10n.t('Table') },
        ]}
        onSelect={(view) => dispatch({ type: 'view', view })}
      />
      <TabPanel id={state.view}>
        {state.view === 'charts' ? <Charts state={state} /> : <LoadTable state={state} />}
      </TabPanel>
    </section>
  );
}

const MOST_ROWS = 60;

function LoadTable({ state }: Pick<EndpointViewProps, 'state'>): VNode {
  const rows = rowsOf(state.samples, state.version, MOST_ROWS);
  if (rows.length === 0) return <p class="empty">{l10n.t('Nothing measured yet')}</p>;
  const heads = [
    l10n.t('Requests/s'),
    l10n.t('Failed/s'),
    'p50',
    'p95',
    'p99',
    l10n.t('Utilization'),
    l10n.t('Queue'),
    l10n.t('Replicas'),
  ];
  return (
    <Scroller label={l10n.t('Load, newest first')}>
      <table>
        <thead>
          <tr>
            <th scope="col">{l10n.t('Time')}</th>
            {heads.map((head) => (
              <th scope="col" class="number" key={head}>
                {head}
              </th>
            ))}
            <th scope="col">{l10n.t('Traffic')}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.time}>
              <td>{new Date(row.time).toLocaleTimeString()}</td>
              <td class="number">{figure(row.requestsPerSecond, '')}</td>
              <td class="number">{figure(row.failuresPerSecond, '')}</td>
              <td class="number">{figure(row.latencyMs?.p50, 'ms')}</td>
              <td class="number">{figure(row.latencyMs?.p95, 'ms')}</td>
              <td class="number">{figure(row.latencyMs?.p99, 'ms')}</td>
              <td class="number">{figure(row.utilization, '%')}</td>
              <td class="number">{row.queued}</td>
              <td class="number">{row.readyReplicas}</td>
              <td>{row.traffic.map(([name, share]) => `${name} ${figure(share, '%')}`).join(', ')}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroller>
  );
}
