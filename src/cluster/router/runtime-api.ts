import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { AksmlError } from '../../contract/error.ts';

/** Commands of one connection; HAProxy takes lines of up to its buffer size. Characters. */
const LONGEST_LINE = 15_000;
/** Of one that runs: on a machine that has much else to do, a reload takes seconds. */
const PATIENCE_MS = 30_000;
/** Between two pieces of what a worker says by way of its master. */
const SILENCE_MS = 500;
const POLL_MS = 10;

/** The run-time interface of one HAProxy: what it is told takes effect at once, for the requests that come after. */
export class RuntimeApi {
  readonly #socket: string;
  readonly #isRunning: () => boolean;

  /** `isRunning`: whether there is a process that may take connections in a moment, where it takes none now. */
  constructor(socket: string, isRunning = () => true) {
    this.#socket = socket;
    this.#isRunning = isRunning;
  }

  /**
   * Carries the commands out, in their order, and tells what HAProxy said to each.
   * @throws AksmlError `router.haproxyUnreachable`
   */
  async run(commands: readonly string[]): Promise<string[]> {
    const answers: string[] = [];
    for (const batch of batches(commands)) answers.push(...(await this.#ask(batch)));
    return answers;
  }

  /** @throws AksmlError `router.haproxyRefused` where HAProxy says something of a command: those that change something are answered with nothing */
  async change(commands: readonly string[]): Promise<void> {
    const answers = await this.run(commands);
    const at = answers.findIndex(
      (answer) => answer !== '' && !/^(New server registered|Server deleted|Done|done)/.test(answer),
    );
    if (at < 0) return;
    throw new AksmlError('router.haproxyRefused', `HAProxy refused "${verbOf(commands[at])}": ${answers[at]}`);
  }

  /** A master that begins anew with a reload, and a worker that is just starting, take no connection for a moment. */
  async #ask(commands: readonly string[]): Promise<string[]> {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await this.#askOnce(commands);
      } catch (error) {
        if (!isRefusal(error) || !this.#isRunning() || Date.now() > end) {
          throw new AksmlError('router.haproxyUnreachable', 'HAProxy does not answer on its run-time socket.', {
            cause: error,
          });
        }
        await sleep(POLL_MS);
      }
    }
  }

  async #askOnce(commands: readonly string[]): Promise<string[]> {
    const connection = createConnection(this.#socket);
    connection.setEncoding('utf8');
    // A worker that ends over its answer leaves its master silent.
    if (commands[0]?.startsWith('@!'))
      connection.setTimeout(SILENCE_MS, () => connection.destroy(new Error('it stopped in the middle of an answer')));
    try {
      connection.write(`${commands.join(';')}\n`);
      let text = '';
      for await (const part of connection) {
        text += part;
        // A master does not hang up.
        const answers = answersIn(text, commands.length);
        if (answers.length === commands.length) return answers;
      }
      // A master says in a last line alone that a worker is not there any more.
      const answers = /.\n$/.test(text) ? answersIn(`${text}\n`, commands.length) : [];
      if (answers.length === commands.length) return answers;
      throw new Error('it hung up');
    } finally {
      connection.destroy();
    }
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ECONNREFUSED' || error.code === 'ENOENT');
}

/** Each answer ends with an empty line; one that says nothing is that line alone. */
function answersIn(text: string, count: number): string[] {
  const answers: string[] = [];
  let answer: string[] = [];
  // What follows the last end of a line is a line that has not come yet.
  for (const line of text.split('\n').slice(0, -1)) {
    if (line !== '') answer.push(line);
    else if (answers.length < count) {
      answers.push(answer.join('\n'));
      answer = [];
    }
  }
  return answers;
}

/** Without what follows the names: values of maps can be hashes of keys. */
function verbOf(command = ''): string {
  return command.split(' ').slice(0, 3).join(' ');
}

function* batches(commands: readonly string[]): Generator<readonly string[]> {
  let batch: string[] = [];
  let length = 0;
  for (const command of commands) {
    if (length + command.length > LONGEST_LINE && batch.length > 0) {
      yield batch;
      batch = [];
      length = 0;
    }
    batch.push(command);
    length += command.length + 1;
  }
  if (batch.length > 0) yield batch;
}
