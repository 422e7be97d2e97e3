/** The keys of v2's online endpoint and deployment files. */
export interface V2Key {
  readonly path: string;
  /** Why it has no counterpart; absent: it is imported. */
  readonly reason?: string;
  readonly remedy?: string;
}

const used = (...paths: string[]): V2Key[] => paths.map((path) => ({ path }));

export const V2_ENDPOINT_KEYS: readonly V2Key[] = [
  ...used(
    '$schema',
    'name',
    'description',
    'tags',
    'properties',
    'auth_mode',
    'traffic',
    'mirror_traffic',
    'compute',
    'kind',
    'type',
  ),
  {
    path: 'identity',
    reason: 'replicas have no Azure identity of their own',
    remedy: 'Give the pods one with a Kubernetes service account.',
  },
  { path: 'public_network_access', reason: 'the network belongs to the compute target', remedy: 'Restrict it there.' },
  { path: 'location', reason: 'the region belongs to the compute target' },
];

export const V2_DEPLOYMENT_KEYS: readonly V2Key[] = [
  ...used(
    '$schema',
    'type',
    'name',
    'description',
    'tags',
    'properties',
    'endpoint_name',
    'app_insights_enabled',
    'instance_count',
    'environment_variables',
    'model_mount_path',
  ),
  ...used(
    'model.name',
    'model.version',
    'model.path',
    'model.type',
    'model.description',
    'model.tags',
    'model.properties',
    'model.flavors',
  ),
  ...used('code_configuration.code', 'code_configuration.code.local_path', 'code_configuration.scoring_script'),
  ...used(
    'environment.name',
    'environment.version',
    'environment.image',
    'environment.conda_file',
    'environment.docker.image',
    'environment.description',
    'environment.tags',
    'environment.os_type',
    'environment.environment_variables',
  ),
  ...used('environment.build.path', 'environment.build.dockerfile_path'),
  ...['liveness_route', 'readiness_route', 'scoring_route'].flatMap((route) =>
    used(`environment.inference_config.${route}.path`, `environment.inference_config.${route}.port`),
  ),
  // aksml's own additions: what serves on a compute target that runs commands instead of images, and what speaks HTTP/2, as gRPC does.
  ...used('environment.inference_config.command', 'environment.inference_config.http2'),
  ...used(
    'scale_settings.type',
    'scale_settings.scale_type',
    'scale_settings.min_instances',
    'scale_settings.max_instances',
    'scale_settings.polling_interval',
    'scale_settings.target_utilization_percentage',
  ),
  ...used(
    'request_settings.request_timeout_ms',
    'request_settings.max_concurrent_requests_per_instance',
    'request_settings.max_queue_wait_ms',
  ),
  ...used(
    'resources.requests.cpu',
    'resources.requests.memory',
    'resources.requests.nvidia.com/gpu',
    'resources.limits.cpu',
    'resources.limits.memory',
    'resources.limits.nvidia.com/gpu',
  ),
  ...used(
    'liveness_probe.initial_delay',
    'liveness_probe.period',
    'liveness_probe.timeout',
    'liveness_probe.success_threshold',
    'liveness_probe.failure_threshold',
  ),
  ...used(
    'data_collector.collections',
    'data_collector.rolling_rate',
    'data_collector.sampling_rate',
    'data_collector.request_logging',
  ),
  { path: 'readiness_probe', reason: 'a replica is ready as soon as init() has returned', remedy: 'Leave it out.' },
  {
    path: 'startup_probe',
    reason: 'a starting replica is left alone for initialDelaySeconds',
    remedy: 'Set liveness_probe.initial_delay.',
  },
  {
    path: 'instance_type',
    reason: 'there are no machine sizes here',
    remedy: 'Set cpu and memoryInGB of containerResourceRequirements to what the script needs.',
  },
  {
    path: 'egress_public_network_access',
    reason: 'the network belongs to the compute target',
    remedy: 'Restrict it there.',
  },
];
