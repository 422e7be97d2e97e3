import { resolve } from 'node:path';
import type { Question, WorkspaceScope } from '../contract/engine-api.ts';
import type { Engine } from '../engine/engine.ts';
import type { Home } from '../home/home.ts';
import { rememberedConsent } from '../kube/exec-plugin.ts';
import type { LocalTarget } from '../local/client.ts';
import { ProjectReader } from '../session/configuration.ts';
import { localTarget, openSession, type Session, type SessionOptions } from '../session/session.ts';

export interface HostOptions extends Omit<SessionOptions, 'workspace' | 'consent'> {
  /** Asks the person in front of the window; where there is none, the answer is no. */
  readonly ask?: (question: Question) => Promise<boolean>;
}

/** The workspaces and compute targets that the extension works with, each opened once. */
export class EngineHost {
  readonly options: HostOptions;
  readonly projects: ProjectReader;
  readonly #sessions = new Map<string, Promise<Session>>();
  #local: LocalTarget | undefined;

  constructor(options: HostOptions) {
    this.options = options;
    this.projects = new ProjectReader(options);
  }

  get home(): Home {
    return this.options.home;
  }

  async ask(question: Question): Promise<boolean> {
    return (await this.options.ask?.(question)) === true;
  }

  /** What could not be opened is tried again with the next request. */
  session(scope: WorkspaceScope): Promise<Session> {
    const key = keyOf(scope);
    const known = this.#sessions.get(key);
    if (known) return known;
    const { ask: _, ...options } = this.options;
    const opening = openSession({
      ...options,
      consent: rememberedConsent(options.home, ({ command, args, variables }) =>
        this.ask({ kind: 'exec', command, args, variables }),
      ),
      workspace: {
        projectFolder: resolve(scope.folder),
        ...(scope.workspace === undefined ? {} : { name: scope.workspace }),
      },
    });
    this.#sessions.set(key, opening);
    opening.catch(() => {
      if (this.#sessions.get(key) === opening) this.#sessions.delete(key);
    });
    return opening;
  }

  /** Looks at the folder's files anew. */
  reopen(scope: WorkspaceScope): Promise<Session> {
    this.#sessions.delete(keyOf(scope));
    return this.session(scope);
  }

  /** Compute targets have come or gone: sessions keep what they have opened. */
  forgetSessions(): void {
    this.#sessions.clear();
  }

  /** On a compute target; without one, for what needs none. */
  async engine(scope: WorkspaceScope & { readonly target?: string }): Promise<Engine> {
    return (await this.session(scope)).engine(scope.target);
  }

  /** The compute target of this machine, without a workspace. */
  get local(): LocalTarget {
    this.#local ??= localTarget(this.options);
    return this.#local;
  }
}

function keyOf({ folder, workspace }: WorkspaceScope): string {
  return JSON.stringify([resolve(folder), workspace ?? null]);
}
