import { type ParamsOf, type ProfileView, PYTHON_VARIABLE } from '../contract/engine-api.ts';
import { readProfileInput } from '../engine/profiles/input.ts';
import { profileModels } from '../engine/profiles/profile.ts';
import { readProcessUsage } from '../local/process-usage.ts';
import { readConfiguration } from './configuration.ts';
import { buildOptions } from './deployment.ts';
import type { Call } from './handler.ts';

export async function profile(
  params: ParamsOf<'model.profile'>,
  { host, signal, emit }: Call<'model.profile'>,
): Promise<ProfileView> {
  const { folder, input, name, models } = params;
  return profileModels(
    await host.engine(params),
    {
      name,
      models,
      configuration: await readConfiguration(host, params),
      bodies: await readProfileInput(input),
      input,
      build: buildOptions({ ...params, python: params.python ?? host.options.environment[PYTHON_VARIABLE] }),
      cwd: folder,
    },
    readProcessUsage,
    { signal, onProgress: (event) => void emit(event) },
  );
}
