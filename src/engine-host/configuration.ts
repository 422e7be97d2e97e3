import type { ParamsOf } from '../contract/engine-api.ts';
import type { Configuration } from '../engine/config/configuration.ts';
import { readProjectConfiguration } from '../session/configuration.ts';
import type { EngineHost } from './engine-host.ts';
import type { HandlersOf } from './handler.ts';

export const CONFIGURATION: HandlersOf<'configuration'> = {
  'configuration.validate': async (params, { host, signal }) => {
    const { valid, problems, spec } = await readConfiguration(host, params, signal);
    return { valid, problems, spec };
  },
  'configuration.schema': async ({ file }) => (await import('../engine/config/schema.ts')).configurationSchema(file),
};

/** The part of a request that describes a deployment by files and flags. */
export type DescribedConfiguration = ParamsOf<'configuration.validate'>;

export function readConfiguration(
  { home, options }: EngineHost,
  { folder, inferenceConfigFile, deploymentConfigFile, texts, flags }: DescribedConfiguration,
  signal: AbortSignal,
): Promise<Configuration> {
  return readProjectConfiguration(
    { home, environment: options.environment, signal },
    {
      ...(inferenceConfigFile === undefined ? {} : { inferenceConfigFile }),
      ...(deploymentConfigFile === undefined ? {} : { deploymentConfigFile }),
      ...(texts === undefined ? {} : { texts }),
      flags: { ...flags },
      cwd: folder,
    },
  );
}
