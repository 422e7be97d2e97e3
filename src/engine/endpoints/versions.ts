import type { DeploymentSpec } from '../../contract/deployment.ts';
import {
  type Endpoint,
  type EndpointSpec,
  MAX_VERSIONS_PER_ENDPOINT,
  type VersionSpec,
} from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import type { Problem } from '../../contract/problem.ts';
import { validateTraffic } from '../../serving/traffic.ts';
import type { Configuration } from '../config/configuration.ts';
import type { BuildOptions } from './build.ts';
import type { ModelReference } from './models.ts';

/** `service update`, `endpoint realtime create-version` and `update-version`: what is absent keeps what is there. */
export interface VersionChange {
  readonly name: string;
  /** Absent: the only version, of a service. */
  readonly versionName?: string;
  readonly configuration: Configuration;
  /** Absent: keep. */
  readonly models?: readonly ModelReference[];
  readonly description?: string;
  readonly addTags?: Readonly<Record<string, string>>;
  readonly removeTags?: readonly string[];
  readonly addProperties?: Readonly<Record<string, string>>;
  readonly isDefault?: boolean;
  readonly isControl?: boolean;
  readonly trafficPercentile?: number;
  readonly wait: boolean;
  readonly build: BuildOptions;
  readonly cwd: string;
}

/** `command`: which of aksml's takes the name of a version, where it is not the present one. */
export function pickVersion(endpoint: Endpoint, versionName: string | undefined, command?: string): VersionSpec {
  const { versions } = endpoint.spec;
  const [only] = versions;
  if (versionName === undefined && versions.length === 1 && only) return only;
  const version = versions.find(({ name }) => name === versionName);
  if (version) return version;
  const names = versions.map(({ name }) => name).join(', ');
  throw new AksmlError(
    'version.notFound',
    versionName === undefined
      ? `${endpoint.metadata.name} has several versions.`
      : `${endpoint.metadata.name} has no version ${JSON.stringify(versionName)}.`,
    {
      fault: 'input',
      subject: endpoint.metadata.name,
      remedy: `Name one of its versions with --version-name${command === undefined ? '' : ` of "${command}"`}: ${names}.`,
    },
  );
}

/** What `computeType` says is no setting. */
const SHARED_SETTINGS = new Set<string>([
  'computeType',
  'authEnabled',
  'tokenAuthEnabled',
  'appInsightsEnabled',
  'stickiness',
  'requestsPerSecond',
  'allowedAddresses',
] satisfies (keyof DeploymentSpec)[]);

/** Whether none of several versions has to be named, because they share whatever changes. */
export function isOfAllVersions({ spec }: Endpoint, change: VersionChange): boolean {
  const { versionName, configuration, models = [], build } = change;
  if (versionName !== undefined || spec.versions.length === 1) return false;
  const { inference, deployment = {} } = configuration;
  const own = Object.entries(deployment).filter(([name, value]) => value !== undefined && !SHARED_SETTINGS.has(name));
  const builds = build.refreshEnvironment === true || build.python !== undefined;
  return inference === undefined && models.length === 0 && own.length === 0 && !builds;
}

const NOTHING_TO_CHANGE: Problem = {
  severity: 'error',
  code: 'update.nothing',
  message: 'Nothing to change was given.',
  remedy:
    'Give at least one setting, a tag or a description; for a version also a model or an inference configuration.',
};

/** What is wrong with a change for saying nothing; a setting that was refused, as `problems` tell, was meant as one. */
export function emptinessProblems(saysSomething: boolean, problems: readonly Problem[] = []): Problem[] {
  const isRefused = problems.some(({ severity }) => severity === 'error');
  return saysSomething || isRefused ? [] : [NOTHING_TO_CHANGE];
}

export function changesSomething(change: VersionChange): boolean {
  const { name, versionName, configuration, wait, build, cwd, models, ...rest } = change;
  const { computeType, ...settings } = configuration.deployment ?? { computeType: 'aks' };
  return (
    configuration.inference !== undefined ||
    (models?.length ?? 0) > 0 ||
    Object.values(settings).some((value) => value !== undefined) ||
    Object.values(rest).some((value) => value !== undefined) ||
    build.refreshEnvironment === true ||
    build.python !== undefined
  );
}

