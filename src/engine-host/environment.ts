import { AksmlError } from '../contract/error.ts';
import {
  readEnvironmentFolder,
  scaffoldEnvironment,
  writeEnvironmentFolder,
} from '../engine/config/environment-folder.ts';
import { Report } from '../engine/config/report.ts';
import { getEnvironment, listEnvironments, registerEnvironment } from '../engine/environments/registered.ts';
import { watchContent } from './content.ts';
import type { HandlersOf } from './handler.ts';

export const ENVIRONMENT: HandlersOf<'environment'> = {
  'environment.list': async ({ latest, ...scope }, { host, signal }) =>
    listEnvironments(await host.engine(scope), latest === undefined ? {} : { latest }, signal),
  'environment.watch': async (scope, { host, signal, emit }) => {
    await watchContent(
      host,
      scope,
      signal,
      async (session) => listEnvironments(await session.engine(), {}, signal),
      emit,
    );
    return null;
  },
  'environment.register': async ({ directory, ...scope }, { host, signal }) => {
    const report = new Report();
    const definition = await readEnvironmentFolder(directory, scope.folder, report);
    if (definition === undefined || report.hasErrors) throw invalid(directory, report);
    return registerEnvironment(await host.engine(scope), definition, signal);
  },
  'environment.scaffold': async ({ directory, name }) => ({ files: await scaffoldEnvironment(directory, name) }),
  'environment.download': async ({ name, version, directory, overwrite, ...scope }, { host, signal }) => {
    const { definition } = await getEnvironment(await host.engine(scope), name, version, { signal });
    return { files: await writeEnvironmentFolder(directory, definition, { overwrite: overwrite === true }) };
  },
};

function invalid(directory: string, { problems }: Report): AksmlError {
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  return new AksmlError(
    'environment.invalid',
    `The environment in ${directory} has ${errors} ${errors === 1 ? 'error' : 'errors'}.`,
    { fault: 'input', subject: directory, problems },
  );
}
