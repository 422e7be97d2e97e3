import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { AksmlError } from '../../contract/error.ts';
import { SOCKETS } from './haproxy-names.ts';
import { RuntimeApi } from './runtime-api.ts';

const START_MS = 30_000;
const POLL_MS = 5;

/** HAProxy as a child: a master that outlives reloads, and workers. */
export class HaproxyProcess {
  readonly #program: string;
  readonly #folder: string;
  readonly #log: (line: string) => void;
  readonly #master: RuntimeApi;
  #child: ChildProcess | undefined;
  #said: string[] = [];

  constructor(program: string, folder: string, log: (line: string) => void) {
    this.#program = program;
    this.#folder = folder;
    this.#log = log;
    this.#master = new RuntimeApi(join(folder, SOCKETS.master), () => this.running);
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** Starts it with `haproxy.cfg` of its folder. @throws AksmlError `router.haproxyFailed` */
  async start(onExit: (code: number | null) => void): Promise<void> {
    await rm(join(this.#folder, SOCKETS.admin), { force: true });
    this.#said = [];
    const child = spawn(
      this.#program,
      ['-W', '-db', '-S', `${join(this.#folder, SOCKETS.master)},mode,600`, '-f', this.#configuration],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', (line) => this.#hear(line));
    child.once('error', (error) => this.#hear(String(error)));
    child.once('close', (code) => {
      if (this.#child === child) this.#child = undefined;
      onExit(code);
    });
    await this.#untilAnswering(child);
  }

  /** Replaces the worker by one with the present `haproxy.cfg`; the old one answers what it has and ends. @throws AksmlError `router.haproxyFailed` */
  async reload(): Promise<void> {
    this.#said = [];
    const [answer = ''] = await this.#master.run(['reload']);
    if (!answer.includes('Success=1')) throw this.#failure('did not take its new configuration', answer);
    // Both take connections until the old one has heard of it.
    const takesNothing = (info = '') => /^Stopping: 1$/m.test(info) || info === '';
    while (!(await this.askOldWorkers(['show info'])).every(([info]) => takesNothing(info))) await sleep(POLL_MS);
  }

  /** Workers of before the last reloads that are still answering something, and what each says to the commands. */
  async askOldWorkers(commands: readonly string[]): Promise<string[][]> {
    const ask = async (pid: string): Promise<string[]> => {
      for (;;) {
        try {
          return await this.#master.run(commands.map((command) => `@!${pid} ${command}`));
        } catch (error) {
          if (!(await this.#oldWorkers()).includes(pid)) return [];
          if (!this.running) throw error;
        }
      }
    };
    return Promise.all((await this.#oldWorkers()).map(ask));
  }

  async #oldWorkers(): Promise<string[]> {
    const [processes = ''] = await this.#master.run(['show proc']);
    const old = processes.slice(processes.indexOf('# old workers'));
    return old.startsWith('#') ? [...old.matchAll(/^(\d+)\s+worker/gm)].map(([, pid = '']) => pid) : [];
  }

  /** Answers what it has, takes nothing new, and ends. */
  async stop(): Promise<void> {
    await this.#end('SIGUSR1');
  }

  /** Ends at once. */
  async kill(): Promise<void> {
    await this.#end('SIGTERM');
  }

  get #configuration(): string {
    return join(this.#folder, 'haproxy.cfg');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return;
    const ended = once(child, 'close');
    child.kill(signal);
    await ended;
  }

  async #untilAnswering(child: ChildProcess): Promise<void> {
    const isRunning = () => child.exitCode === null && child.signalCode === null && child.pid !== undefined;
    const admin = new RuntimeApi(join(this.#folder, SOCKETS.admin), isRunning);
    const end = Date.now() + START_MS;
    while (isRunning() && Date.now() < end) {
      try {
        await admin.run(['show info']);
        return;
      } catch (error) {
        if (!AksmlError.is(error, 'router.haproxyUnreachable')) throw error;
      }
    }
    throw this.#failure('did not start', '');
  }

  #hear(line: string): void {
    this.#said = [...this.#said.slice(-49), line];
    this.#log(line);
  }

  #failure(what: string, more: string): AksmlError {
    return new AksmlError('router.haproxyFailed', `HAProxy ${what}: ${[more, ...this.#said].join('\n').trim()}`);
  }
}
