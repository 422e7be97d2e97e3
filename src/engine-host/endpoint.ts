import { setTimeout as sleep } from 'node:timers/promises';
import type { EndpointChange, LogLine, LogQuery } from '../contract/compute-target.ts';
import type { ParamsOf } from '../contract/engine-api.ts';
import { AksmlError } from '../contract/error.ts';
import { unrestorableVariables } from '../engine/endpoints/deleted-secrets.ts';
import { restoreEndpoint } from '../engine/endpoints/restore.ts';
import { askService, deleteService, getService, matching, readLogs, readSwagger } from '../engine/endpoints/service.ts';
import { updateEndpoint } from '../engine/endpoints/update.ts';
import { pickVersion } from '../engine/endpoints/versions.ts';
import { sampleBetween } from '../serving/metrics.ts';
import { batched } from './batches.ts';
import { forgetDeleted, secretsOfDeleted, undoably } from './deletions.ts';
import { changing } from './deployment.ts';
import type { HandlersOf } from './handler.ts';

const METRICS_INTERVAL_MS = 1000;

export const ENDPOINT: HandlersOf<'endpoint'> = {
  'endpoint.list': async (scope, { host, signal }) =>
    matching(await (await host.engine(scope)).target.listEndpoints(signal), {}),
  'endpoint.get': async ({ name, ...scope }, { host, signal }) => getService(await host.engine(scope), name, signal),
  'endpoint.watch': async ({ name, ...scope }, { host, signal, emit }) => {
    const { target } = await host.engine(scope);
    const changes = target.watchEndpoints(name === undefined ? {} : { name }, signal);
    await batched<EndpointChange>(changes, signal, emit);
    return null;
  },
  'endpoint.update': async ({ name, folder, workspace, target, ...change }, call) => {
    const engine = await call.host.engine({ folder, workspace, target });
    return changing(name, call, (run) => updateEndpoint(engine, { name, ...change }, run));
  },
  'endpoint.delete': async ({ name, ...scope }, { host, signal }) => {
    const engine = await host.engine(scope);
    const endpoint = await getService(engine, name, signal);
    await undoably(engine, { endpoint }, () => deleteService(engine, name, signal), signal);
    return null;
  },
  'endpoint.planDelete': async ({ name, versionName, ...scope }, { host, signal }) => {
    const engine = await host.engine(scope);
    const endpoint = await getService(engine, name, signal);
    const versions = versionName === undefined ? endpoint.spec.versions : [pickVersion(endpoint, versionName)];
    return { unrestorable: [...(await unrestorableVariables(engine, endpoint, versions, signal))] };
  },
  'endpoint.restore': async ({ endpoint, ...scope }, { host, signal }) => {
    const kept = secretsOfDeleted({ endpoint });
    const restored = await restoreEndpoint(await host.engine(scope), endpoint, kept, { signal });
    return { endpoint: restored, newKeys: endpoint.spec.auth === 'key' && kept?.keys === undefined };
  },
  'endpoint.forgetDeleted': async (deletion) => {
    forgetDeleted(deletion);
    return null;
  },
  'endpoint.run': async ({ name, body, versionName, headers, ...scope }, { host, signal }) =>
    askService(
      await host.engine(scope),
      {
        name,
        input: body,
        ...(versionName === undefined ? {} : { version: versionName }),
        ...(headers === undefined ? {} : { headers }),
      },
      signal,
    ),
  'endpoint.swagger': async ({ name, ...scope }, { host, signal }) => {
    const document = await readSwagger(await host.engine(scope), name, signal);
    if (typeof document === 'object' && document !== null) return { ...document };
    throw new AksmlError('service.noSwagger', `${name} describes itself with something that is not JSON.`, {
      subject: name,
    });
  },
  'endpoint.logs': async (params, { host, signal, emit }) => {
    const engine = await host.engine(params);
    await batched<LogLine>(readLogs(engine, params.name, logQuery(params), signal), signal, emit, lengthOf);
    return null;
  },
  'endpoint.metrics': async ({ name, intervalMs = METRICS_INTERVAL_MS, ...scope }, { host, signal, emit }) => {
    const { target, clock } = await host.engine(scope);
    if (target.readCounters === undefined) {
      throw new AksmlError('metrics.unavailable', `The compute target ${target.name} tells no figures.`, {
        subject: target.name,
      });
    }
    let before = await target.readCounters(name, signal);
    while (!signal.aborted) {
      await sleep(intervalMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) break;
      const after = await target.readCounters(name, signal);
      await emit(sampleBetween(before, after, clock().toISOString()));
      before = after;
    }
    return null;
  },
};

function logQuery({ versionName, replica, init, lines, since, grep, follow }: ParamsOf<'endpoint.logs'>): LogQuery {
  return {
    ...(versionName === undefined ? {} : { version: versionName }),
    ...(replica === undefined ? {} : { replica }),
    ...(init === undefined ? {} : { init }),
    ...(lines === undefined ? {} : { lines }),
    ...(since === undefined ? {} : { since }),
    ...(grep === undefined ? {} : { grep }),
    ...(follow === undefined ? {} : { follow }),
  };
}

function lengthOf({ line }: LogLine): number {
  return line.length;
}
