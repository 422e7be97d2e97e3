import {
  COMPUTE_TYPES,
  type ComputeType,
  DEPLOYMENT_KEY_MISTAKES,
  DEPLOYMENT_KEYS,
  type DeploymentKey,
  leafOf,
} from '../../contract/configuration/deployment-keys.ts';
import type { ConfigurationFlags } from '../../contract/configuration/flags.ts';
import type { DeploymentSpec } from '../../contract/deployment.ts';
import { followsRule, NAMESPACE, SERVICE_NAME } from '../../contract/names.ts';
import { isPort } from '../../contract/port.ts';
import { type AciFiles, validateAci } from './deployment-aci.ts';
import { buildDeployment } from './deployment-spec.ts';
import { parseAddresses, parseSteps } from './front-end.ts';
import type { Origin, Report } from './report.ts';
import { isSendable, type Setting, SettingsSource, showValue } from './settings-source.ts';
import { asNumber, get, isTruthy, type MapValue, type SourceValue, show, typeInWords } from './source.ts';
import { normalize, reportUnknownKeys } from './unknown-keys.ts';

export interface DeploymentInput {
  /** As the user named it; absent when only flags are given. */
  readonly file?: string;
  readonly content?: SourceValue;
  readonly flags: ConfigurationFlags;
  /** It describes a version of an endpoint: what only these have counts with the compute type `aks`, too. */
  readonly isVersion?: boolean;
}

/** Judges a deployment configuration as v1's SDK did, except that it does not stop. Undefined: it has no usable compute type. */
export async function readDeployment(
  input: DeploymentInput,
  report: Report,
  files: AciFiles,
): Promise<DeploymentSpec | undefined> {
  const root = input.content === undefined ? undefined : readRoot(input, input.content, report);
  if (input.content !== undefined && root === undefined) return undefined;
  const source = new SettingsSource(input.file, root, input.flags);
  const computeType = readComputeType(source, input, report);
  if (computeType === undefined) return undefined;
  const settings = new DeploymentSettings(source, computeType);
  reportUnreadKeys(source, computeType, report);
  reportSections(source, computeType, report);
  reportUnsendable(settings, report);
  if (computeType === 'local') validatePort(settings, report);
  else if (computeType === 'aci') await validateAci(settings, report, files);
  else validateAks(settings, computeType, report);
  return buildDeployment(settings, computeType, report);
}

/** The settings that v1 read for a compute type; all others count as absent. */
export class DeploymentSettings {
  readonly #source: SettingsSource;
  readonly #keys: ReadonlyMap<string, DeploymentKey>;

  constructor(source: SettingsSource, computeType: ComputeType) {
    this.#source = source;
    const keys = DEPLOYMENT_KEYS.filter(
      (key) => key.computeTypes.includes(computeType) || isReadAnyway(key, computeType),
    );
    this.#keys = new Map(keys.map((key) => [key.path, key]));
  }

  get(path: string): Setting {
    const key = this.#keys.get(path);
    return key ? this.#source.get(key) : { value: { type: 'NoneType', value: null, line: 0 }, origin: { path } };
  }

  get paths(): Iterable<string> {
    return this.#keys.keys();
  }
}

/** v1 read it for `aks` only; its meaning is as plain for an endpoint. */
function isReadAnyway(key: DeploymentKey, computeType: ComputeType): boolean {
  return key.path === 'computeTargetName' && computeType === 'aksendpoint';
}

const COMPUTE_TYPE_REMEDY = 'Write computeType as one of aks, aksendpoint, local or aci.';

/** Python's `"computeType" in content` and `content["computeType"]` for whatever the file is. */
function readRoot(input: DeploymentInput, content: SourceValue, report: Report): MapValue | undefined {
  if (content.type === 'dict') return content;
  const origin: Origin = { ...(input.file === undefined ? {} : { file: input.file }), line: content.line || 1 };
  const isContainer = content.type === 'str' || 'items' in content;
  const hasWord =
    content.type === 'str'
      ? content.value.includes('computeType')
      : 'items' in content && content.items.some((item) => item.type === 'str' && item.value === 'computeType');
  report.error(
    isContainer && !hasWord ? 'computeType.missing' : 'type.TypeError',
    origin,
    content.type === 'NoneType'
      ? 'The file is empty.'
      : `The file must hold an object, but holds ${typeInWords(content)}.`,
    `Write an object with at least a computeType. ${COMPUTE_TYPE_REMEDY}`,
  );
  return undefined;
}

