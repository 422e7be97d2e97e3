import * as vscode from 'vscode';
import type { EndpointScope } from '../../contract/engine-api.ts';
import type { AksmlWindow } from '../aksml-window.ts';
import { numberSetting, textSetting } from '../settings.ts';
import type { NodeId } from '../tree/nodes.ts';
import type { StreamState } from '../tree/state.ts';
import { LogBuffer } from './log-buffer.ts';
import { showWhereLogsAre } from './log-places.ts';
import { channelSink, type LogSink, terminalSink } from './log-sink.ts';
import { plainLine } from './log-text.ts';

const t = vscode.l10n.t;

/** What is followed: an endpoint, one of its versions, or one replica. */
export interface LogSubject {
  /** In the tree; names the subject. */
  readonly node: NodeId;
  readonly scope: EndpointScope;
  readonly versionName?: string;
  readonly replica?: string;
}

/** `ended`: what was shown stays to be read until the log is asked for again; `closed`: it is not shown any more. */
export type LogState = StreamState | 'ended' | 'closed';

/** The logs that are shown in this window. */
export class LogSessions implements vscode.Disposable {
  readonly #window: AksmlWindow;
  readonly #open = new Map<NodeId, LogSession>();
  readonly #changed = new vscode.EventEmitter<LogSession>();
  readonly onDidChange = this.#changed.event;

  constructor(window: AksmlWindow) {
    this.#window = window;
    window.context.subscriptions.push(this, showWhereLogsAre(this, window));
  }

  get all(): readonly LogSession[] {
    return [...this.#open.values()];
  }

  /** Shows what is streamed already; else begins to. */
  follow(subject: LogSubject): void {
    const present = this.#open.get(subject.node);
    if (present?.state === 'ended') present.dispose();
    (this.#open.get(subject.node) ?? this.#begin(subject)).show();
  }

  #begin(subject: LogSubject): LogSession {
    const session = new LogSession(this.#window, subject, () => this.#tell(session));
    this.#open.set(subject.node, session);
    this.#tell(session);
    return session;
  }

  #tell(session: LogSession): void {
    if (session.state === 'closed') this.#open.delete(session.node);
    this.#changed.fire(session);
  }

  dispose(): void {
    for (const session of this.all) session.dispose();
    this.#changed.dispose();
  }
}

/** No two logs have the same, though the only version of a service is named like the service. */
function titleOf({ scope, versionName, replica }: LogSubject): string {
  const version = replica !== undefined && versionName === scope.name ? undefined : versionName;
  const target = scope.target === 'local' ? undefined : scope.target;
  return [scope.name, version, replica, target].filter(Boolean).join(' · ');
}

/** One log that is followed; it goes on through restarts of replicas, of the engine and of the compute target. */
export class LogSession implements vscode.Disposable {
  readonly title: string;
  readonly node: NodeId;
  readonly #sink: LogSink;
  readonly #buffer = new LogBuffer();
  readonly #subscription: { readonly dispose: () => void };
  readonly #onChange: () => void;
  #state: LogState = 'running';
  #opened = false;
  #failing = false;

  constructor({ engine }: AksmlWindow, subject: LogSubject, onChange: () => void) {
    const { scope, versionName, replica } = subject;
    this.title = titleOf(subject);
    this.node = subject.node;
    this.#onChange = onChange;
    const name = `AKS ML: ${this.title}`;
    this.#sink =
      textSetting('logs.destination') === 'terminal' ? terminalSink(name, () => this.dispose()) : channelSink(name);
    const params = {
      ...scope,
      ...(versionName === undefined ? {} : { versionName }),
      ...(replica === undefined ? {} : { replica }),
      lines: numberSetting('logs.lines', { least: 0, most: 100_000, otherwise: 1000 }),
      follow: true,
    };
    this.#subscription = engine.subscribe('endpoint.logs', params, {
      onOpen: () => {
        if (this.#opened) this.#buffer.reopened();
        this.#opened = true;
      },
      onEvent: (lines) => {
        if (this.#failing) this.#sink.say(t('The log goes on.'));
        this.#failing = false;
        this.#add(lines);
      },
      onError: (error) => {
        if (!this.#failing) this.#sink.say([error.message, error.remedy].filter(Boolean).join(' '));
        this.#failing = true;
      },
      onEnd: () => this.#end(t('The log ends here: the endpoint is gone.')),
    });
  }

  #add(lines: Parameters<LogBuffer['add']>[0]): void {
    const { shown, trimmed } = this.#buffer.add(lines);
    if (this.#state === 'paused') return;
    if (trimmed) this.#showAll();
    else if (shown.length > 0) this.#sink.append(shown);
  }

  #showAll(): void {
    const { dropped, filter } = this.#buffer;
    const notice = [
      dropped === 0 ? '' : t('{0} earlier lines are not kept.', dropped),
      filter === '' ? '' : t('Only lines with "{0}".', filter),
    ];
    this.#sink.replace(notice.filter(Boolean).join(' '), this.#buffer.shown());
  }

  show(): void {
    this.#sink.show();
  }

  get filter(): string {
    return this.#buffer.filter;
  }

  set filter(text: string) {
    this.#buffer.filter = text;
    this.#showAll();
    this.#onChange();
  }

  get state(): LogState {
    return this.#state;
  }

  /** Where a person has it before their eyes, if they have. */
  get shownIn(): LogSink['place'] | undefined {
    return this.#sink.isShown() ? this.#sink.place : undefined;
  }

  isIn(terminal: unknown): boolean {
    return this.#sink.terminal !== undefined && this.#sink.terminal === terminal;
  }

  /** While it is paused, lines are kept and not shown. */
  pause(): void {
    this.#sink.say(t('Paused.'));
    this.#become('paused');
  }

  resume(): void {
    this.#showAll();
    this.#become('running');
  }

  #become(state: LogState): void {
    this.#state = state;
    this.#onChange();
  }

  /** All that is kept and passes the filter. */
  text(): string {
    return this.#buffer
      .shown()
      .map((line) => `${plainLine(line)}\n`)
      .join('');
  }

  stop(): void {
    this.#end(t('Streaming has stopped.'));
  }

  #end(sentence: string): void {
    this.#subscription.dispose();
    this.#sink.say(sentence);
    this.#become('ended');
  }

  dispose(): void {
    if (this.#state === 'closed') return;
    this.#subscription.dispose();
    this.#become('closed');
    this.#sink.dispose();
  }
}
