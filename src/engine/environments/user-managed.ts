import { delimiter, isAbsolute, join } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import type { Preparation, PreparedEnvironment } from './environment.ts';
import { type Interpreter, inspectInterpreter } from './python.ts';
import { checkServer } from './server-check.ts';
import { environmentFolder, shortHash, writeInstalled } from './store.ts';

/**
 * An environment that the user keeps (`userManagedDependencies`): nothing is installed, the interpreter must have the scoring server.
 * @throws AksmlError `python.notFound` | `environment.serverBroken`
 */
export async function prepareUserManaged(preparation: Preparation): Promise<PreparedEnvironment> {
  const { tools, options, plan } = preparation;
  const interpreter = await findInterpreter(preparation);
  const lock = await checkServer(tools, interpreter.path, options.signal, plan.baseImage);
  const hash = shortHash({ python: interpreter.path, version: interpreter.version, lock });
  await writeInstalled(tools.home, {
    hash,
    python: interpreter.path,
    pythonVersion: interpreter.version,
    lock,
    createdTime: tools.clock().toISOString(),
  });
  return {
    hash,
    folder: environmentFolder(tools.home, hash),
    python: interpreter.path,
    pythonVersion: interpreter.version,
    lock,
    environmentVariables: plan.environmentVariables,
    problems: plan.problems,
    reused: true,
  };
}

async function findInterpreter({ search, tools, options, plan }: Preparation): Promise<Interpreter> {
  const wanted = options.pythonOverride ?? plan.interpreterPath;
  const folders = (tools.environment['PATH'] ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
  const suffix = tools.platform === 'win32' && !wanted.endsWith('.exe') ? '.exe' : '';
  const candidates = /[\\/]/.test(wanted) ? [wanted] : folders.map((folder) => join(folder, wanted + suffix));
  for (const path of candidates) {
    const interpreter = await inspectInterpreter(search, path);
    if (interpreter) return interpreter;
  }
  throw new AksmlError(
    'python.notFound',
    `The environment's own interpreter ${wanted} is not on this machine, or does not run.`,
    {
      fault: 'input',
      subject: 'python.interpreterPath',
      remedy:
        'Give the path of an interpreter that has the packages with --python, or set userManagedDependencies to false.',
    },
  );
}
