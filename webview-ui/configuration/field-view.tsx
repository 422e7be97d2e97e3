import type { VNode } from 'preact';
import type { Problem } from '../../src/contract/problem.ts';
import type { Offers } from '../../src/contract/webview/configuration.ts';
import { Field } from '../components/parts.tsx';
import { Button, Checkbox, Dropdown, TextArea, TextField } from '../components/toolkit.ts';
import { l10n } from '../host/l10n.ts';
import { condaLists, withLists } from './conda.ts';
import type { FieldSpec } from './fields.ts';
import { MappingControl } from './mapping-control.tsx';
import { useTyping } from './typing.ts';

export interface FieldViewProps {
  readonly spec: FieldSpec;
  /** Undefined: the file does not say. */
  readonly value: unknown;
  readonly problems: readonly Problem[];
  readonly hasEffect: boolean;
  readonly offers: Offers;
  readonly disabled: boolean;
  /** Undefined takes the key out of the file. */
  readonly onEdit: (value: unknown) => void;
  readonly onBrowse: () => void;
}

export function FieldView(props: FieldViewProps): VNode {
  const { spec, value, problems, hasEffect, disabled, onEdit } = props;
  const isSet = value !== undefined;
  const section = spec.path.slice(0, -1).join('.');
  return (
    <Field
      id={`field-${spec.id}`}
      modified={isSet}
      onReset={isSet && !disabled ? () => onEdit(undefined) : undefined}
      resetLabel={l10n.t('Take {0} out of the file', spec.id)}
      problems={problems}
      label={
        <>
          {section === '' ? null : <span class="section">{section} › </span>}
          {spec.path.at(-1)} {hasEffect ? null : <span class="tag">{l10n.t('no effect with this compute type')}</span>}
        </>
      }
      help={<Help spec={spec} />}
    >
      <Control {...props} />
    </Field>
  );
}

function Help({ spec }: { readonly spec: FieldSpec }): VNode {
  return (
    <>
      {l10n.t(spec.help)}{' '}
      {spec.default === undefined ? null : (
        <span class="default">
          {l10n.t('Default: {0}', spec.unit === undefined ? String(spec.default) : `${spec.default} ${spec.unit}`)}
        </span>
      )}
    </>
  );
}

/** What a screen reader says after the name: help, default and what is wrong. */
function describe({ spec, problems }: Pick<FieldViewProps, 'spec' | 'problems'>): string {
  const standard = spec.default === undefined ? '' : l10n.t('Default: {0}', String(spec.default));
  return [l10n.t(spec.help), standard, ...problems.map(({ message }) => message)].filter(Boolean).join(' ');
}

function isInvalid(problems: readonly Problem[]): boolean {
  return problems.some(({ severity }) => severity === 'error');
}

function Control(props: FieldViewProps): VNode {
  switch (props.spec.kind) {
    case 'boolean':
      return <BooleanControl {...props} />;
    case 'choice':
      return <ChoiceControl {...props} values={props.spec.values ?? []} />;
    case 'target':
      return <ChoiceControl {...props} values={props.offers.targets} />;
    case 'texts':
      return (
        <LinesControl
          {...props}
          label={props.spec.id}
          lines={textsOf(props.value)}
          onLines={(lines) => props.onEdit(orNothing(lines))}
        />
      );
    case 'mapping':
      return <MappingControl {...props} />;
    case 'conda':
      return <CondaControl {...props} />;
    case 'json':
      return <JsonControl {...props} />;
    default:
      return <TextControl {...props} />;
  }
}

function BooleanControl({ spec, value, problems, disabled, onEdit }: FieldViewProps): VNode {
  const checked = typeof value === 'boolean' ? value : value === undefined ? spec.default === true : Boolean(value);
  return (
    <Checkbox
      label={spec.id}
      description={describe({ spec, problems })}
      invalid={isInvalid(problems)}
      checked={checked}
      disabled={disabled}
      onChange={onEdit}
    >
      {checked ? l10n.t('on') : l10n.t('off')}
    </Checkbox>
  );
}

function ChoiceControl({
  spec,
  value,
  problems,
  disabled,
  onEdit,
  values,
}: FieldViewProps & { readonly values: readonly string[] }): VNode {
  const present = value === undefined ? '' : String(value);
  const known = values.find((choice) => choice.toLowerCase() === present.toLowerCase()) ?? present;
  const all = known === '' || values.includes(known) ? values : [known, ...values];
  return (
    <Dropdown
      label={spec.id}
      description={describe({ spec, problems })}
      invalid={isInvalid(problems)}
      disabled={disabled}
      value={known}
      choices={[{ value: '', text: l10n.t('(not set)') }, ...all.map((choice) => ({ value: choice, text: choice }))]}
      onChange={(choice) => onEdit(choice === '' ? undefined : choice)}
    />
  );
}

