import type { VNode } from 'preact';
import type { Problem } from '../../src/contract/problem.ts';
import type { FileView, Offers } from '../../src/contract/webview/configuration.ts';
import { Banner, Problems } from '../components/parts.tsx';
import { Button, Checkbox, TextField } from '../components/toolkit.ts';
import { l10n } from '../host/l10n.ts';
import { CalculatorView } from './calculator-view.tsx';
import { FieldView } from './field-view.tsx';
import {
  computeTypeOf,
  type FieldSpec,
  type Filter,
  type GroupId,
  type GroupSpec,
  hasEffect,
  shownGroups,
  valueAt,
} from './fields.ts';
import type { LoadDraft } from './model.ts';
import { otherProblems, problemsOf } from './problems.ts';
import { RegisteredEnvironment } from './registered-environment.tsx';

export interface FileFormProps {
  readonly file: FileView;
  /** The file's own. */
  readonly problems: readonly Problem[];
  readonly offers: Offers;
  readonly filter: Filter;
  readonly load: LoadDraft;
  readonly disabled?: boolean;
  readonly onFilter: (filter: Filter) => void;
  readonly onLoad: (load: LoadDraft) => void;
  readonly onEdit: (path: readonly string[], value: unknown) => void;
  readonly onBrowse: (spec: FieldSpec) => void;
  readonly onOpenAsText: () => void;
}

/** Every key of one configuration file, in groups, as VS Code shows its settings. */
export function FileForm(props: FileFormProps): VNode {
  const { file, problems, filter } = props;
  if (file.state !== 'object') return <NotEditable {...props} />;
  const groups = shownGroups(file.file, file.values, filter);
  const fields = groups.flatMap((group) => group.fields);
  const rest = otherProblems(fields, problems);
  return (
    <>
      <FilterBar {...props} count={fields.length} />
      {rest.length === 0 ? null : (
        <section aria-label={l10n.t('Problems of the file')}>
          <Problems problems={rest} />
        </section>
      )}
      <div class="columns contents">
        <nav class="contents-nav" aria-label={l10n.t('Groups of keys')}>
          <ul class="contents-list">
            {groups.map(({ id, fields: shown }) => (
              <li key={id}>
                <button type="button" class="plain" onClick={() => goTo(file.file, id)}>
                  {groupTitle(id)}
                  <Marks fields={shown} problems={problems} />
                </button>
              </li>
            ))}
          </ul>
        </nav>
        <div>
          {groups.length === 0 ? <p class="empty">{l10n.t('No key matches the search.')}</p> : null}
          {groups.map((group) => (
            <section key={group.id} aria-labelledby={groupElement(file.file, group.id)}>
              <h2 class="group" id={groupElement(file.file, group.id)} tabIndex={-1}>
                {groupTitle(group.id)}
              </h2>
              {group.id === 'scale' && filter.query === '' ? <CalculatorView {...props} /> : null}
              {group.id === 'environment' && filter.query === '' ? (
                <RegisteredEnvironment
                  values={file.values}
                  environments={props.offers.environments}
                  disabled={props.disabled ?? false}
                  onEdit={props.onEdit}
                />
              ) : null}
              <Fields {...props} group={group} />
            </section>
          ))}
        </div>
      </div>
    </>
  );
}

/** Groups that hardly anybody needs are closed until the file has something in them, or a search leads there. */
const CLOSED: ReadonlySet<GroupId> = new Set(['legacy', 'elsewhere', 'instance']);

function Fields({ group, ...props }: FileFormProps & { readonly group: GroupSpec }): VNode {
  const { file, problems } = props;
  const fields = group.fields.map((spec) => (
    <FieldView
      key={spec.id}
      spec={spec}
      value={valueAt(file.values, spec.path)}
      problems={problemsOf(spec, problems)}
      hasEffect={hasEffect(spec, computeTypeOf(file.values))}
      offers={props.offers}
      disabled={props.disabled ?? false}
      onEdit={(value) => props.onEdit(spec.path, value)}
      onBrowse={() => props.onBrowse(spec)}
    />
  ));
  if (!CLOSED.has(group.id)) return <>{fields}</>;
  const isNeeded =
    props.filter.query !== '' || group.fields.some(({ path }) => valueAt(file.values, path) !== undefined);
  return (
    <details class="closed" open={isNeeded}>
      <summary>{l10n.t('{0} keys', fields.length)}</summary>
      {fields}
    </details>
  );
}

function NotEditable({ file, problems, onOpenAsText }: FileFormProps): VNode {
  const isBroken = problems.some(({ code }) => code === 'file.unparsable');
  return (
    <Banner tone={isBroken ? 'error' : 'info'}>
      <p>
        {isBroken
          ? l10n.t('{0} cannot be read, so there is nothing to fill in.', file.path)
          : l10n.t('{0} is written as YAML: it is read as it is, but a form would disturb its layout.', file.path)}
      </p>
      <Problems problems={problems} />
      <p>
        <Button onClick={onOpenAsText}>{l10n.t('Open as text')}</Button>
      </p>
    </Banner>
  );
}

function FilterBar({ file, filter, onFilter, count }: FileFormProps & { readonly count: number }): VNode {
  return (
    <search class="row filter-bar">
      <span class="grow">
        <TextField
          className="wide"
          label={l10n.t('Search the keys')}
          placeholder={l10n.t('Search the keys')}
          value={filter.query}
          onInput={(query) => onFilter({ ...filter, query })}
        />
      </span>
      <span class="muted" role="status">
        {l10n.t('{0} keys', count)}
      </span>
      {file.file === 'deploymentconfig' ? (
        <Checkbox
          label={l10n.t('Also keys of other compute types')}
          checked={filter.showAll}
          onChange={(showAll) => onFilter({ ...filter, showAll })}
        >
          {l10n.t('Also keys of other compute types')}
        </Checkbox>
      ) : null}
    </search>
  );
}

function Marks({
  fields,
  problems,
}: {
  readonly fields: readonly FieldSpec[];
  readonly problems: readonly Problem[];
}): VNode | null {
  const count = fields
    .flatMap((field) => problemsOf(field, problems))
    .filter(({ severity }) => severity !== 'notice').length;
  if (count === 0) return null;
  return (
    <span class="tag count">
      <span class="hidden-visually">, {l10n.t('problems:')} </span>
      {count}
    </span>
  );
}

function groupElement(file: string, id: GroupId): string {
  return `${file}-${id}`;
}

function goTo(file: string, id: GroupId): void {
  const heading = document.getElementById(groupElement(file, id));
  heading?.scrollIntoView({ block: 'start' });
  heading?.focus({ preventScroll: true });
}

function groupTitle(id: GroupId): string {
  switch (id) {
    case 'general':
      return l10n.t('General');
    case 'resources':
      return l10n.t('Resources');
    case 'scale':
      return l10n.t('Scale');
    case 'requests':
      return l10n.t('Requests');
    case 'access':
      return l10n.t('Authentication');
    case 'probe':
      return l10n.t('Liveness probe');
    case 'monitoring':
      return l10n.t('Monitoring');
    case 'instance':
      return l10n.t('Container instance');
    case 'script':
      return l10n.t('Scoring script');
    case 'environment':
      return l10n.t('Environment');
    case 'python':
      return l10n.t('Python');
    case 'docker':
      return l10n.t('Image');
    case 'legacy':
      return l10n.t('Older form');
    case 'elsewhere':
      return l10n.t('Without effect here');
  }
}