function readComputeType(source: SettingsSource, input: DeploymentInput, report: Report): ComputeType | undefined {
  const { value, origin } = source.get({ path: 'computeType', flag: 'computeType' });
  const isGiven = value.type !== 'NoneType' || source.root?.entries.has('computeType') === true;
  if (!isGiven && input.content === undefined) return input.isVersion ? 'aksendpoint' : 'aks';
  if (!isGiven) {
    const misspelt = [...(source.root?.entries.keys() ?? [])].find((key) => normalize(key) === 'computetype');
    report.error(
      'computeType.missing',
      { ...origin, line: source.root?.line ?? 1 },
      'computeType is missing.',
      misspelt === undefined ? COMPUTE_TYPE_REMEDY : `Rename "${misspelt}" to "computeType": the case of keys matters.`,
    );
    return undefined;
  }
  if (value.type !== 'str') {
    const message = `computeType must be text, but is ${typeInWords(value)}.`;
    report.error(`type.noAttribute:${value.type}.lower`, origin, message, COMPUTE_TYPE_REMEDY);
    return undefined;
  }
  const wanted = value.value.toLowerCase();
  const known = COMPUTE_TYPES.find((type) => type === wanted);
  if (known === undefined) {
    report.error('computeType.unknown', origin, `computeType ${show(value)} is not known.`, COMPUTE_TYPE_REMEDY);
  }
  return known === 'aks' && input.isVersion ? 'aksendpoint' : known;
}

const PATHS = DEPLOYMENT_KEYS.map((key) => key.path);
const ALIASES = new Map(
  DEPLOYMENT_KEYS.flatMap((key) => (key.flag === undefined ? [] : [[normalize(key.flag), key.path] as const])),
);

function reportUnreadKeys(source: SettingsSource, computeType: ComputeType, report: Report): void {
  const { root, file } = source;
  if (root && file !== undefined) {
    reportUnknownKeys(root, { file, paths: PATHS, mistakes: DEPLOYMENT_KEY_MISTAKES, aliases: ALIASES }, report);
  }
  for (const key of DEPLOYMENT_KEYS) {
    if (key.computeTypes.includes(computeType)) continue;
    const given = [source.fromFlag(key), source.fromFile(key.path)].filter((one) => one !== undefined);
    for (const { value, origin } of given) if (isTruthy(value)) reportUnread(key, origin, computeType, report);
  }
}

function reportUnread(key: DeploymentKey, origin: Origin, computeType: ComputeType, report: Report): void {
  const { path = key.path } = origin;
  if (isReadAnyway(key, computeType)) {
    const message = `${path} is honoured with computeType ${computeType}; v1 ignored it there.`;
    report.notice('difference.computeTargetName', origin, message);
  } else {
    const message = `${path} has no effect with computeType ${computeType}.`;
    report.warning('key.noEffect', origin, message, `Remove it; it belongs to ${key.computeTypes.join(' and ')}.`);
  }
}

/** v1 called `.get` on each section, so anything but an object broke it, null included. */
function reportSections(source: SettingsSource, computeType: ComputeType, report: Report): void {
  const keys = DEPLOYMENT_KEYS.filter((key) => key.computeTypes.includes(computeType));
  const sections = new Set(
    keys.flatMap((key) => (key.path.includes('.') ? [key.path.slice(0, key.path.indexOf('.'))] : [])),
  );
  for (const section of sections) {
    if (source.root?.entries.has(section) !== true) continue;
    const value = get(source.root, section);
    if (value.type === 'dict') continue;
    report.error(
      `type.noAttribute:${value.type}.get`,
      source.fromFile(section).origin,
      `${section} must be an object, but is ${typeInWords(value)}.`,
      value.type === 'NoneType' ? 'Remove it, or write {}.' : 'Write an object.',
    );
  }
}

function reportUnsendable(settings: DeploymentSettings, report: Report): void {
  for (const path of settings.paths) {
    const { value, origin } = settings.get(path);
    if (isSendable(value)) continue;
    report.error(
      'value.notSendable',
      origin,
      `${path} is ${showValue({ value, origin })} (${typeInWords(value)}), which cannot be written as JSON, so v1 could not send it.`,
      'Write a number, or text in quotes.',
    );
  }
}

/** What makes `minReplicas: 0` a valid one. */
const ZERO_REPLICAS = 'say with autoScaler.coldStartSeconds how long a call may wait for the first replica';

function validateAks(settings: DeploymentSettings, computeType: ComputeType, report: Report): void {
  const rules = new AksRules(settings, report);
  rules.number('containerResourceRequirements.cpu', 'positive');
  rules.limit('containerResourceRequirements.cpu', 'containerResourceRequirements.cpuLimit', 'cpuLimit.belowCpu');
  rules.number('containerResourceRequirements.memoryInGB', 'positive');
  rules.limit(
    'containerResourceRequirements.memoryInGB',
    'containerResourceRequirements.memoryInGBLimit',
    'memoryInGBLimit.belowMemory',
  );
  for (const key of DEPLOYMENT_KEYS) {
    if (key.path === 'namespace') rules.namespace();
    else if (key.rule && !key.path.startsWith('containerResourceRequirements.')) rules.number(key.path, key.rule);
  }
  rules.autoscale();
  rules.authentication();
  rules.frontEnd();
  if (computeType === 'aksendpoint') rules.endpoint();
}

