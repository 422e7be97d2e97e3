import {
  ADDED_FIELDS,
  ENVIRONMENT_FIELDS,
  type EnvironmentField,
  type EnvironmentFields,
} from '../../contract/configuration/environment-keys.ts';
import type { EnvironmentDefinition } from '../../contract/environment.ts';
import { readConda } from './conda.ts';
import type { Origin, Report } from './report.ts';
import { isSendable, SettingConverter } from './settings-source.ts';
import {
  asNumber,
  fromPlain,
  get,
  isText,
  isTruthy,
  joinPath,
  type MapValue,
  NONE,
  type SourceValue,
  show,
  typeInWords,
  walk,
} from './source.ts';
import { reportUnknownKeys } from './unknown-keys.ts';

/** Where an environment object stands: a file, and the key before its own keys. */
export interface EnvironmentOrigin {
  readonly file: string;
  /** `environment`, or empty for a file that is the environment. */
  readonly path: string;
}

export type EnvironmentReading =
  | { readonly kind: 'inline'; readonly definition: EnvironmentDefinition }
  | { readonly kind: 'registered'; readonly name: string; readonly version?: string };

/** v1 took an object with no other keys than these as a reference to a registered environment. */
const REFERENCE_KEYS = new Set(['name', 'version']);

/** Judges an environment object as v1's SDK did when it read one; collects every problem. */
export function readEnvironment(
  value: SourceValue,
  at: EnvironmentOrigin,
  report: Report,
): EnvironmentReading | undefined {
  const origin: Origin = { file: at.file, ...(at.path === '' ? {} : { path: at.path }), line: value.line };
  if (value.type !== 'dict') {
    const message = `${at.path || 'The file'} must be an object, but is ${typeInWords(value)}.`;
    const remedy = isText(value)
      ? `Write {"name": ${JSON.stringify(value.value)}} for a registered environment.`
      : 'Write an object.';
    report.error(`type.noAttribute:${value.type}.get`, origin, message, remedy);
    return undefined;
  }
  const isReference = value.otherKeys.length === 0 && [...value.entries.keys()].every((key) => REFERENCE_KEYS.has(key));
  if (isReference) return readReference(value, origin, report);
  return { kind: 'inline', definition: new EnvironmentReader(value, at, report).read() };
}

function readReference(value: MapValue, origin: Origin, report: Report): EnvironmentReading | undefined {
  const name = get(value, 'name');
  const version = get(value, 'version');
  if (!isText(name) || name.value === '') {
    report.error(
      'type.noAttribute:EnvironmentReference.python',
      origin,
      'The environment is empty: it has neither content nor the name of a registered environment.',
      'Describe the environment, name a registered one, or remove the key.',
    );
    return undefined;
  }
  const isNumber = version.type === 'int' || version.type === 'float';
  const wanted = isText(version) ? version.value : isNumber ? String(version.value) : undefined;
  report.notice(
    'difference.environment-reference',
    origin,
    `The registered environment "${name.value}" is used; v1 took such a reference only from the options -e and --ev.`,
  );
  return { kind: 'registered', name: name.value, ...(wanted === undefined ? {} : { version: wanted }) };
}

class EnvironmentReader {
  readonly #map: MapValue;
  readonly #at: EnvironmentOrigin;
  readonly #report: Report;
  readonly #read: SettingConverter;

  constructor(map: MapValue, at: EnvironmentOrigin, report: Report) {
    this.#map = map;
    this.#at = at;
    this.#report = report;
    this.#read = new SettingConverter(report);
  }

