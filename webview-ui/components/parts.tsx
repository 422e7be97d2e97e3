import type { ComponentChildren, VNode } from 'preact';
import { type Look, lookOf, type Shown } from '../../src/contract/look.ts';
import type { Problem } from '../../src/contract/problem.ts';
import { l10n } from '../host/l10n.ts';
import type { Failure } from './failure.ts';
import { Icon, type IconName, Spinner } from './icon.tsx';
import { Button } from './toolkit.ts';

export interface HeadProps {
  readonly title: ComponentChildren;
  readonly subtitle?: ComponentChildren;
  readonly children?: ComponentChildren;
}

export function Head({ title, subtitle, children }: HeadProps): VNode {
  return (
    <header class="head">
      <div class="title">
        <h1>{title}</h1>
        {subtitle === undefined ? null : <p class="subtitle">{subtitle}</p>}
      </div>
      {children === undefined ? null : <div class="actions">{children}</div>}
    </header>
  );
}

/** The page before the extension has answered, or when it answers that there is nothing to show. */
export function Loading({ title, failure }: { readonly title: string; readonly failure: Failure | undefined }): VNode {
  return (
    <main>
      <h1 class="hidden-visually">{title}</h1>
      {failure === undefined ? (
        <p class="empty" role="status">
          <Spinner /> {l10n.t('Loading…')}
        </p>
      ) : (
        <FailureBanner failure={failure} />
      )}
    </main>
  );
}

export type Tone = 'info' | 'warning' | 'error';

export interface BannerProps {
  readonly tone: Tone;
  readonly children: ComponentChildren;
  readonly onDismiss?: () => void;
}

const BANNER_ICONS = { info: 'info', warning: 'warning', error: 'error' } as const;

/** Says at once what happened, also to a screen reader. */
export function Banner({ tone, children, onDismiss }: BannerProps): VNode {
  return (
    <div class={`banner ${tone}`} role={tone === 'error' ? 'alert' : 'status'}>
      <Icon name={BANNER_ICONS[tone]} />
      <div>{children}</div>
      {onDismiss === undefined ? null : (
        <Button appearance="icon" label={l10n.t('Dismiss')} onClick={onDismiss}>
          <Icon name="close" />
        </Button>
      )}
    </div>
  );
}

export interface FailureBannerProps {
  readonly failure: Failure;
  readonly onDismiss?: () => void;
  readonly children?: ComponentChildren;
}

export function FailureBanner({ failure, onDismiss, children }: FailureBannerProps): VNode {
  return (
    <Banner tone="error" {...(onDismiss === undefined ? {} : { onDismiss })}>
      <p>{failure.message}</p>
      {failure.remedy === undefined ? null : <p>{failure.remedy}</p>}
      {failure.problems.length > 1 ? <Problems problems={failure.problems} /> : null}
      <LogTail lines={failure.logTail} />
      {children}
    </Banner>
  );
}

/** What scrolls by itself must be reachable with the keyboard. */
export function Scroller({ label, children }: { readonly label: string; readonly children: ComponentChildren }): VNode {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls what has the focus
    <section class="scroll" tabIndex={0} aria-label={label}>
      {children}
    </section>
  );
}

export function LogTail({ lines }: { readonly lines: readonly string[] }): VNode | null {
  if (lines.length === 0) return null;
  return (
    <Scroller label={l10n.t('Last lines of the log')}>
      <pre class="log">{lines.join('\n')}</pre>
    </Scroller>
  );
}

const PROBLEM_ICONS: Readonly<Record<Problem['severity'], IconName>> = {
  error: 'error',
  warning: 'warning',
  notice: 'info',
};

export interface ProblemsProps {
  readonly problems: readonly Problem[];
  /** Whether to say which key a problem is about; not where it stands beside the key. */
  readonly withPlace?: boolean;
  readonly id?: string;
}

export function Problems({ problems, withPlace = true, id }: ProblemsProps): VNode | null {
  if (problems.length === 0) return null;
  return (
    <ul class="problems" id={id}>
      {problems.map((problem) => (
        <li
          class={`problem ${problem.severity}`}
          key={`${problem.code} ${problem.file} ${problem.path} ${problem.message}`}
        >
          <Icon name={PROBLEM_ICONS[problem.severity]} />
          <span>
            <span class="hidden-visually">{severityInWords(problem.severity)}: </span>
            {problem.message} {problem.remedy === undefined ? null : <span class="remedy">{problem.remedy}</span>}{' '}
            {withPlace ? <span class="muted">{placeOf(problem)}</span> : null}
          </span>
        </li>
      ))}
    </ul>
  );
}