const STICKINESS: readonly string[] = ['none', 'session'];
const AUTOSCALE_NUMBERS = ['minReplicas', 'maxReplicas', 'refreshPeriodInSeconds', 'targetUtilization'];

/** The rules of v1's AKS deployment configuration; codes are the ones its refusals are known by. */
export class AksRules {
  readonly #settings: { get(path: string): Setting };
  readonly #report: Report;

  constructor(settings: { get(path: string): Setting }, report: Report) {
    this.#settings = settings;
    this.#report = report;
  }

  number(path: string, rule: 'positive' | 'notNegative', otherwise = 'remove it'): void {
    const { value, origin } = this.#settings.get(path);
    if (value.type === 'NoneType') return;
    const number = asNumber(value);
    if (number === undefined) {
      this.#notComparable(value, 'int', origin);
      return;
    }
    const isBad = rule === 'positive' ? number <= 0 : number < 0;
    if (!isBad) return;
    const code = `${leafOf(path)}.${rule === 'positive' ? 'notPositive' : 'negative'}`;
    const bound = rule === 'positive' ? 'greater than 0' : '0 or greater';
    this.#report.error(
      code,
      origin,
      `${origin.path} must be ${bound}, but is ${show(value)}.`,
      `Write a number ${bound}, or ${otherwise}.`,
    );
  }

  limit(requestPath: string, limitPath: string, code: string): void {
    const request = this.#settings.get(requestPath);
    const limit = this.#settings.get(limitPath);
    if (request.value.type === 'NoneType' || limit.value.type === 'NoneType') return;
    const requested = asNumber(request.value);
    const limited = asNumber(limit.value);
    if (requested === undefined) return;
    if (limited === undefined) {
      this.#notComparable(limit.value, request.value.type, limit.origin);
    } else if (limited < requested) {
      const message = `${limit.origin.path} (${limited}) must not be below ${request.origin.path} (${requested}).`;
      this.#report.error(code, limit.origin, message, 'Raise the limit, or lower the request.');
    }
  }

  namespace(): void {
    const { value, origin } = this.#settings.get('namespace');
    if (!isTruthy(value)) return;
    const remedy = `Write ${NAMESPACE.hint}.`;
    if (value.type !== 'str') {
      this.#report.error('type.TypeError', origin, `namespace must be text, but is ${typeInWords(value)}.`, remedy);
    } else if (!followsRule(NAMESPACE, value.value.replace(/\n$/, ''))) {
      this.#report.error(
        'namespace.invalid',
        origin,
        `namespace ${show(value)} is not a valid Kubernetes namespace.`,
        remedy,
      );
    }
  }

  autoscale(): void {
    const enabled = this.#settings.get('autoScaler.autoscaleEnabled');
    if (isTruthy(enabled.value)) this.#autoscaleOn();
    else this.#autoscaleOff(enabled);
  }

  #autoscaleOn(): void {
    const replicas = this.#settings.get('numReplicas');
    if (isTruthy(replicas.value)) {
      const message = 'numReplicas is a fixed number, so it excludes autoScaler.autoscaleEnabled.';
      this.#report.error(
        'autoscale.withNumReplicas',
        replicas.origin,
        message,
        'Remove numReplicas, or set autoscaleEnabled to false.',
      );
    }
    const mayBeNone = isTruthy(this.#settings.get('autoScaler.coldStartSeconds').value);
    for (const name of AUTOSCALE_NUMBERS) {
      if (name !== 'minReplicas') this.number(`autoScaler.${name}`, 'positive');
      else if (mayBeNone) this.number(`autoScaler.${name}`, 'notNegative');
      else this.number(`autoScaler.${name}`, 'positive', ZERO_REPLICAS);
    }
    const min = this.#settings.get('autoScaler.minReplicas');
    const max = this.#settings.get('autoScaler.maxReplicas');
    const least = isTruthy(min.value) ? asNumber(min.value) : undefined;
    const most = isTruthy(max.value) ? asNumber(max.value) : undefined;
    if (least !== undefined && most !== undefined && least > most) {
      const message = `${min.origin.path} (${least}) must not be above ${max.origin.path} (${most}).`;
      this.#report.error('autoscale.minAboveMax', min.origin, message, 'Lower minReplicas, or raise maxReplicas.');
    }
  }

  #autoscaleOff(enabled: Setting): void {
    const isSwitchedOff = enabled.value.type === 'bool';
    if (isSwitchedOff && !isTruthy(this.#settings.get('numReplicas').value)) {
      const message = 'Autoscaling is switched off, so the number of replicas must be given.';
      this.#report.error(
        'autoscale.offWithoutNumReplicas',
        enabled.origin,
        message,
        'Set numReplicas, or remove autoscaleEnabled.',
      );
    }
    for (const name of [...AUTOSCALE_NUMBERS, 'coldStartSeconds']) {
      const setting = this.#settings.get(`autoScaler.${name}`);
      if (!isTruthy(setting.value)) continue;
      const state = isSwitchedOff ? 'autoscaling is switched off' : 'autoScaler.autoscaleEnabled is not set to true';
      this.#report.error(
        `${name}.withoutAutoscale`,
        setting.origin,
        `${setting.origin.path} is given, but ${state}.`,
        'Set autoScaler.autoscaleEnabled to true, or remove this.',
      );
    }
  }

  authentication(): void {
    const token = this.#settings.get('tokenAuthEnabled');
    if (!isTruthy(token.value) || !isTruthy(this.#settings.get('authEnabled').value)) return;
    this.#report.error(
      'auth.bothKeyAndToken',
      token.origin,
      'authEnabled (keys) and tokenAuthEnabled (tokens) exclude each other.',
      'Set one of them to false.',
    );
  }

  frontEnd(): void {
    this.#texts(
      'frontEnd.allowedAddresses',
      'allowedAddresses.invalid',
      parseAddresses,
      'addresses and CIDR blocks, such as "10.0.0.0/8, 192.0.2.1", or "all"',
    );
    this.#texts(
      'frontEnd.stickiness',
      'stickiness.unknown',
      (text) => STICKINESS.includes(text),
      '"none" or "session"',
    );
  }

  #texts(path: string, code: string, isGood: (text: string) => unknown, what: string): void {
    const { value, origin } = this.#settings.get(path);
    if (!isTruthy(value) || (value.type === 'str' && isGood(value.value))) return;
    this.#report.error(code, origin, `${origin.path} must be ${what}, but is ${show(value)}.`, `Write ${what}.`);
  }

  #share(path: string): void {
    const { value, origin } = this.#settings.get(path);
    if (!isTruthy(value)) return;
    const share = asNumber(value);
    if (share === undefined) this.#notComparable(value, 'int', origin);
    else if (share < 0 || share > 100) {
      const message = `${origin.path} must be 0 to 100, but is ${share}.`;
      this.#report.error(`${leafOf(path)}.outOfRange`, origin, message, 'Write a number from 0 to 100.');
    }
  }

  endpoint(): void {
    this.#texts('rollout.steps', 'rollout.steps', parseSteps, 'ascending percentages, such as "5, 25, 50", or "off"');
    this.#share('mirrorPercentile');
    this.#share('rollout.maxErrorPercent');
    const version = this.#settings.get('versionName');
    if (isTruthy(version.value)) {
      const remedy = `Write ${SERVICE_NAME.hint}.`;
      if (version.value.type !== 'str') {
        const message = `versionName must be text, but is ${typeInWords(version.value)}.`;
        this.#report.error('type.TypeError', version.origin, message, remedy);
      } else if (!followsRule(SERVICE_NAME, version.value.value)) {
        this.#report.error(
          'serviceName.invalid',
          version.origin,
          `versionName ${show(version.value)} is not a valid name.`,
          remedy,
        );
      }
    }
    this.#share('trafficPercentile');
  }

  #notComparable(value: SourceValue, other: string, origin: Origin): void {
    const isQuoted = value.type === 'str' && value.value.trim() !== '' && Number.isFinite(Number(value.value));
    this.#report.error(
      `type.notComparable:${value.type}/${other}`,
      origin,
      `${origin.path} must be a number, but is ${typeInWords(value)}: ${show(value)}.`,
      isQuoted
        ? `Write ${Number(value.type === 'str' ? value.value : 0)}, without quotes and in plain digits.`
        : 'Write a number, without quotes and units.',
    );
  }
}

function validatePort(settings: DeploymentSettings, report: Report): void {
  const { value, origin } = settings.get('port');
  if (!isTruthy(value)) return;
  const port = value.type === 'int' || value.type === 'bool' ? asNumber(value) : undefined;
  if (port !== undefined && isPort(port)) return;
  const message = `port must be a whole number from 1 to 65535, but is ${show(value)}.`;
  report.error('port.outOfRange', origin, message, 'Write such a number without quotes, or remove it for a free port.');
}
