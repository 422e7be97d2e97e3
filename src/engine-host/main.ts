import { join } from 'node:path';
import { createMessageConnection, StreamMessageReader, StreamMessageWriter } from 'vscode-jsonrpc/node';
import { QUESTION, READY, type Ready } from '../contract/engine-api.ts';
import { openHome } from '../home/home.ts';
import { EngineHost } from './engine-host.ts';
import { serve } from './server.ts';

/** Set by the bundler. */
declare const AKSML_VERSION: string | undefined;

const bundled = typeof AKSML_VERSION === 'string';
const version = typeof AKSML_VERSION === 'string' ? AKSML_VERSION : 'from source';
const home = openHome(process.env);

// Standard output belongs to the protocol.
console.log = console.error;
silenceSqliteWarning();

const connection = createMessageConnection(
  new StreamMessageReader(process.stdin),
  new StreamMessageWriter(process.stdout),
);
const host = new EngineHost({
  home,
  environment: process.env,
  version,
  ask: async (question) => (await connection.sendRequest(QUESTION, question)) === true,
  supervisorCommand: [
    process.execPath,
    bundled
      ? join(import.meta.dirname, 'supervisor.js')
      : join(import.meta.dirname, '..', 'local', 'supervisor-main.ts'),
  ],
});
serve(connection, host);
// The window is gone: what is deployed goes on without this process.
connection.onClose(() => process.exit(0));
connection.listen();
await connection.sendNotification(READY, { version, pid: process.pid, home: home.root } satisfies Ready);

/** Node 22 calls its SQLite experimental. */
function silenceSqliteWarning(): void {
  const emit = process.emitWarning.bind(process);
  process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
    if (/\bSQLite\b/.test(typeof warning === 'string' ? warning : warning.message)) return;
    Reflect.apply(emit, process, [warning, ...rest]);
  };
}
