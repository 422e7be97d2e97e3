import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { Icon } from '../components/icon.tsx';
import { Button, TextField } from '../components/toolkit.ts';
import { l10n } from '../host/l10n.ts';
import type { FieldSpec } from './fields.ts';
import { useTyping } from './typing.ts';

export interface MappingControlProps {
  readonly spec: Pick<FieldSpec, 'id'>;
  readonly value: unknown;
  readonly disabled: boolean;
  /** Undefined takes the key out of the file. */
  readonly onEdit: (value: Readonly<Record<string, unknown>> | undefined) => void;
}

/** Names and their values, a row each. */
export function MappingControl({ spec, value, disabled, onEdit }: MappingControlProps): VNode {
  const entries = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
  const replace = (next: readonly (readonly [string, unknown])[]) =>
    onEdit(next.length === 0 ? undefined : Object.fromEntries(next));
  return (
    <div class="pairs">
      {entries.map(([name, text], index) => (
        <Pair
          key={name}
          label={`${spec.id}: ${name}`}
          name={name}
          text={String(text)}
          disabled={disabled}
          onChange={(nextName, nextText) =>
            replace(entries.map((entry, other) => (other === index ? [nextName, nextText] : entry)))
          }
          onRemove={() => replace(entries.filter((_, other) => other !== index))}
        />
      ))}
      <NewPair label={spec.id} disabled={disabled} onAdd={(name, text) => replace([...entries, [name, text]])} />
    </div>
  );
}

interface PairProps {
  readonly label: string;
  readonly name: string;
  readonly text: string;
  readonly disabled: boolean;
  readonly onChange: (name: string, text: string) => void;
  readonly onRemove: () => void;
}

function Pair({ label, name, text, disabled, onChange, onRemove }: PairProps): VNode {
  const typedName = useTyping(name, () => undefined);
  const typedText = useTyping(text, (next) => onChange(name, next));
  const leaveName = () => {
    if (typedName.text !== name && typedName.text.trim() !== '') onChange(typedName.text.trim(), text);
    typedName.leave();
  };
  return (
    <>
      <TextField
        label={l10n.t('{0}, name', label)}
        value={typedName.text}
        disabled={disabled}
        onInput={typedName.type}
        onBlur={leaveName}
        onEnter={leaveName}
      />
      <TextField
        label={l10n.t('{0}, value', label)}
        value={typedText.text}
        disabled={disabled}
        onInput={typedText.type}
        onBlur={typedText.leave}
      />
      <Button appearance="icon" label={l10n.t('Remove {0}', label)} disabled={disabled} onClick={onRemove}>
        <Icon name="close" />
      </Button>
    </>
  );
}

interface NewPairProps {
  readonly label: string;
  readonly disabled: boolean;
  readonly onAdd: (name: string, text: string) => void;
}

function NewPair({ label, disabled, onAdd }: NewPairProps): VNode {
  const [name, setName] = useState('');
  const [text, setText] = useState('');
  const add = () => {
    if (name.trim() === '') return;
    onAdd(name.trim(), text);
    setName('');
    setText('');
  };
  return (
    <>
      <TextField
        label={l10n.t('{0}, new name', label)}
        placeholder={l10n.t('Name')}
        value={name}
        disabled={disabled}
        onInput={setName}
        onEnter={add}
      />
      <TextField
        label={l10n.t('{0}, new value', label)}
        placeholder={l10n.t('Value')}
        value={text}
        disabled={disabled}
        onInput={setText}
        onEnter={add}
      />
      <Button
        appearance="icon"
        label={l10n.t('Add to {0}', label)}
        disabled={disabled || name.trim() === ''}
        onClick={add}
      >
        <Icon name="add" />
      </Button>
    </>
  );
}