function TextControl({ spec, value, problems, disabled, onEdit, onBrowse }: FieldViewProps): VNode {
  const isNumber = spec.kind === 'integer' || spec.kind === 'number';
  const present = value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
  const typing = useTyping(present, (text) => {
    if (text === present) return;
    if (text.trim() === '') onEdit(undefined);
    else if (!isNumber) onEdit(text);
    else if (Number.isFinite(Number(text))) onEdit(Number(text));
  });
  const isNoNumber = isNumber && typing.text.trim() !== '' && !Number.isFinite(Number(typing.text));
  return (
    <>
      <div class="row control">
        <TextField
          className={isNumber ? 'short' : ''}
          type={spec.kind === 'secret' ? 'password' : 'text'}
          label={spec.id}
          description={describe({ spec, problems })}
          invalid={isInvalid(problems) || isNoNumber}
          disabled={disabled}
          value={typing.text}
          placeholder={spec.default === undefined ? undefined : String(spec.default)}
          {...(isNumber ? { inputMode: 'decimal' as const } : {})}
          onInput={typing.type}
          onBlur={typing.leave}
          onEnter={typing.leave}
        />
        {spec.unit === undefined ? null : <span class="unit">{spec.unit}</span>}
        {spec.kind === 'path' ? (
          <Button disabled={disabled} label={l10n.t('Browse… {0}', spec.id)} onClick={onBrowse}>
            {l10n.t('Browse…')}
          </Button>
        ) : null}
      </div>
      {isNoNumber ? <p class="wrong">{l10n.t('Write a number, without a unit.')}</p> : null}
    </>
  );
}

interface LinesProps {
  readonly label: string;
  readonly lines: readonly string[];
  readonly disabled: boolean;
  readonly onLines: (lines: readonly string[]) => void;
  readonly problems: readonly Problem[];
}

/** A list of texts, one a line. */
function LinesControl({ label, lines, disabled, onLines, problems }: LinesProps): VNode {
  const present = lines.join('\n');
  const typing = useTyping(present, (text) => {
    const next = text
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean);
    if (next.join('\n') !== present) onLines(next);
  });
  return (
    <TextArea
      className="mono"
      label={label}
      description={[l10n.t('One a line.'), ...problems.map(({ message }) => message)].join(' ')}
      invalid={isInvalid(problems)}
      disabled={disabled}
      rows={Math.min(10, Math.max(2, typing.text.split('\n').length))}
      value={typing.text}
      onInput={typing.type}
      onBlur={typing.leave}
    />
  );
}

function CondaControl({ spec, value, disabled, onEdit, problems }: FieldViewProps): VNode {
  const lists = condaLists(value);
  const change = (changes: Partial<typeof lists>) => onEdit(withLists(value, { ...lists, ...changes }));
  const part = (text: string, key: keyof typeof lists): VNode => (
    <div class="stack">
      <span>{text}</span>
      <LinesControl
        label={`${spec.id}: ${text}`}
        lines={lists[key]}
        disabled={disabled}
        problems={problems}
        onLines={(lines) => change({ [key]: lines })}
      />
    </div>
  );
  return (
    <div class="conda">
      {part(l10n.t('Channels'), 'channels')}
      {part(l10n.t('Conda packages'), 'packages')}
      {part(l10n.t('pip packages'), 'pip')}
    </div>
  );
}

function JsonControl({ spec, value, problems, disabled, onEdit }: FieldViewProps): VNode {
  const present = value === undefined ? '' : JSON.stringify(value, undefined, 2);
  const typing = useTyping(present, (text) => {
    if (text.trim() === '') return onEdit(undefined);
    const parsed = parse(text);
    if (parsed !== undefined) onEdit(parsed.value);
  });
  const isBad = typing.text.trim() !== '' && parse(typing.text) === undefined;
  return (
    <>
      <TextArea
        className="mono"
        label={spec.id}
        description={describe({ spec, problems })}
        invalid={isBad || isInvalid(problems)}
        disabled={disabled}
        rows={value === undefined ? 2 : 6}
        value={typing.text}
        onInput={typing.type}
        onBlur={typing.leave}
      />
      {isBad ? <p class="wrong">{l10n.t('This is not JSON yet.')}</p> : null}
    </>
  );
}

function parse(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function orNothing(lines: readonly string[]): readonly string[] | undefined {
  return lines.length === 0 ? undefined : lines;
}