function severityInWords(severity: Problem['severity']): string {
  switch (severity) {
    case 'error':
      return l10n.t('Error');
    case 'warning':
      return l10n.t('Warning');
    case 'notice':
      return l10n.t('Note');
  }
}

function placeOf({ file, path, line }: Problem): string {
  // An option of the command line is no place in a form.
  const key = path?.startsWith('--') ? undefined : path;
  const place = [file?.replace(/^.*[\\/]/, ''), key].filter(Boolean).join(' › ');
  if (place === '') return '';
  return line === undefined ? `(${place})` : `(${place}, ${l10n.t('line {0}', line)})`;
}

/** The same shapes and colours as in the tree. */
const LOOKS: Readonly<Record<Look, readonly [tone: string, icon: IconName]>> = {
  good: ['good', 'check'],
  underWay: ['', 'refresh'],
  careful: ['careful', 'warning'],
  bad: ['bad', 'error'],
  stopped: ['', 'stopped'],
  leaving: ['', 'remove'],
};

export function State({ status }: { readonly status: Shown }): VNode {
  const look = lookOf(status);
  const [tone, icon] = LOOKS[look];
  return (
    <span class={`state ${tone}`}>
      <Icon name={icon} /> {look === 'stopped' ? l10n.t('Stopped') : status.state}
    </span>
  );
}

export interface FieldProps {
  readonly label: ComponentChildren;
  readonly help?: ComponentChildren;
  readonly modified?: boolean;
  readonly onReset?: (() => void) | undefined;
  readonly resetLabel?: string;
  readonly problems?: readonly Problem[];
  readonly children: ComponentChildren;
  readonly id?: string;
}

/** One labelled control with its help and its problems, laid out as VS Code lays out a setting. */
export function Field({
  label,
  help,
  modified = false,
  onReset,
  resetLabel,
  problems = [],
  children,
  id,
}: FieldProps): VNode {
  return (
    <div class={`field ${modified ? 'modified' : ''}`} id={id}>
      <div class="name">
        <span>{label}</span>
        {onReset === undefined ? null : (
          <span class="reset">
            <Button appearance="icon" label={resetLabel ?? l10n.t('Reset')} onClick={onReset}>
              <Icon name="reset" />
            </Button>
          </span>
        )}
      </div>
      {help === undefined ? null : <p class="help">{help}</p>}
      {children}
      <Problems problems={problems} withPlace={false} />
    </div>
  );
}

export interface TabsProps<T extends string> {
  readonly label: string;
  readonly tabs: readonly { readonly id: T; readonly text: ComponentChildren }[];
  readonly selected: T;
  readonly onSelect: (id: T) => void;
}

/** The tab list; the panel that belongs to it has the id `panel-ID`. Arrow keys move, as in VS Code. */
export function Tabs<T extends string>({ label, tabs, selected, onSelect }: TabsProps<T>): VNode {
  const move = (event: KeyboardEvent) => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (step === 0) return;
    const index = tabs.findIndex(({ id }) => id === selected);
    const next = tabs[(index + step + tabs.length) % tabs.length];
    if (!next) return;
    onSelect(next.id);
    document.getElementById(`tab-${next.id}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={label} onKeyDown={move}>
      {tabs.map(({ id, text }) => (
        <button
          type="button"
          role="tab"
          key={id}
          id={`tab-${id}`}
          aria-selected={id === selected}
          aria-controls={`panel-${id}`}
          tabIndex={id === selected ? 0 : -1}
          onClick={() => onSelect(id)}
        >
          {text}
        </button>
      ))}
    </div>
  );
}

export function TabPanel({ id, children }: { readonly id: string; readonly children: ComponentChildren }): VNode {
  return (
    <div role="tabpanel" id={`panel-${id}`} aria-labelledby={`tab-${id}`}>
      {children}
    </div>
  );
}

/** Said to a screen reader when it changes; not seen. */
export function Announcement({ text }: { readonly text: string }): VNode {
  return (
    <div class="hidden-visually" role="status" aria-live="polite">
      {text}
    </div>
  );
}

export function CopyButton({ label, onClick }: { readonly label: string; readonly onClick: () => void }): VNode {
  return (
    <Button appearance="icon" label={label} onClick={onClick}>
      <Icon name="copy" />
    </Button>
  );
}