  read(): EnvironmentDefinition {
    const name = get(this.#map, 'name');
    if (name.type !== 'NoneType' && !isText(name)) {
      this.#typeError('name', name, 'must be text');
    }
    this.#checkFields(this.#map, ENVIRONMENT_FIELDS, '');
    this.#checkSendable();
    const paths = pathsOf(ENVIRONMENT_FIELDS, this.#at.path);
    reportUnknownKeys(
      this.#map,
      { file: this.#at.file, paths, mistakes: {}, aliases: new Map() },
      this.#report,
      this.#at.path,
    );
    const stack = this.#text('inferencingStackVersion');
    const version = this.#text('version');
    const plainName = isText(name) ? name.value : undefined;
    return {
      ...(plainName === undefined ? {} : { name: plainName }),
      ...(version === undefined ? {} : { version }),
      environmentVariables: this.#variables(),
      secretEnvironmentVariables: this.#texts('secretEnvironmentVariables'),
      python: this.#python(),
      docker: this.#docker(),
      ...(stack === undefined ? {} : { inferencingStackVersion: stack }),
    };
  }

  #python(): EnvironmentDefinition['python'] {
    const section = get(this.#map, 'python');
    const isGiven = this.#map.entries.has('python');
    if (isGiven && section.type !== 'dict') {
      const isIndexable = section.type === 'NoneType' || section.type === 'str' || 'items' in section;
      if (isIndexable) this.#attributeError('python', section, 'get');
    }
    const conda = this.#value('python.condaDependencies');
    const specification =
      conda.type === 'NoneType'
        ? undefined
        : readConda(
            conda,
            { file: this.#at.file, path: joinPath(this.#at.path, 'python.condaDependencies') },
            this.#report,
          );
    const interpreterPath = this.#isNull('python.interpreterPath')
      ? undefined
      : (this.#text('python.interpreterPath') ?? 'python');
    return {
      userManagedDependencies: this.#boolean('python.userManagedDependencies') ?? false,
      ...(interpreterPath === undefined ? {} : { interpreterPath }),
      ...(specification === undefined ? {} : { condaDependencies: specification }),
    };
  }

  #docker(): EnvironmentDefinition['docker'] {
    const docker = this.#map.entries.get('docker');
    if (docker?.value.type === 'NoneType') this.#attributeError('docker', docker.value, 'base_dockerfile');
    const baseImage = this.#text('docker.baseImage');
    const baseDockerfile = this.#text('docker.baseDockerfile');
    if (isTruthy(this.#value('docker.baseImage')) && isTruthy(this.#value('docker.baseDockerfile'))) {
      this.#report.error(
        'environment.docker.imageAndDockerfile',
        this.#origin('docker.baseDockerfile'),
        'docker.baseImage and docker.baseDockerfile exclude each other.',
        'Set one of them to null.',
      );
    }
    const shmSize = this.#text('docker.shmSize');
    const buildContext = this.#buildContext();
    const registry = this.#registry();
    return {
      ...(baseImage === undefined ? {} : { baseImage }),
      ...(baseDockerfile === undefined ? {} : { baseDockerfile }),
      ...(buildContext === undefined ? {} : { buildContext }),
      ...(registry === undefined ? {} : { baseImageRegistry: registry }),
      platform: {
        os: this.#text('docker.platform.os') ?? 'Linux',
        architecture: this.#text('docker.platform.architecture') ?? 'amd64',
      },
      ...(shmSize === undefined ? {} : { shmSize }),
      arguments: this.#texts('docker.arguments'),
      enableGpu: false,
    };
  }

  #buildContext(): EnvironmentDefinition['docker']['buildContext'] {
    const locationType = this.#text('docker.buildContext.locationType');
    const location = this.#text('docker.buildContext.location');
    if (locationType === undefined || location === undefined) return undefined;
    const dockerfilePath = this.#text('docker.buildContext.dockerfilePath') ?? 'Dockerfile';
    return { locationType, location, dockerfilePath };
  }

  #registry(): EnvironmentDefinition['docker']['baseImageRegistry'] {
    const address = this.#text('docker.baseImageRegistry.address');
    const username = this.#text('docker.baseImageRegistry.username');
    const password = this.#text('docker.baseImageRegistry.password');
    if (address === undefined && username === undefined) return undefined;
    return {
      ...(address === undefined ? {} : { address }),
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
    };
  }

  #variables(): Record<string, string> {
    const value = this.#value('environmentVariables');
    if (value.type === 'NoneType') return {};
    if (value.type !== 'dict') {
      this.#typeError('environmentVariables', value, 'must be an object of names and texts');
      return {};
    }
    const result: Record<string, string> = {};
    for (const { key, value: variable, line } of value.entries.values()) {
      const text = 'items' in variable || variable.type === 'dict' ? undefined : String(variable.value ?? '');
      result[key] = text ?? '';
      if (isText(variable)) continue;
      this.#report.warning(
        'environmentVariables.notText',
        { file: this.#at.file, path: joinPath(this.#at.path, `environmentVariables.${key}`), line },
        `The variable ${key} is ${show(variable)}; it is set to ${JSON.stringify(result[key])}.`,
        'Write text in quotes.',
      );
    }
    return result;
  }

  /** What broke in v1 when it walked a section by its table of fields. */
  #checkFields(section: SourceValue, fields: EnvironmentFields, path: string): void {
    if (section.type !== 'dict') {
      this.#checkOddSection(section, Object.keys(fields), path);
      return;
    }
    for (const [key, field] of Object.entries(fields)) {
      const value = get(section, key);
      if (value.type !== 'NoneType' && !(path === '' && ADDED_FIELDS.has(key))) {
        this.#checkField(value, field, joinPath(path, key));
      }
    }
  }

