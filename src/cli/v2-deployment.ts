import { AksmlError } from '../contract/error.ts';
import type { Configuration } from '../engine/config/configuration.ts';
import { readV2 } from '../engine/config/import-files.ts';
import type { ModelReference } from '../engine/endpoints/models.ts';
import type { CommandContext } from './context.ts';
import { defined } from './defined.ts';
import { CONFIGURATION_FLAGS } from './deploy-options.ts';
import { longName } from './option.ts';

/** What a v2 deployment file says of a version. */
export interface V2Description {
  readonly configuration: Configuration;
  readonly models: readonly ModelReference[];
  readonly description?: string;
  readonly tags: Readonly<Record<string, string>>;
  /** The endpoint file's; the tags of the endpoint are among {@link tags} already. */
  readonly endpointDescription?: string;
}

/**
 * Reads the file of `--v2-deployment`. It describes the whole version, so that nothing else may.
 * @param besides options that may be given all the same
 * @throws AksmlError `option.conflict` | what reading the files throws
 */
export async function describedByV2(
  context: CommandContext,
  options: { readonly v2Endpoint: string | undefined },
  file: string,
  besides: readonly string[],
): Promise<V2Description> {
  const others = Object.keys(defined(options)).filter(
    (key) =>
      !besides.includes(key) && (CONFIGURATION_FLAGS.includes(key) || /ConfigFile$|^environmentDirectory$/.test(key)),
  );
  if (others.length > 0) {
    throw new AksmlError(
      'option.conflict',
      `--v2-deployment describes the deployment, and so does ${others.map((key) => `--${longName(key)}`).join(', ')}.`,
      {
        fault: 'input',
        subject: '--v2-deployment',
        remedy: 'Change the v2 file, or turn it into configuration files with "aksml import".',
      },
    );
  }
  const imported = await readV2({
    deploymentFile: file,
    cwd: context.host.cwd,
    ...defined({ endpointFile: options.v2Endpoint }),
  });
  const { valid, problems, inference, deployment: spec, endpoint, models, tags } = imported;
  const configuration: Configuration = { valid, problems, ...defined({ inference, deployment: spec }), spec: {} };
  return {
    configuration,
    models: models.map((model) => (model.kind === 'registered' ? model.id : model)),
    tags: { ...endpoint.tags, ...tags },
    ...defined({ description: imported.description, endpointDescription: endpoint.description }),
  };
}
