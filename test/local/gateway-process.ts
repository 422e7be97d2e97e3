import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Home, openHome } from '../../src/home/home.ts';
import type { GatewayConfiguration, GatewaySample } from '../../src/local/gateway-protocol.ts';
import { gatewayTokenPath, readGatewayRecord } from '../../src/local/gateway-record.ts';
import { callLoopback, type LoopbackAnswer, type LoopbackRequest } from '../../src/local/loopback-http.ts';

const MAIN = fileURLToPath(new URL('../../src/local/gateway-main.ts', import.meta.url));

/** A gateway of a test's own, in a process of its own. */
export interface TestGateway {
  readonly home: Home;
  readonly process: ChildProcess;
  readonly token: string;
  readonly adminPort: number;
  /** Of the shared listener, after the first configuration. */
  port: number;
  admin(request: LoopbackRequest): Promise<LoopbackAnswer>;
  /** Fails the test when the gateway refuses. */
  configure(configuration: GatewayConfiguration): Promise<void>;
  /** Resolves once nothing is at these replicas. */
  drained(replicaIds: readonly string[]): Promise<void>;
  /** Ends the process, if it has not ended, and removes its home. */
  remove(): Promise<void>;
}

export interface TestGatewayOptions {
  /** Further environment variables. */
  readonly environment?: NodeJS.ProcessEnv;
  /** `AKSML_HOME`; a new temporary folder when absent. */
  readonly root?: string;
  /** The program; the source when absent. */
  readonly main?: string;
}

export async function startGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const home = openHome({ AKSML_HOME: options.root ?? (await mkdtemp(join(tmpdir(), 'aksml-gateway-'))) });
  const child = spawn(process.execPath, [options.main ?? MAIN], {
    env: { ...process.env, ...options.environment, AKSML_HOME: home.root },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const record = await recordOf(home, child);
  const token = (await readFile(gatewayTokenPath(home), 'utf8')).trim();
  const gateway: TestGateway = {
    home,
    process: child,
    token,
    adminPort: record.adminPort,
    port: 0,
    admin: (request) => callLoopback({ port: record.adminPort, token }, request),
    configure: async (configuration) => {
      const answer = await gateway.admin({ method: 'PUT', path: '/configuration', body: configuration });
      assert.equal(answer.status, 204, JSON.stringify(answer.body));
      gateway.port = (await readGatewayRecord(home))?.port ?? 0;
    },
    drained: async (ids) => {
      for (;;) {
        const { body } = await gateway.admin({ method: 'GET', path: '/samples' });
        const { versions } = body as GatewaySample;
        const busy = versions
          .flatMap(({ replicas }) => replicas)
          .some(({ id, inFlight }) => ids.includes(id) && inFlight > 0);
        if (!busy) return;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    remove: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
      await rm(home.root, { recursive: true, force: true });
    },
  };
  return gateway;
}

async function recordOf(home: Home, child: ChildProcess) {
  for (;;) {
    const record = await readGatewayRecord(home);
    if (record?.pid === child.pid && record) return record;
    assert.equal(child.exitCode, null, 'the gateway ended before it was ready');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
