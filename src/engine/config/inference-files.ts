import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { InferenceSpec } from '../../contract/deployment.ts';
import { AksmlError } from '../../contract/error.ts';
import {
  exists,
  isInside,
  isModuleName,
  kindOf,
  type PathBase,
  pathBases,
  realPath,
  relativeTo,
  splitName,
} from './paths.ts';
import { decode } from './reader.ts';
import type { Report } from './report.ts';
import { inferenceSetting, type Setting, type SettingsSource } from './settings-source.ts';
import { isText, isTruthy, show, typeInWords } from './source.ts';

export interface ScriptChecks {
  /** Python's `ast.parse`; absent: the script's syntax is not checked, which is said. */
  readonly checkSyntax?: (
    scriptPath: string,
  ) => Promise<{ readonly ok: true } | { readonly ok: false; readonly line?: number; readonly message: string }>;
  /** Whether the ignore rules of a source directory would leave a file out. */
  readonly isIgnored?: (sourceDirectory: string, relativePath: string) => Promise<boolean>;
}

interface Input extends ScriptChecks {
  readonly file?: string;
  readonly cwd: string;
}

const BASE_REMEDY = 'Correct the path; it is relative to the working directory, or to sourceDirectory if one is given.';

/** The files that an inference configuration names, and v1's checks of them. */
export class InferenceFiles {
  readonly #input: Input;
  readonly #report: Report;
  readonly #source: SettingsSource;
  readonly #bases: readonly PathBase[];
  readonly #base: PathBase;
  /** Absolute; absent when not given or not usable. */
  readonly sourceDirectory: string | undefined;
  readonly #named: string[] = [];
  /** `extraDockerFileSteps`, where its meaning is plain. */
  #capital: Setting | undefined;

  private constructor(
    input: Input,
    source: SettingsSource,
    report: Report,
    bases: readonly PathBase[],
    base: PathBase,
    sourceDirectory: string | undefined,
  ) {
    this.#input = input;
    this.#source = source;
    this.#report = report;
    this.#bases = bases;
    this.#base = base;
    this.sourceDirectory = sourceDirectory;
  }

  static async open(input: Input, source: SettingsSource, report: Report): Promise<InferenceFiles> {
    const bases = await pathBases(input.cwd, input.file);
    const folder = textOf(inferenceSetting(source, 'sourceDirectory'));
    const script = textOf(inferenceSetting(source, 'entryScript'));
    const base = await chooseBase(bases, folder, script);
    const sourceDirectory = folder === undefined ? undefined : await realPath(resolve(base.path, folder));
    return new InferenceFiles(input, source, report, bases, base, sourceDirectory);
  }

  /** v1's checks in v1's order. */
  async check(): Promise<void> {
    await this.#checkSourceDirectory();
    await this.#checkEntryScript();
    this.#capital = await this.#readCapital();
    for (const path of ['condaFile', 'extraDockerfileSteps']) {
      const setting = this.setting(path);
      if (!isTruthy(setting.value)) continue;
      if (!isText(setting.value)) this.#notPath(setting);
      else await this.#checkNamed(setting, setting.value.value);
    }
  }

