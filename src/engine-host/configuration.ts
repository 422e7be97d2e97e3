import { dirname, join, relative, resolve } from 'node:path';
import type { ParamsOf } from '../contract/engine-api.ts';
import type { Configuration } from '../engine/config/configuration.ts';
import type { EngineHost } from './engine-host.ts';
import type { HandlersOf } from './handler.ts';

export const CONFIGURATION: HandlersOf<'configuration'> = {
  'configuration.validate': async (params, { host }) => {
    const { valid, problems, spec } = await readConfiguration(host, params);
    return { valid, problems, spec };
  },
  'configuration.import': async ({ folder, deploymentFile, endpointFile, overwrite }) => {
    const { importToV1 } = await import('../engine/config/import-files.ts');
    const beside = (name: string) => join(relative(folder, dirname(deploymentFile)), name);
    const { imported, files } = await importToV1({
      deploymentFile,
      cwd: folder,
      inferenceConfigFile: beside('inferenceconfig.json'),
      deploymentConfigFile: beside('deploymentconfig.json'),
      overwrite: overwrite === true,
      ...(endpointFile === undefined ? {} : { endpointFile }),
    });
    const written = [files.inferenceConfigFile, files.deploymentConfigFile].filter((file) => file !== undefined);
    return { files: written.map((file) => resolve(folder, file)), problems: imported.problems };
  },
};

/** The part of a request that describes a deployment by files and flags. */
export type DescribedConfiguration = ParamsOf<'configuration.validate'>;

export function readConfiguration(
  { projects }: EngineHost,
  { folder, inferenceConfigFile, deploymentConfigFile, texts, flags }: DescribedConfiguration,
  isVersion = false,
): Promise<Configuration> {
  return projects.read({
    ...(inferenceConfigFile === undefined ? {} : { inferenceConfigFile }),
    ...(deploymentConfigFile === undefined ? {} : { deploymentConfigFile }),
    ...(texts === undefined ? {} : { texts }),
    flags: { ...flags },
    isVersion,
    cwd: folder,
  });
}
