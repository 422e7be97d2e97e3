import type { CondaSpecification } from '../../contract/environment.ts';
import { decode } from './reader.ts';
import type { Origin, Report } from './report.ts';
import { isText, type MapValue, type SourceValue, show, typeInWords, walk } from './source.ts';
import { YamlRefusal } from './yaml-refusal.ts';
import { parseYaml11 } from './yaml11.ts';

/** What v1 used when no environment was described. */
export const DEFAULT_CONDA: CondaSpecification = {
  name: 'project_environment',
  channels: ['anaconda', 'conda-forge'],
  dependencies: ['python=3.8.13'],
  pip: ['azureml-defaults'],
};

/** v1 put this in place of a Python that it could not read. */
const DEFAULT_PYTHON = 'python=3.10.18';

const TOP_LEVEL_KEYS = ['name', 'channels', 'dependencies', 'prefix', 'variables'];

/** A file and, for values inside one, the key path before them. */
export interface CondaOrigin {
  readonly file?: string;
  readonly path?: string;
}

export interface CondaFileRules {
  /** Apply v1's rule for the Python of a file named in the older form of the inference configuration. */
  readonly pinPython?: boolean;
  /** Unknown and duplicate keys are only warned about: the file went to conda, unread by v1's SDK. */
  readonly lenient?: boolean;
}

/** Reads a conda environment file. */
export function readCondaFile(
  file: string,
  content: Uint8Array,
  rules: CondaFileRules,
  report: Report,
): CondaSpecification | undefined {
  const text = decode(content);
  if (text === undefined) {
    report.error('condaFile.unparsable', { file }, 'The conda file is not UTF-8 text.', 'Save it as UTF-8.');
    return undefined;
  }
  try {
    const value = parseYaml11(text.replace(/^\uFEFF/, ''));
    reportDuplicates(value, file, rules, report);
    const specification = readConda(value, { file }, report, rules);
    return specification && rules.pinPython ? pinPython(specification, { file }, report) : specification;
  } catch (error) {
    if (!(error instanceof YamlRefusal)) throw error;
    const message = `The conda file is not YAML: ${error.message}.`;
    report.error('condaFile.unparsable', { file, line: error.line }, message, 'Correct this line.');
    return undefined;
  }
}

/** v1 read this file, unlike all others, with a reader that refuses them. */
function reportDuplicates(value: SourceValue, file: string, { lenient }: CondaFileRules, report: Report): void {
  walk(value, (part) => {
    if (part.type !== 'dict') return;
    for (const { key, line } of part.duplicates) {
      const message = `"${key}" is given more than once in the conda file.`;
      report.add(
        lenient ? 'warning' : 'error',
        'condaFile.duplicateKey',
        { file, path: key, line },
        message,
        'Join the two, or remove one.',
      );
    }
  });
}

/** Judges and converts the content of a conda file, or `environment.python.condaDependencies`. */
export function readConda(
  value: SourceValue,
  at: CondaOrigin,
  report: Report,
  rules: CondaFileRules = {},
): CondaSpecification | undefined {
  const reader = new CondaReader(at, report, rules);
  if (value.type !== 'dict') {
    const what = value.type === 'NoneType' ? 'is empty' : `is ${typeInWords(value)}`;
    report.error(
      'condaDependencies.notMapping',
      reader.origin('', value.line),
      `The conda specification ${what}, but must be an object with dependencies.`,
      'Write it as an object: name, channels and dependencies.',
    );
    return undefined;
  }
  return reader.read(value);
}

class CondaReader {
  readonly #at: CondaOrigin;
  readonly #report: Report;
  readonly #rules: CondaFileRules;

  constructor(at: CondaOrigin, report: Report, rules: CondaFileRules) {
    this.#at = at;
    this.#report = report;
    this.#rules = rules;
  }

