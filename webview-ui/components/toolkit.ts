import {
  provideVSCodeDesignSystem,
  vsCodeButton,
  vsCodeCheckbox,
  vsCodeDropdown,
  vsCodeLink,
  vsCodeOption,
  vsCodeTextArea,
  vsCodeTextField,
} from '@vscode/webview-ui-toolkit';
import { type ComponentChildren, h, type VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

/**
 * The only module that knows the toolkit: its upstream is archived, and what replaces it one day has to replace this file.
 * Beside registration it mends what the toolkit's elements do not do: keep a given accessible name, describe themselves, follow a value.
 */
export function registerComponents(): void {
  provideVSCodeDesignSystem().register(
    vsCodeButton(),
    vsCodeCheckbox(),
    vsCodeDropdown(),
    vsCodeLink(),
    vsCodeOption(),
    vsCodeTextArea(),
    vsCodeTextField(),
  );
}

interface Named {
  readonly id?: string | undefined;
  /** The accessible name. */
  readonly label: string;
  /** Read after the name: help, unit, problems. */
  readonly description?: string | undefined;
  readonly invalid?: boolean | undefined;
  readonly disabled?: boolean | undefined;
  readonly className?: string | undefined;
}

type FastElement = HTMLElement & { value?: string; checked?: boolean; control?: HTMLElement };

/** The control inside the element, which is what a screen reader meets; the host itself for those that are their own control. */
function useAria({ label, description, invalid }: Named) {
  const ref = useRef<FastElement>(null);
  useLayoutEffect(() => {
    const host = ref.current;
    if (!host) return;
    host.setAttribute('aria-label', label);
    const isInner = host.control instanceof HTMLInputElement || host.control instanceof HTMLTextAreaElement;
    const control = isInner && host.control ? host.control : host;
    setOrRemove(control, 'aria-description', description);
    setOrRemove(control, 'aria-invalid', invalid ? 'true' : undefined);
    host.classList.toggle('invalid', invalid ?? false);
  }, [label, description, invalid]);
  return ref;
}

function setOrRemove(element: HTMLElement, name: string, value: string | undefined): void {
  if (value === undefined || value === '') element.removeAttribute(name);
  else element.setAttribute(name, value);
}

export interface ButtonProps {
  readonly children?: ComponentChildren;
  readonly onClick: () => void;
  readonly appearance?: 'primary' | 'secondary' | 'icon';
  /** For an icon alone, and where the text alone does not say it. */
  readonly label?: string | undefined;
  readonly disabled?: boolean | undefined;
  readonly expanded?: boolean | undefined;
  readonly className?: string | undefined;
  readonly id?: string | undefined;
}

export function Button({
  children,
  onClick,
  appearance = 'secondary',
  label,
  disabled,
  expanded,
  className,
  id,
}: ButtonProps): VNode {
  return h(
    'vscode-button',
    {
      id,
      class: className,
      appearance,
      disabled: disabled ?? false,
      'aria-label': label,
      title: appearance === 'icon' ? label : undefined,
      'aria-expanded': expanded,
      onClick: () => {
        if (!disabled) onClick();
      },
    } as object,
    children,
  );
}

export interface TextFieldProps extends Named {
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly onBlur?: () => void;
  readonly onEnter?: () => void;
  readonly placeholder?: string | undefined;
  readonly type?: 'text' | 'password';
  readonly inputMode?: 'decimal' | 'numeric' | 'url';
  readonly readOnly?: boolean;
}

export function TextField(props: TextFieldProps): VNode {
  const ref = useAria(props);
  const {
    id,
    value,
    onInput,
    onBlur,
    onEnter,
    placeholder,
    type = 'text',
    inputMode,
    disabled,
    readOnly,
    className,
  } = props;
  useLayoutEffect(() => {
    if (ref.current && ref.current.value !== value) ref.current.value = value;
    if (inputMode !== undefined) ref.current?.control?.setAttribute('inputmode', inputMode);
    ref.current?.control?.setAttribute('autocomplete', 'off');
  }, [value, inputMode]);
  return h('vscode-text-field', {
    ref,
    id,
    class: className,
    type,
    placeholder: placeholder ?? '',
    spellcheck: false,
    disabled: disabled ?? false,
    readonly: readOnly ?? false,
    onInput: () => onInput(ref.current?.value ?? ''),
    onBlur,
    onKeyDown: (event: KeyboardEvent) => {
      if (event.key === 'Enter') onEnter?.();
    },
  } as object);
}

export interface TextAreaProps extends Named {
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly onBlur?: () => void;
  readonly rows?: number;
  readonly placeholder?: string | undefined;
  readonly readOnly?: boolean;
  readonly onSubmit?: () => void;
}

export function TextArea(props: TextAreaProps): VNode {
  const ref = useAria(props);
  const { id, value, onInput, onBlur, rows = 3, placeholder, disabled, readOnly, className, onSubmit } = props;
  useLayoutEffect(() => {
    if (ref.current && ref.current.value !== value) ref.current.value = value;
    ref.current?.control?.setAttribute('spellcheck', 'false');
  }, [value]);
  return h('vscode-text-area', {
    ref,
    id,
    class: className,
    rows,
    resize: 'vertical',
    placeholder: placeholder ?? '',
    disabled: disabled ?? false,
    readonly: readOnly ?? false,
    onInput: () => onInput(ref.current?.value ?? ''),
    onBlur,
    onKeyDown: (event: KeyboardEvent) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) onSubmit?.();
    },
  } as object);
}

