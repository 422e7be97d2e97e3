import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Home } from '../home/home.ts';
import { tryLock } from '../home/lock.ts';
import { isRunning, type ProcessIdentity } from './process-identity.ts';

const SUPERVISOR_LOCK = 'supervisor';
const CHECK_MS = 500;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

export interface GuardianOptions {
  readonly home: Home;
  /** Executable and arguments. */
  readonly command: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** The supervisor is connected. */
  readonly isWatched: () => boolean;
  readonly note: (message: string) => void;
}

/** Starts the supervisor again when it is gone: the gateway serves on meanwhile, but nobody else would restart replicas. */
export class SupervisorGuardian {
  readonly #options: GuardianOptions;
  #timer: NodeJS.Timeout | undefined;
  #pause = FIRST_PAUSE_MS;
  #notBefore = 0;
  #stopped = false;

  constructor(options: GuardianOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#check()
        .catch((error: unknown) => this.#options.note(`The supervisor could not be started: ${error}`))
        .finally(() => {
          if (!this.#stopped) this.start();
        });
    }, CHECK_MS).unref();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #check(): Promise<void> {
    const { home, command, environment, isWatched, note } = this.#options;
    if (isWatched()) {
      this.#pause = FIRST_PAUSE_MS;
      return;
    }
    const now = performance.now();
    if (now < this.#notBefore) return;
    // First the record, because trying the lock gets in the way of a supervisor that is just starting.
    const recorded = await readIdentity(join(home.local, 'supervisor.json'));
    if (recorded && (await isRunning(recorded))) return;
    const lock = await tryLock(home, SUPERVISOR_LOCK);
    if (!lock || this.#stopped) return lock?.release();
    lock.release();

    const [executable, ...args] = command;
    if (executable === undefined) return;
    note('The supervisor is gone; starting it again.');
    this.#notBefore = now + this.#pause;
    this.#pause = Math.min(LONGEST_PAUSE_MS, this.#pause * 2);
    const child = spawn(executable, args, { detached: true, stdio: 'ignore', windowsHide: true, env: environment });
    child.on('error', (error) => note(`The supervisor could not be started: ${error.message}`));
    child.unref();
  }
}

async function readIdentity(path: string): Promise<ProcessIdentity | undefined> {
  try {
    const { pid, startTime } = JSON.parse(await readFile(path, 'utf8'));
    return typeof pid === 'number' && typeof startTime === 'string' ? { pid, startTime } : undefined;
  } catch {
    return undefined;
  }
}
