import { type Configuration, type ConfigurationInput, loadConfiguration } from '../engine/config/configuration.ts';
import { openScriptCheck } from '../engine/environments/script-check.ts';
import type { CheckSyntax } from '../engine/environments/syntax.ts';
import { isIgnored } from '../engine/snapshot/snapshot.ts';
import type { Home } from '../home/home.ts';

/** What reads a project on this machine. */
export interface ProjectReader {
  readonly home: Home;
  /** Of this process. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** Both files with what overrides them, and the scoring script, judged by the ignore rules and by a Python of this machine. */
export async function readProjectConfiguration(
  reader: ProjectReader,
  input: Omit<ConfigurationInput, 'checkSyntax' | 'isIgnored'>,
): Promise<Configuration> {
  const scriptCheck = startScriptCheck(reader, input);
  return loadConfiguration({
    ...input,
    // Where there is no Python at all, the deployment itself will say so.
    checkSyntax: async (script) => (await scriptCheck)?.(script) ?? { ok: true },
    isIgnored,
  });
}

/** Begun before it is known which script is meant: Python starts while the files are read. */
async function startScriptCheck(
  { home, environment, signal }: ProjectReader,
  { inferenceConfigFile, flags }: Pick<ConfigurationInput, 'inferenceConfigFile' | 'flags'>,
): Promise<CheckSyntax | undefined> {
  if (inferenceConfigFile === undefined && flags.entryScript === undefined) return undefined;
  const tools = { home, environment, clock: () => new Date() };
  // What goes wrong here matters only to a script that is checked.
  return openScriptCheck(tools, signal).catch((error: unknown) => () => Promise.reject(error));
}
