import type { ParamsOf } from '../contract/engine-api.ts';
import { findEndpoint } from '../engine/endpoints/deploy.ts';
import { restoreVersion } from '../engine/endpoints/restore.ts';
import { setTraffic } from '../engine/endpoints/traffic.ts';
import { createVersion, deleteVersion, planVersion, updateVersion } from '../engine/endpoints/update.ts';
import { secretsOfDeleted, undoably } from './deletions.ts';
import { changing, versionChange } from './deployment.ts';
import type { HandlersOf } from './handler.ts';

export const VERSION: HandlersOf<'version'> = {
  'version.plan': async (params, { host, signal }) =>
    planVersion(
      await host.engine(params),
      { ...(await versionChange(host, params, { isVersion: true })), versionName: params.versionName },
      signal,
    ),
  'version.create': async (params, call) => {
    const { host, signal, repeated, resumed } = call;
    const { name, versionName } = params;
    const engine = await host.engine(params);
    const change = { ...(await versionChange(host, params, { repeated, isVersion: true })), versionName };
    const made =
      resumed && (await findEndpoint(engine, name, signal))?.spec.versions.some((one) => one.name === versionName);
    return changing(name, call, (run) => (made ? updateVersion : createVersion)(engine, change, run));
  },
  'version.delete': async (params, call) => {
    const engine = await call.host.engine(params);
    const { name, versionName } = params;
    return changing(name, call, async (run) => {
      const endpoint = await engine.target.getEndpoint(name, run.signal);
      return undoably(engine, { endpoint, versionName }, () => deleteVersion(engine, params, run), run.signal);
    });
  },
  'version.restore': async ({ before, versionName, ...scope }, call) => {
    const engine = await call.host.engine(scope);
    const kept = secretsOfDeleted({ endpoint: before, versionName });
    return changing(before.metadata.name, call, (run) => restoreVersion(engine, { before, versionName, kept }, run));
  },
  'version.scale': async ({ scale, ...params }, call) => {
    const { host } = call;
    const engine = await host.engine(params);
    const change = await versionChange(host, { ...params, flags: scaleFlags(scale) }, {});
    return changing(params.name, call, (run) => updateVersion(engine, change, run));
  },
};

type Flags = Record<string, string | number | boolean>;

/** As v1's update said it. */
function scaleFlags(scale: ParamsOf<'version.scale'>['scale']): Flags {
  if (scale.kind === 'fixed') return { autoscaleEnabled: false, numReplicas: scale.replicas };
  const { minReplicas, maxReplicas, targetUtilization, refreshPeriodInSeconds } = scale;
  return {
    autoscaleEnabled: true,
    autoscaleMinReplicas: minReplicas,
    autoscaleMaxReplicas: maxReplicas,
    ...(targetUtilization === undefined ? {} : { autoscaleTargetUtilization: targetUtilization }),
    ...(refreshPeriodInSeconds === undefined ? {} : { autoscaleRefreshSeconds: refreshPeriodInSeconds }),
  };
}

export const TRAFFIC: HandlersOf<'traffic'> = {
  'traffic.set': async ({ name, percentiles, defaultVersion, controlVersion, ...scope }, { host, signal }) =>
    setTraffic(
      await host.engine(scope),
      {
        name,
        percentiles,
        ...(defaultVersion === undefined ? {} : { defaultVersion }),
        ...(controlVersion === undefined ? {} : { controlVersion }),
      },
      signal,
    ),
};
