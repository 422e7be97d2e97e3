import { resolve } from 'node:path';
import type { WorkspaceScope } from '../contract/engine-api.ts';
import type { Engine } from '../engine/engine.ts';
import type { Home } from '../home/home.ts';
import type { LocalTarget } from '../local/client.ts';
import { localTarget, openSession, type Session, type SessionOptions } from '../session/session.ts';

export type HostOptions = Omit<SessionOptions, 'workspace'>;

/** The workspaces and compute targets that the extension works with, each opened once. */
export class EngineHost {
  readonly options: HostOptions;
  readonly #sessions = new Map<string, Promise<Session>>();
  #local: LocalTarget | undefined;

  constructor(options: HostOptions) {
    this.options = options;
  }

  get home(): Home {
    return this.options.home;
  }

  /** What could not be opened is tried again with the next request. */
  session(scope: WorkspaceScope): Promise<Session> {
    const key = keyOf(scope);
    const known = this.#sessions.get(key);
    if (known) return known;
    const opening = openSession({
      ...this.options,
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
