import type { LocalView } from '../contract/engine-api.ts';
import { collectGarbage } from '../session/garbage.ts';
import type { EngineHost } from './engine-host.ts';
import type { HandlersOf } from './handler.ts';

export const LOCAL: HandlersOf<'local'> = {
  'local.status': (_, { host }) => statusOf(host),
  'local.start': async (_, { host }) => {
    await host.local.start();
    return statusOf(host);
  },
  'local.stop': async (_, { host }) => {
    await host.local.stop();
    return statusOf(host);
  },
};

async function statusOf({ local, home }: EngineHost): Promise<LocalView> {
  const { supervisor, stopped, endpoints, damaged, logFile } = await local.localStatus();
  return {
    ...(supervisor === undefined
      ? {}
      : {
          supervisor: {
            pid: supervisor.pid,
            startedTime: supervisor.startedTime,
            memoryBytes: supervisor.memoryBytes,
            ...(supervisor.gateway === undefined ? {} : { gatewayPort: supervisor.gateway.port }),
          },
        }),
    stopped,
    endpoints,
    damaged,
    logFile,
    home: home.root,
  };
}

export const GARBAGE: HandlersOf<'garbage'> = {
  'garbage.collect': async ({ dryRun, caches }, { host, signal }) =>
    collectGarbage({
      home: host.home,
      endpoints: await host.local.listEndpoints(signal),
      dryRun: dryRun === true,
      caches: caches === true,
      signal,
    }),
};