  #checkField(value: SourceValue, field: EnvironmentField, path: string): void {
    if (field.kind === 'section') this.#checkFields(value, field.fields, path);
    else if (field.kind === 'sections') this.#checkSections(value, field.fields, path);
    else if (field.kind === 'integer') this.#checkInteger(value, path);
    else if (field.kind === 'choice' && !(isText(value) && field.values.includes(value.value))) {
      this.#report.error(
        'type.ValueError',
        this.#origin(path),
        `${path} must be ${field.values.join(' or ')}, but is ${show(value)}.`,
        `Write ${field.values.map((choice) => `"${choice}"`).join(' or ')}.`,
      );
    }
  }

  /** Python's `int(value)`. */
  #checkInteger(value: SourceValue, path: string): void {
    if (asNumber(value) !== undefined || (isText(value) && /^\s*[-+]?\d+\s*$/.test(value.value))) return;
    const message = `${joinPath(this.#at.path, path)} must be a whole number, but is ${show(value)}.`;
    this.#report.error(
      isText(value) ? 'type.ValueError' : 'type.TypeError',
      this.#origin(path),
      message,
      'Write a whole number.',
    );
  }

  /** Python iterates a list by its items and an object by its keys. */
  #checkSections(value: SourceValue, fields: EnvironmentFields, path: string): void {
    if (value.type === 'str') return;
    const items =
      'items' in value
        ? value.items
        : value.type === 'dict'
          ? [...value.entries.keys()].map((key) => fromPlain(key))
          : undefined;
    if (!items) this.#typeError(path, value, 'must be a list');
    for (const [index, item] of (items ?? []).entries()) this.#checkFields(item, fields, `${path}[${index}]`);
  }

  /** Python's `key in section` works on text and lists too; only a hit breaks the next step. */
  #checkOddSection(section: SourceValue, keys: readonly string[], path: string): void {
    const isSearchable = section.type === 'str' || 'items' in section;
    const isHit =
      section.type === 'str'
        ? keys.some((key) => section.value.includes(key))
        : 'items' in section && section.items.some((item) => isText(item) && keys.includes(item.value));
    if (!isSearchable || isHit) {
      this.#typeError(path, section, 'must be an object');
    } else if (path !== 'python') {
      const message = `${path} is ${typeInWords(section)}, not an object, so it is ignored.`;
      this.#report.warning('environment.sectionIgnored', this.#origin(path), message, 'Write an object.');
    }
  }

  #checkSendable(): void {
    for (const key of Object.keys(ENVIRONMENT_FIELDS)) {
      const entry = this.#map.entries.get(key);
      if (!entry) continue;
      walk(
        entry.value,
        (value, path) => {
          if (isSendable(value)) return;
          this.#report.error(
            'value.notSendable',
            { file: this.#at.file, path: joinPath(this.#at.path, path), line: value.line },
            `${path} is ${show(value)} (${typeInWords(value)}), which cannot be written as JSON, so v1 could not send it.`,
            'Write it as text in quotes.',
          );
        },
        key,
      );
    }
  }

  #value(path: string): SourceValue {
    let value: SourceValue = this.#map;
    for (const part of path.split('.')) value = value.type === 'dict' ? get(value, part) : NONE;
    return value;
  }

  #isNull(path: string): boolean {
    const index = path.lastIndexOf('.');
    const parent = this.#value(path.slice(0, index));
    return parent.type === 'dict' && parent.entries.get(path.slice(index + 1))?.value.type === 'NoneType';
  }

  #text(path: string): string | undefined {
    return this.#read.text({ value: this.#value(path), origin: this.#origin(path) });
  }

  #boolean(path: string): boolean | undefined {
    return this.#read.boolean({ value: this.#value(path), origin: this.#origin(path) });
  }

  #texts(path: string): string[] {
    const value = this.#value(path);
    return 'items' in value ? value.items.filter(isText).map((item) => item.value) : [];
  }

  #origin(path: string): Origin {
    return { file: this.#at.file, path: joinPath(this.#at.path, path), line: this.#value(path).line || this.#map.line };
  }

  #typeError(path: string, value: SourceValue, rule: string): void {
    const message = `${joinPath(this.#at.path, path)} ${rule}, but is ${typeInWords(value)}.`;
    this.#report.error('type.TypeError', this.#origin(path), message, 'Correct it, or remove it.');
  }

  #attributeError(path: string, value: SourceValue, attribute: string): void {
    const message = `${joinPath(this.#at.path, path)} must be an object, but is ${typeInWords(value)}.`;
    this.#report.error(
      `type.noAttribute:${value.type}.${attribute}`,
      this.#origin(path),
      message,
      'Write an object, or remove it.',
    );
  }
}

/** Every key path of a table; list items are not descended into. */
export function pathsOf(fields: EnvironmentFields, prefix: string): string[] {
  return Object.entries(fields).flatMap(([key, field]) => {
    const path = joinPath(prefix, key);
    return field.kind === 'section' ? [path, ...pathsOf(field.fields, path)] : [path];
  });
}
