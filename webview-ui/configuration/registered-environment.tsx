import type { VNode } from 'preact';
import type { Offers } from '../../src/contract/webview/configuration.ts';
import { Field } from '../components/parts.tsx';
import { Dropdown } from '../components/toolkit.ts';
import { l10n } from '../host/l10n.ts';
import { environmentReference, type Values } from './fields.ts';

const PATH = ['environment'] as const;

export interface RegisteredEnvironmentProps {
  readonly values: Values;
  readonly environments: Offers['environments'];
  readonly disabled: boolean;
  readonly onEdit: (path: readonly string[], value: unknown) => void;
}

/** A registered environment instead of one that the file describes; nothing where none is registered. */
export function RegisteredEnvironment({
  values,
  environments,
  disabled,
  onEdit,
}: RegisteredEnvironmentProps): VNode | null {
  const reference = environmentReference(values) ?? '';
  if (environments.length === 0 && reference === '') return null;
  const offered = environments.map(({ name, version }) => `${name}:${version}`);
  const choices = reference === '' || offered.includes(reference) ? offered : [reference, ...offered];
  const choose = (id: string) => {
    const found = environments.find(({ name, version }) => `${name}:${version}` === id);
    if (id === '') onEdit(PATH, undefined);
    else if (found) onEdit(PATH, { name: found.name, version: found.version });
  };
  return (
    <Field
      id="field-registered-environment"
      label={l10n.t('Registered environment')}
      help={l10n.t('Takes the place of everything that the file says of the environment.')}
    >
      <Dropdown
        label={l10n.t('Registered environment')}
        disabled={disabled}
        value={reference}
        choices={[
          { value: '', text: l10n.t('(none: it is described here)') },
          ...choices.map((id) => ({ value: id, text: id })),
        ]}
        onChange={choose}
      />
    </Field>
  );
}
