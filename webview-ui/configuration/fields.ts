import {
  type ComputeType,
  type ConfigurationKey,
  DEPLOYMENT_KEYS,
  type DeploymentKey,
} from '../../src/contract/configuration/deployment-keys.ts';
import { ENVIRONMENT_FIELDS, type EnvironmentField } from '../../src/contract/configuration/environment-keys.ts';
import { INFERENCE_KEYS } from '../../src/contract/configuration/inference-keys.ts';
import type { ConfigurationFile } from '../../src/contract/webview/configuration.ts';

export type FieldKind =
  | 'text'
  | 'secret'
  | 'path'
  | 'integer'
  | 'number'
  | 'boolean'
  | 'choice'
  | 'target'
  | 'texts'
  | 'mapping'
  | 'conda'
  /** Told and edited in JSON: lists of sections that have no effect here. */
  | 'json';

/** One key as the form shows it, made from the engine's own tables. */
export interface FieldSpec {
  /** `autoScaler.minReplicas` */
  readonly id: string;
  readonly path: readonly string[];
  readonly kind: FieldKind;
  readonly help: string;
  readonly unit?: string;
  readonly default?: string | number | boolean;
  readonly values?: readonly string[];
  /** Where v1 read it; absent: everywhere. */
  readonly computeTypes?: readonly ComputeType[];
  readonly isLegacy?: boolean;
}

export interface GroupSpec {
  readonly id: GroupId;
  readonly fields: readonly FieldSpec[];
}

export type GroupId =
  | 'general'
  | 'resources'
  | 'scale'
  | 'requests'
  | 'access'
  | 'probe'
  | 'monitoring'
  | 'instance'
  | 'script'
  | 'environment'
  | 'python'
  | 'docker'
  | 'legacy'
  | 'elsewhere';

/** By section, else by key; what only container instances know is by itself, and everything else is general. */
const DEPLOYMENT_GROUPS: Readonly<Record<string, GroupId>> = {
  containerResourceRequirements: 'resources',
  gpuCores: 'resources',
  numReplicas: 'scale',
  autoScaler: 'scale',
  scoringTimeoutMs: 'requests',
  maxConcurrentRequestsPerContainer: 'requests',
  maxQueueWaitMs: 'requests',
  authEnabled: 'access',
  tokenAuthEnabled: 'access',
  keys: 'access',
  frontEnd: 'access',
  livenessProbeRequirements: 'probe',
  appInsightsEnabled: 'monitoring',
  dataCollection: 'monitoring',
};

const DEPLOYMENT_ORDER: readonly GroupId[] = [
  'general',
  'resources',
  'scale',
  'requests',
  'access',
  'probe',
  'monitoring',
  'instance',
];

/** Parts of an environment that v1 carried along for other services. */
const ELSEWHERE: ReadonlySet<string> = new Set(['spark', 'databricks', 'r', 'assetId']);

const INFERENCE_ORDER: readonly GroupId[] = ['script', 'environment', 'python', 'docker', 'legacy', 'elsewhere'];

const SECRET = /(?:primaryKey|secondaryKey|password|authToken)$/;

export const GROUPS: Readonly<Record<ConfigurationFile, readonly GroupSpec[]>> = {
  deploymentconfig: inGroups(
    DEPLOYMENT_ORDER,
    DEPLOYMENT_KEYS.map((key) => [deploymentGroup(key), { ...fieldOf(key), computeTypes: key.computeTypes }] as const),
  ),
  inferenceconfig: inGroups(INFERENCE_ORDER, [
    ...INFERENCE_KEYS.filter(({ path }) => path !== 'environment').map(
      (key) =>
        [key.isLegacy ? 'legacy' : 'script', { ...fieldOf(key), ...(key.isLegacy ? { isLegacy: true } : {}) }] as const,
    ),
    ...Object.entries(ENVIRONMENT_FIELDS).flatMap(([name, field]) =>
      environmentFields(['environment', name], field).map((spec) => [environmentGroup(name), spec] as const),
    ),
  ]),
};