  /** A path setting; for the steps file, whichever spelling of the key is used. Call after {@link check}. */
  setting(path: string): Setting {
    const setting = inferenceSetting(this.#source, path);
    return path === 'extraDockerfileSteps' && !isTruthy(setting.value) ? (this.#capital ?? setting) : setting;
  }

  /** v1 ignored this spelling, so what it does not name is nothing to be refused for. */
  async #readCapital(): Promise<Setting | undefined> {
    const setting = this.#source.fromFile('extraDockerFileSteps');
    if (!isTruthy(setting.value) || isTruthy(this.#source.fromFile('environment').value)) return undefined;
    const name = textOf(setting);
    const found = name === undefined ? undefined : await this.#locate(name);
    if (found && (await kindOf(found.path)) === 'file') return setting;
    this.#report.warning(
      'extraDockerFileSteps.noEffect',
      setting.origin,
      `extraDockerFileSteps is ${show(setting.value)}, which is not a file, so it has no effect; v1 ignored this spelling.`,
      'Write extraDockerfileSteps with the path of the file, or remove the key.',
    );
    return undefined;
  }

  /** The absolute path of a file that the configuration names; undefined when it is not given or does not exist. */
  async find(path: string): Promise<string | undefined> {
    const name = textOf(this.setting(path));
    if (name === undefined) return undefined;
    const found = await this.#locate(name);
    return found?.path;
  }

  /** Call after {@link check} found no error. */
  async paths(): Promise<Pick<InferenceSpec, 'sourceDirectory' | 'entryScript' | 'namedFiles'>> {
    const script = textOf(inferenceSetting(this.#source, 'entryScript')) ?? '';
    if (this.sourceDirectory === undefined) return { entryScript: resolve(this.#base.path, script), namedFiles: [] };
    const entryScript = relativeTo(this.sourceDirectory, resolve(this.sourceDirectory, script));
    const inside = [entryScript, ...this.#named.map((path) => relativeTo(this.sourceDirectory ?? '', path))].filter(
      isInside,
    );
    return { sourceDirectory: this.sourceDirectory, entryScript, namedFiles: [...new Set(inside)] };
  }

  async #checkSourceDirectory(): Promise<void> {
    const setting = inferenceSetting(this.#source, 'sourceDirectory');
    if (!isTruthy(setting.value)) return;
    if (!isText(setting.value)) this.#notPath(setting);
    else if (setting.value.value.includes('\0')) {
      this.#report.error('type.ValueError', setting.origin, 'sourceDirectory contains a null character.', 'Remove it.');
    } else if (this.sourceDirectory !== undefined && !(await exists(this.sourceDirectory))) {
      this.#report.error(
        'sourceDirectory.notFound',
        setting.origin,
        `The source directory ${this.sourceDirectory} does not exist.`,
        'Correct the path; it is relative to the working directory.',
      );
    }
  }

  async #checkEntryScript(): Promise<void> {
    const setting = inferenceSetting(this.#source, 'entryScript');
    const { value, origin } = setting;
    if (!isTruthy(value)) {
      const at = origin.line === undefined && this.#source.root ? { ...origin, line: this.#source.root.line } : origin;
      this.#report.error(
        'entryScript.missing',
        at,
        'entryScript is missing.',
        'Name the scoring script, such as "score.py".',
      );
      return;
    }
    if (!isText(value)) {
      this.#notPath(setting);
      return;
    }
    const path = resolve(this.sourceDirectory ?? this.#base.path, value.value);
    const kind = await kindOf(path);
    if (kind === undefined) {
      this.#report.error('entryScript.notFound', origin, `The entry script ${path} does not exist.`, BASE_REMEDY);
    }
    const isNamed = this.#checkName(setting, value.value);
    if (kind !== undefined) this.#noticeBase(setting, this.#base);
    if (kind === undefined || !isNamed) return;
    if (kind === 'folder') {
      this.#report.error('entryScript.unreadable', origin, `The entry script ${path} is a folder.`, 'Name a file.');
    } else await this.#checkContent(path, setting);
    this.#warnOutside(setting, path);
  }

  #checkName({ origin }: Setting, name: string): boolean {
    const { stem, extension } = splitName(name);
    if (extension !== '.py') {
      this.#report.error(
        'entryScript.notPy',
        origin,
        `The entry script ${JSON.stringify(name)} does not end in ".py" (in lower case).`,
        'Rename it.',
      );
      return false;
    }
    if (isModuleName(stem)) return true;
    this.#report.error(
      'entryScript.notIdentifier',
      origin,
      `"${stem}" cannot be imported as a Python module: it must be an identifier and no keyword.`,
      'Rename the script: letters, digits and "_", not beginning with a digit.',
    );
    return false;
  }

  async #checkContent(path: string, { origin }: Setting): Promise<void> {
    const file = this.#nameOf(path);
    const content = await readFile(path).catch(() => undefined);
    if (content === undefined) {
      this.#report.error(
        'entryScript.unreadable',
        origin,
        `The entry script ${path} cannot be read.`,
        'Make it readable.',
      );
      return;
    }
    const text = decode(content);
    if (text === undefined) {
      this.#report.error('entryScript.notUtf8', { file }, 'The entry script is not UTF-8 text.', 'Save it as UTF-8.');
    } else if (text.startsWith('\uFEFF')) {
      const message = 'The entry script begins with a byte order mark, which v1 refused as a syntax error.';
      this.#report.error(
        'entryScript.syntax',
        { file, line: 1 },
        message,
        'Save it as UTF-8 without a byte order mark.',
      );
    } else await this.#checkSyntax(path, file);
  }

  async #checkSyntax(path: string, file: string): Promise<void> {
    const check = this.#input.checkSyntax;
    if (!check) {
      this.#report.notice('entryScript.notChecked', { file }, 'The syntax of the entry script was not checked.');
      return;
    }
    try {
      const verdict = await check(path);
      if (verdict.ok) return;
      const at = { file, ...(verdict.line === undefined ? {} : { line: verdict.line }) };
      const message = `The entry script is not valid Python: ${verdict.message}.`;
      this.#report.error('entryScript.syntax', at, message, 'Correct the script.');
    } catch (error) {
      if (!AksmlError.is(error)) throw error;
      const message = `The syntax of the entry script was not checked: ${error.message}`;
      this.#report.notice('entryScript.notChecked', { file }, message, error.remedy);
    }
  }

  /** Only the source directory is deployed. */
  #warnOutside({ origin }: Setting, path: string): void {
    if (this.sourceDirectory === undefined || isInside(relativeTo(this.sourceDirectory, path))) return;
    this.#report.warning(
      'entryScript.outsideSource',
      origin,
      `The entry script ${path} is outside the source directory, which is all that is deployed, so a replica will not find it.`,
      'Move it into the source directory, or choose a folder above both.',
    );
  }

  async #checkNamed(setting: Setting, name: string): Promise<void> {
    const key = setting.origin.path ?? name;
    const code = key === 'condaFile' || key === '--conda-file' ? 'condaFile' : 'extraDockerfileSteps';
    const found = await this.#locate(name);
    if (!found) {
      const path = resolve(this.sourceDirectory ?? this.#base.path, name);
      this.#report.error(`${code}.notFound`, setting.origin, `${key}: the file ${path} does not exist.`, BASE_REMEDY);
      return;
    }
    this.#named.push(found.path);
    if (found.base) this.#noticeBase(setting, found.base);
    if (key === 'extraDockerFileSteps') {
      const message = 'extraDockerFileSteps is read as extraDockerfileSteps; v1 ignored this spelling.';
      this.#report.notice('difference.extraDockerFileSteps', setting.origin, message, 'Write extraDockerfileSteps.');
    }
    await this.#warnIgnored(setting, found.path);
  }

  async #warnIgnored({ origin }: Setting, path: string): Promise<void> {
    const inside = this.sourceDirectory === undefined ? undefined : relativeTo(this.sourceDirectory, path);
    if (inside === undefined || !isInside(inside) || this.sourceDirectory === undefined) return;
    if ((await this.#input.isIgnored?.(this.sourceDirectory, inside)) !== true) return;
    this.#report.warning(
      `${origin.path}.ignored`,
      origin,
      `${origin.path}: the ignore file leaves out ${inside}; it is deployed all the same, because the configuration names it.`,
      `Add "!${inside}" to the ignore file.`,
    );
  }

  /** Below the source directory if there is one, else wherever it exists, the chosen base first. */
  async #locate(name: string): Promise<{ readonly path: string; readonly base?: PathBase } | undefined> {
    if (this.sourceDirectory !== undefined) {
      const path = resolve(this.sourceDirectory, name);
      return (await exists(path)) ? { path } : undefined;
    }
    for (const base of [this.#base, ...this.#bases]) {
      const path = resolve(base.path, name);
      if (await exists(path)) return { path, base };
    }
    return undefined;
  }

  #noticeBase({ origin }: Setting, base: PathBase): void {
    if (base.what === 'the working directory') return;
    this.#report.notice(
      'difference.path-base',
      origin,
      `${origin.path} is found relative to ${base.what} (${base.path}); v1 looked in the working directory only.`,
    );
  }

  #notPath({ value, origin }: Setting): void {
    const message = `${origin.path} must be a path, but is ${typeInWords(value)}: ${show(value)}.`;
    this.#report.error('type.TypeError', origin, message, 'Write a path as text.');
  }

  /** As people name it: relative to the working directory when it is inside. */
  #nameOf(path: string): string {
    const name = relativeTo(this.#input.cwd, path);
    return isInside(name) ? name : path;
  }
}

function textOf({ value }: Setting): string | undefined {
  return isText(value) && value.value !== '' ? value.value : undefined;
}

/** The first base from which the entry script exists; else v1's. */
async function chooseBase(
  bases: readonly PathBase[],
  folder: string | undefined,
  script: string | undefined,
): Promise<PathBase> {
  const [first] = bases;
  if (!first) throw new Error('a working directory is always a base');
  if (script === undefined && folder === undefined) return first;
  for (const base of bases) {
    if (await exists(resolve(base.path, folder ?? '', script ?? ''))) return base;
  }
  return first;
}