/** v1: making one version the default, or the control, takes that from every other. */
export function withVersion<V extends Pick<VersionSpec, 'name' | 'isDefault' | 'type'>>(
  versions: readonly V[],
  version: V,
  change: Pick<VersionChange, 'isDefault' | 'isControl'>,
): V[] {
  const makeDefault = change.isDefault === true || versions.length === 0;
  const flagged: V = {
    ...version,
    isDefault: makeDefault || version.isDefault,
    ...(change.isControl === undefined ? {} : { type: change.isControl ? 'Control' : 'Treatment' }),
  };
  const all = versions.map((other): V => {
    if (other.name === version.name) return flagged;
    return {
      ...other,
      isDefault: makeDefault ? false : other.isDefault,
      ...(change.isControl === true ? { type: 'Treatment' } : {}),
    };
  });
  return versions.some(({ name }) => name === version.name) ? all : [...all, flagged];
}

/** Judged before anything is built; the compute target judges again. */
export function trafficProblems(
  spec: EndpointSpec,
  version: Pick<VersionSpec, 'name' | 'isDefault' | 'trafficPercentile'>,
  change: VersionChange,
): Problem[] {
  const isRefused = change.configuration.problems.some(({ code }) => code === 'trafficPercentile.outOfRange');
  if (spec.form === 'service' || isRefused) return [];
  const { trafficPercentile = version.trafficPercentile } = change;
  const changed = { ...version, ...(trafficPercentile === undefined ? {} : { trafficPercentile }) };
  return validateTraffic(withVersion<typeof changed>(spec.versions, changed, change));
}

export function serviceLabels(
  spec: EndpointSpec,
  change: Pick<VersionChange, 'description' | 'addTags' | 'removeTags' | 'addProperties'>,
): Partial<EndpointSpec> {
  return {
    ...(change.description === undefined ? {} : { description: change.description }),
    tags: withTags(spec.tags, change),
    properties: { ...spec.properties, ...change.addProperties },
  };
}

export function withTags(
  tags: Readonly<Record<string, string>>,
  change: Pick<VersionChange, 'addTags' | 'removeTags'>,
): Record<string, string> {
  const kept = Object.entries(tags).filter(([key]) => !change.removeTags?.includes(key));
  return { ...Object.fromEntries(kept), ...change.addTags };
}

/** v1 did nothing about it, either. */
export function defaultProblems(name: string, version: VersionSpec, { isDefault }: VersionChange): Problem[] {
  if (isDefault !== false || !version.isDefault) return [];
  return [
    {
      severity: 'warning',
      code: 'version.staysDefault',
      path: '--is-default',
      message: `${version.name} stays the default version of ${name}: one has to take all unassigned traffic.`,
      remedy: otherDefault(name),
    },
  ];
}

export function otherDefault(endpoint: string): string {
  return `Make another version the default: aksml endpoint realtime update-version -n ${endpoint} --vn OTHER --is-default true`;
}

export function tagProblems(current: Endpoint, version: VersionSpec, change: VersionChange): Problem[] {
  const properties = current.spec.form === 'service' ? current.spec.properties : version.properties;
  return propertyProblems(properties, change.addProperties);
}

/** v1: a property key can never be changed. */
export function propertyProblems(
  present: Readonly<Record<string, string>>,
  added: Readonly<Record<string, string>> = {},
): Problem[] {
  return Object.keys(added)
    .filter((key) => key in present && present[key] !== added[key])
    .map((key) => ({
      severity: 'error',
      code: 'property.immutable',
      path: '--add-property',
      message: `The property ${JSON.stringify(key)} is set already, and properties never change.`,
      remedy: 'Use a tag for what changes.',
    }));
}

export function createProblems(current: Endpoint, change: VersionChange & { readonly versionName: string }): Problem[] {
  const problems: Problem[] = [];
  if (current.spec.form !== 'endpoint') {
    problems.push({
      severity: 'error',
      code: 'endpoint.isService',
      path: '--name',
      message: `${change.name} is a service, which has one version only.`,
      remedy: 'Deploy an endpoint: set computeType to aksendpoint in the deployment configuration.',
    });
  }
  if (current.spec.versions.some(({ name }) => name === change.versionName)) {
    problems.push(versionIsThere(change.name, change.versionName));
  }
  if (current.spec.versions.length >= MAX_VERSIONS_PER_ENDPOINT) {
    problems.push({
      severity: 'error',
      code: 'endpoint.full',
      path: '--name',
      message: `${change.name} has ${current.spec.versions.length} versions, the most that an endpoint holds.`,
      remedy: 'Delete one with delete-version.',
    });
  }
  return problems;
}

export function versionIsThere(endpoint: string, versionName: string): Problem {
  return {
    severity: 'error',
    code: 'version.exists',
    path: '--version-name',
    message: `${endpoint} already has a version ${versionName}.`,
    remedy: 'Use update-version, or another name.',
  };
}