export interface CheckboxProps extends Named {
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
  readonly children?: ComponentChildren;
}

export function Checkbox(props: CheckboxProps): VNode {
  const ref = useAria(props);
  const { id, checked, onChange, disabled, className, children } = props;
  useLayoutEffect(() => {
    if (ref.current && ref.current.checked !== checked) ref.current.checked = checked;
  }, [checked]);
  return h(
    'vscode-checkbox',
    {
      ref,
      id,
      class: className,
      disabled: disabled ?? false,
      onChange: () => {
        // The element also tells of changes that came from here.
        const now = ref.current?.checked ?? false;
        if (now !== checked) onChange(now);
      },
    } as object,
    children,
  );
}

export interface Choice {
  readonly value: string;
  readonly text: string;
}

export interface DropdownProps extends Named {
  readonly value: string;
  readonly choices: readonly Choice[];
  readonly onChange: (value: string) => void;
}

export function Dropdown(props: DropdownProps): VNode {
  const ref = useAria(props);
  const { id, value, choices, onChange, disabled, className } = props;
  const list = choices.map((choice) => choice.value).join('\n');
  useLayoutEffect(() => {
    // The element learns of its options in a microtask of its own; a value that comes earlier would be lost.
    let isCurrent = true;
    const set = () => {
      if (isCurrent && ref.current && ref.current.value !== value) ref.current.value = value;
    };
    set();
    requestAnimationFrame(set);
    return () => {
      isCurrent = false;
    };
  }, [value, list]);
  return h(
    'vscode-dropdown',
    {
      ref,
      id,
      class: className,
      disabled: disabled ?? false,
      onChange: () => {
        const now = ref.current?.value ?? '';
        if (now !== value) onChange(now);
      },
    } as object,
    choices.map((choice) => h('vscode-option', { key: choice.value, value: choice.value } as object, choice.text)),
  );
}

export interface LinkProps {
  readonly onClick: () => void;
  readonly children: ComponentChildren;
  readonly label?: string;
}

/** What looks like a link and does something; it can be reached and pressed with the keyboard. */
export function Link({ onClick, children, label }: LinkProps): VNode {
  return h(
    'vscode-link',
    {
      href: '#',
      'aria-label': label,
      onClick: (event: MouseEvent) => {
        event.preventDefault();
        onClick();
      },
    } as object,
    children,
  );
}
