import { type Configuration, type ConfigurationInput, loadConfiguration } from '../engine/config/configuration.ts';
import { openScriptCheck } from '../engine/environments/script-check.ts';
import type { CheckSyntax } from '../engine/environments/syntax.ts';
import { isIgnored } from '../engine/snapshot/snapshot.ts';
import type { Home } from '../home/home.ts';

export interface ReaderOptions {
  readonly home: Home;
  /** Of this process. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Reads projects on this machine. One Python, a process of its own, checks the scripts of all of them. */
export class ProjectReader {
  readonly #options: ReaderOptions;
  #scriptCheck: Promise<CheckSyntax | undefined> | undefined;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  /** Both files with what overrides them, and the scoring script, judged by the ignore rules and by a Python of this machine. */
  async read(input: Omit<ConfigurationInput, 'checkSyntax' | 'isIgnored'>): Promise<Configuration> {
    const { inferenceConfigFile, flags } = input;
    // Before it is known which script is meant: Python starts while the files are read.
    if (inferenceConfigFile !== undefined || flags.entryScript !== undefined) this.#startScriptCheck().catch(() => {});
    return loadConfiguration({
      ...input,
      // Where there is no Python at all, the deployment itself will say so.
      checkSyntax: async (script) => (await this.#startScriptCheck())?.(script) ?? { ok: true },
      isIgnored,
    });
  }

  /** What was not found, or failed, is looked for again with the next project. */
  #startScriptCheck(): Promise<CheckSyntax | undefined> {
    const known = this.#scriptCheck;
    if (known !== undefined) return known;
    const opening = openScriptCheck({ ...this.#options, clock: () => new Date() });
    this.#scriptCheck = opening;
    const forget = () => {
      if (this.#scriptCheck === opening) this.#scriptCheck = undefined;
    };
    opening.then((check) => check ?? forget()).catch(forget);
    return opening;
  }
}
