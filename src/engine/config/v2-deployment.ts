import type { Origin, Report } from './report.ts';
import { isTruthy, type SourceValue, show } from './source.ts';
import type { V2Endpoint } from './v2.ts';
import type { V2Source } from './v2-source.ts';
import { parseMemory, parseQuantity } from './v2-values.ts';

type Json = Record<string, unknown>;

export interface V2Deployment {
  readonly json: Json;
  /** Where in the v2 file a v1 key comes from. */
  readonly origins: ReadonlyMap<string, Origin>;
}

/** v2's defaults where v1's are others, so that the meaning stays; as v2's "managed online deployment YAML schema" page tells them. */
const V2_DEFAULTS: readonly (readonly [path: string, value: number])[] = [
  ['scoringTimeoutMs', 5000],
  ['livenessProbeRequirements.initialDelaySeconds', 10],
  ['livenessProbeRequirements.failureThreshold', 30],
];

/** v1's deployment configuration with the meaning of a v2 deployment. */
export function deploymentOfV2(
  source: V2Source,
  endpoint: V2Endpoint,
  versionName: string | undefined,
  report: Report,
): V2Deployment {
  const builder = new DeploymentBuilder(source, report);
  builder.put('computeType', 'aksendpoint');
  if (versionName !== undefined) builder.put('versionName', versionName, ['name']);
  const share = versionName === undefined ? undefined : endpoint.traffic[versionName];
  if (share !== undefined) builder.put('trafficPercentile', share);
  const copied = versionName === undefined ? undefined : endpoint.mirrorTraffic[versionName];
  if (copied !== undefined) builder.put('mirrorPercentile', copied);
  if (endpoint.computeTargetName !== undefined) builder.put('computeTargetName', endpoint.computeTargetName);
  builder.put('authEnabled', endpoint.auth === 'key');
  if (endpoint.auth === 'token') builder.put('tokenAuthEnabled', true);
  builder.settings();
  builder.scale();
  builder.resources();
  for (const [path, value] of V2_DEFAULTS) builder.putDefault(path, value);
  return { json: builder.json, origins: builder.origins };
}

class DeploymentBuilder {
  readonly json: Json = {};
  readonly origins = new Map<string, Origin>();
  readonly #source: V2Source;
  readonly #report: Report;

  constructor(source: V2Source, report: Report) {
    this.#source = source;
    this.#report = report;
  }

  put(path: string, value: unknown, from?: readonly string[]): void {
    const [section, leaf] = path.split('.');
    if (section === undefined) return;
    if (leaf === undefined) this.json[section] = value;
    else this.json[section] = { ...asObject(this.json[section]), [leaf]: value };
    if (from) this.origins.set(path, this.#source.origin(...from));
  }

  putDefault(path: string, value: number): void {
    const [section = '', leaf] = path.split('.');
    const holder = leaf === undefined ? this.json : asObject(this.json[section]);
    if (holder[leaf ?? section] === undefined) this.put(path, value);
  }

  settings(): void {
    this.#copy('appInsightsEnabled', ['app_insights_enabled']);
    this.#copy('scoringTimeoutMs', ['request_settings', 'request_timeout_ms']);
    this.#copy('maxConcurrentRequestsPerContainer', ['request_settings', 'max_concurrent_requests_per_instance']);
    this.#copy('maxQueueWaitMs', ['request_settings', 'max_queue_wait_ms']);
    for (const [leaf, key] of PROBE) this.#copy(`livenessProbeRequirements.${leaf}`, ['liveness_probe', key]);
    if (!isTruthy(this.#source.value('data_collector'))) return;
    this.put('dataCollection.storageEnabled', true, ['data_collector']);
    this.#report.notice(
      'v2.dataCollector',
      this.#source.origin('data_collector'),
      'data_collector is imported as data collection; its sampling and destinations are not.',
    );
  }

  scale(): void {
    const type =
      this.#source.text('scale_settings', 'type') ?? this.#source.text('scale_settings', 'scale_type') ?? 'default';
    const instances = this.#source.value('instance_count');
    if (/^(?:target_?utilization|auto)$/i.test(type)) {
      this.put('autoScaler.autoscaleEnabled', true);
      this.#copy('autoScaler.minReplicas', ['scale_settings', 'min_instances']);
      this.#copy('autoScaler.maxReplicas', ['scale_settings', 'max_instances']);
      this.#copy('autoScaler.refreshPeriodInSeconds', ['scale_settings', 'polling_interval']);
      this.#copy('autoScaler.targetUtilization', ['scale_settings', 'target_utilization_percentage']);
      if (isTruthy(instances)) {
        const message = 'instance_count has no effect, because the number of replicas follows the load.';
        this.#report.warning('v2.noCounterpart', this.#source.origin('instance_count'), message, 'Leave it out.');
      }
      return;
    }
    if (!/^(?:default|manual)$/i.test(type)) {
      const message = `scale_settings.type "${type}" is not known.`;
      this.#report.error(
        'v2.scaleType',
        this.#source.origin('scale_settings', 'type'),
        message,
        'Write default or target_utilization.',
      );
    }
    if (isTruthy(instances)) this.#copy('numReplicas', ['instance_count']);
    else this.put('numReplicas', 1);
  }

  resources(): void {
    const at = 'containerResourceRequirements';
    this.#quantity(`${at}.cpu`, ['resources', 'requests', 'cpu'], parseQuantity);
    this.#quantity(`${at}.cpuLimit`, ['resources', 'limits', 'cpu'], parseQuantity);
    this.#quantity(`${at}.memoryInGB`, ['resources', 'requests', 'memory'], parseMemory);
    this.#quantity(`${at}.memoryInGBLimit`, ['resources', 'limits', 'memory'], parseMemory);
    this.#quantity('gpuCores', ['resources', 'requests', 'nvidia.com/gpu'], parseQuantity);
    this.#quantity('gpuCores', ['resources', 'limits', 'nvidia.com/gpu'], parseQuantity);
  }

  #copy(path: string, keys: readonly string[]): void {
    const value = this.#source.value(...keys);
    if (value.type !== 'NoneType') this.put(path, plainScalar(value), keys);
  }

  #quantity(path: string, keys: readonly string[], parse: (value: unknown) => number | undefined): void {
    const value = this.#source.value(...keys);
    if (value.type === 'NoneType') return;
    const number = parse(plainScalar(value));
    if (number !== undefined) {
      this.put(path, number, keys);
      return;
    }
    const message = `${keys.join('.')} ${show(value)} is not a quantity.`;
    this.#report.error(
      'v2.quantity',
      this.#source.origin(...keys),
      message,
      'Write it such as "500m", "2", "500Mi" or "1Gi".',
    );
  }
}

const PROBE = [
  ['periodSeconds', 'period'],
  ['initialDelaySeconds', 'initial_delay'],
  ['timeoutSeconds', 'timeout'],
  ['successThreshold', 'success_threshold'],
  ['failureThreshold', 'failure_threshold'],
] as const;

function asObject(value: unknown): Json {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function plainScalar(value: SourceValue): unknown {
  return 'value' in value ? value.value : typeof value;
}