  origin(key: string, line: number): Origin {
    const path = [this.#at.path, key].filter(Boolean).join('.');
    return { ...(this.#at.file === undefined ? {} : { file: this.#at.file }), ...(path === '' ? {} : { path }), line };
  }

  read(map: MapValue): CondaSpecification {
    this.#checkKeys(map);
    const pip: string[] = [];
    const dependencies = this.#dependencies(map, pip);
    const name = this.#text(map, 'name');
    const prefix = this.#text(map, 'prefix');
    const variables = this.#variables(map);
    return {
      ...(name === undefined ? {} : { name }),
      channels: this.#texts(map.entries.get('channels')?.value, 'channels'),
      dependencies,
      pip,
      ...(prefix === undefined ? {} : { prefix }),
      ...(variables === undefined ? {} : { variables }),
    };
  }

  #checkKeys(map: MapValue): void {
    for (const { key, line } of map.entries.values()) {
      if (TOP_LEVEL_KEYS.includes(key)) continue;
      this.#report.add(
        this.#rules.lenient ? 'warning' : 'error',
        'condaDependencies.unknownKey',
        this.origin(key, line),
        `"${key}" is not a key of a conda specification; v1 allowed ${TOP_LEVEL_KEYS.join(', ')}.`,
        key === 'pip' ? 'Move it into dependencies, as the item "pip:".' : 'Remove it.',
      );
    }
    if (map.otherKeys[0]) {
      const message = `${show(map.otherKeys[0])} is not a key of a conda specification.`;
      this.#report.error('condaDependencies.unknownKey', this.origin('', map.otherKeys[0].line), message, 'Remove it.');
    }
  }

  /** `pip` is filled on the way. */
  #dependencies(map: MapValue, pip: string[]): string[] {
    const entry = map.entries.get('dependencies');
    if (!entry) return [];
    const { value, line } = entry;
    if (value.type !== 'list') {
      // Python can walk text and objects, so v1 let them through.
      const isWalkable = value.type === 'str' || value.type === 'dict';
      const message = `dependencies must be a list, but is ${typeInWords(value)}.`;
      const at = this.origin('dependencies', line);
      if (isWalkable && this.#rules.pinPython)
        this.#report.error('condaDependencies.notList', at, message, 'Write a list.');
      else if (isWalkable)
        this.#report.warning('condaDependencies.invalid', at, `${message} It is ignored.`, 'Write a list.');
      else this.#report.error('type.TypeError', at, message, 'Write a list of packages.');
      return [];
    }
    const conda: string[] = [];
    let pipLists = 0;
    for (const [index, item] of value.items.entries()) {
      if (isText(item)) conda.push(item.value);
      else if (item.type === 'dict') {
        if (item.entries.has('pip')) pipLists++;
        this.#pip(item, index, pip);
      } else this.#wrongItem(item, `dependencies[${index}]`);
    }
    if (pipLists > 1) {
      this.#report.notice(
        'difference.two-pip-lists',
        this.origin('dependencies', line),
        'There are several pip lists; the packages of all of them are installed.',
        'Join them into one list.',
      );
    }
    return conda;
  }

  #pip(item: MapValue, index: number, pip: string[]): void {
    for (const { key, line, value } of item.entries.values()) {
      const path = `dependencies[${index}].${key}`;
      if (key === 'pip') pip.push(...this.#texts(value, path));
      else {
        const message = `"${key}" is not a package list that conda knows; only "pip" is.`;
        this.#report.warning('condaDependencies.unknownList', this.origin(path, line), message, 'Remove it.');
      }
    }
  }

  #texts(value: SourceValue | undefined, path: string): string[] {
    if (value === undefined || value.type === 'NoneType') return [];
    if (isText(value)) {
      const message = `${path} is text, where a list is expected; it is taken as a list of one.`;
      this.#report.warning('condaDependencies.invalid', this.origin(path, value.line), message, 'Write a list.');
      return value.value === '' ? [] : [value.value];
    }
    if (value.type !== 'list') {
      this.#wrongItem(value, path);
      return [];
    }
    const result: string[] = [];
    for (const [index, item] of value.items.entries()) {
      if (isText(item)) result.push(item.value);
      else this.#wrongItem(item, `${path}[${index}]`);
    }
    return result;
  }

  #text(map: MapValue, key: string): string | undefined {
    const value = map.entries.get(key)?.value;
    return value === undefined || 'items' in value || value.type === 'dict' || value.value === null
      ? undefined
      : String(value.value);
  }

  #variables(map: MapValue): Record<string, string> | undefined {
    const value = map.entries.get('variables')?.value;
    if (value?.type !== 'dict') return undefined;
    const result: Record<string, string> = {};
    for (const entry of value.entries.values()) {
      if ('value' in entry.value && entry.value.value !== null) result[entry.key] = String(entry.value.value);
    }
    return result;
  }

  #wrongItem(value: SourceValue, path: string): void {
    this.#report.warning(
      'condaDependencies.invalid',
      this.origin(path, value.line),
      `${path} must be text, but is ${typeInWords(value)}: ${show(value)}; it is left out.`,
      'Write text, in quotes if it looks like a number.',
    );
  }
}

const VERSION_AT_END = /\d+\.\d+(?:\.\d+)?(?:[ab]\d+)?$/;

/** The name that v1 saw in a dependency line. */
function packageName(line: string): string {
  return line.split(/[[=|<>~!]/)[0] ?? line;
}

/** v1 took a Python version only from the end of the line; otherwise it put its own default in place. */
export function pinPython(specification: CondaSpecification, at: CondaOrigin, report: Report): CondaSpecification {
  const index = specification.dependencies.findIndex((line) => packageName(line) === 'python');
  const line = specification.dependencies[index];
  if (line !== undefined && VERSION_AT_END.test(line)) return specification;
  const origin: Origin = { ...at, path: 'dependencies' };
  const spaced = specification.dependencies.find((candidate) => /^python\s+\d/.test(candidate));
  if (line === undefined && spaced !== undefined) {
    const message = `"${spaced}" is honoured; v1 did not see it and asked for ${DEFAULT_PYTHON} as well, which no environment can satisfy.`;
    report.notice('difference.python-with-space', origin, message, 'Write "python=VERSION".');
    return specification;
  }
  report.warning(
    'condaFile.pythonReplaced',
    origin,
    line === undefined
      ? `The conda file names no Python; ${DEFAULT_PYTHON} is used, as in v1.`
      : `The Python of the conda file ("${line}") does not end in a version of the form N.N; ${DEFAULT_PYTHON} is used, as in v1.`,
    'Write "python=MAJOR.MINOR".',
  );
  const dependencies = [...specification.dependencies];
  if (line === undefined) dependencies.push(DEFAULT_PYTHON);
  else dependencies[index] = DEFAULT_PYTHON;
  return { ...specification, dependencies };
}