function deploymentGroup({ path, computeTypes }: DeploymentKey): GroupId {
  const [first = ''] = path.split('.');
  return (
    DEPLOYMENT_GROUPS[path] ??
    DEPLOYMENT_GROUPS[first] ??
    (computeTypes.every((type) => type === 'aci') ? 'instance' : 'general')
  );
}

function environmentGroup(name: string): GroupId {
  if (ELSEWHERE.has(name)) return 'elsewhere';
  return name === 'python' || name === 'docker' ? name : 'environment';
}

function inGroups(order: readonly GroupId[], fields: readonly (readonly [GroupId, FieldSpec])[]): GroupSpec[] {
  return order.map((id) => ({ id, fields: fields.filter(([group]) => group === id).map(([, field]) => field) }));
}

function fieldOf(key: ConfigurationKey): FieldSpec {
  return {
    id: key.path,
    path: key.path.split('.'),
    kind: kindOf(key),
    help: key.help,
    ...(key.unit === undefined ? {} : { unit: key.unit }),
    ...(key.default === undefined ? {} : { default: key.default }),
    ...(key.values === undefined ? {} : { values: key.values }),
  };
}

function kindOf({ path, type, values }: ConfigurationKey): FieldKind {
  if (path === 'computeTargetName') return 'target';
  if (values !== undefined) return 'choice';
  if (SECRET.test(path)) return 'secret';
  return type === 'object' ? 'json' : type;
}

function environmentFields(path: readonly string[], field: EnvironmentField): FieldSpec[] {
  if (field.kind === 'section') {
    return Object.entries(field.fields).flatMap(([name, member]) => environmentFields([...path, name], member));
  }
  const kind: FieldKind = field.kind === 'sections' ? 'json' : field.kind;
  const id = path.join('.');
  return [
    {
      id,
      path,
      kind: SECRET.test(id) && kind === 'text' ? 'secret' : kind,
      help: field.help,
      ...(field.kind === 'choice' ? { values: field.values } : {}),
    },
  ];
}

export type Values = Readonly<Record<string, unknown>>;

/** What the file says at a path; undefined when it says nothing. `null` counts as nothing, as in v1. */
export function valueAt(values: Values, path: readonly string[]): unknown {
  let value: unknown = values;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, part))
      return undefined;
    value = (value as Values)[part];
  }
  return value ?? undefined;
}

/** `name` or `name:version` of the registered environment that the file refers to: an environment that says nothing else. */
export function environmentReference(values: Values): string | undefined {
  const value = valueAt(values, ['environment']);
  if (typeof value !== 'object' || value === null) return undefined;
  const { name, version, ...others } = value as Values;
  const says = Object.values(others).some((other) => other !== null && other !== undefined);
  if (typeof name !== 'string' || name === '' || says) return undefined;
  return version === undefined || version === null ? name : `${name}:${version}`;
}

/** `aks` unless the file says otherwise; case does not matter. */
export function computeTypeOf(values: Values): string {
  const value = valueAt(values, ['computeType']);
  return typeof value === 'string' && value !== '' ? value.toLowerCase() : 'aks';
}

export interface Filter {
  /** Words that must all occur in the key or its help. */
  readonly query: string;
  /** Also keys that have no effect with the present compute type. */
  readonly showAll: boolean;
}

/** The groups with the fields to be shown: what has an effect, what the file says, and what is searched for. */
export function shownGroups(file: ConfigurationFile, values: Values, { query, showAll }: Filter): GroupSpec[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const type = computeTypeOf(values);
  const isShown = (field: FieldSpec) => {
    if (words.length > 0) {
      const text = `${field.id} ${field.help}`.toLowerCase();
      return words.every((word) => text.includes(word));
    }
    return showAll || valueAt(values, field.path) !== undefined || hasEffect(field, type);
  };
  return GROUPS[file]
    .map((group) => ({ ...group, fields: group.fields.filter(isShown) }))
    .filter(({ fields }) => fields.length > 0);
}

export function hasEffect({ computeTypes }: Pick<FieldSpec, 'computeTypes'>, computeType: string): boolean {
  return computeTypes === undefined || computeTypes.some((type) => type === computeType);
}
