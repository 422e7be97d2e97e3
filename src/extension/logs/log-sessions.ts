import * as vscode from 'vscode';
import type { EndpointScope } from '../../contract/engine-api.ts';
import type { AksmlWindow } from '../aksml-window.ts';
import { LogBuffer } from './log-buffer.ts';
import { channelSink, type LogSink, terminalSink } from './log-sink.ts';
import { plainLine } from './log-text.ts';

const t = vscode.l10n.t;

/** What is followed: an endpoint, one of its versions, or one replica. */
export interface LogSubject {
  readonly scope: EndpointScope;
  readonly versionName?: string;
  readonly replica?: string;
}

/** The logs that are open in this window. */
export class LogSessions implements vscode.Disposable {
  readonly #window: AksmlWindow;
  readonly #open = new Map<string, LogSession>();

  constructor(window: AksmlWindow) {
    this.#window = window;
    window.context.subscriptions.push(this);
  }

  /** Those that go on. */
  get all(): readonly LogSession[] {
    return [...this.#open.values()].filter(({ ended }) => !ended);
  }

  follow(subject: LogSubject): LogSession {
    const key = JSON.stringify(subject);
    const present = this.#open.get(key);
    if (present?.ended) present.dispose();
    const session = present && !present.ended ? present : new LogSession(this.#window, subject, () => this.#tell());
    this.#open.set(key, session);
    this.#tell();
    session.show();
    return session;
  }

  #tell(): void {
    void vscode.commands.executeCommand('setContext', 'aksml.logging', this.all.length > 0);
  }

  dispose(): void {
    for (const session of this.#open.values()) session.dispose();
  }
}

/** One log that is followed; it goes on through restarts of replicas, of the engine and of the compute target. */
export class LogSession implements vscode.Disposable {
  readonly title: string;
  readonly #sink: LogSink;
  readonly #buffer = new LogBuffer();
  readonly #subscription: { readonly dispose: () => void };
  readonly #onEnd: () => void;
  #paused = false;
  #opened = false;
  #failing = false;
  #ended = false;

  constructor({ engine }: AksmlWindow, { scope, versionName, replica }: LogSubject, onEnd: () => void) {
    this.title = [scope.name, versionName === scope.name ? undefined : versionName, replica]
      .filter(Boolean)
      .join(' · ');
    this.#onEnd = onEnd;
    const settings = vscode.workspace.getConfiguration('aksml.logs');
    const name = `AKS ML: ${this.title}`;
    this.#sink =
      settings.get('destination') === 'terminal' ? terminalSink(name, () => this.dispose()) : channelSink(name);
    const params = {
      ...scope,
      ...(versionName === undefined ? {} : { versionName }),
      ...(replica === undefined ? {} : { replica }),
      lines: settings.get<number>('lines') ?? 1000,
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
    if (this.#paused) return;
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
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** While it is paused, lines are kept and not shown. */
  pause(): void {
    this.#paused = true;
    this.#sink.say(t('Paused.'));
  }

  resume(): void {
    this.#paused = false;
    this.#showAll();
  }

  /** All that is kept and passes the filter. */
  text(): string {
    return this.#buffer
      .shown()
      .map((line) => `${plainLine(line)}\n`)
      .join('');
  }

  /** What was shown stays to be read until the log is asked for again. */
  stop(): void {
    this.#end(t('Streaming has stopped.'));
  }

  #end(sentence: string): void {
    this.#subscription.dispose();
    this.#sink.say(sentence);
    this.#ended = true;
    this.#onEnd();
  }

  get ended(): boolean {
    return this.#ended;
  }

  dispose(): void {
    this.#subscription.dispose();
    this.#sink.dispose();
    this.#ended = true;
    this.#onEnd();
  }
}
