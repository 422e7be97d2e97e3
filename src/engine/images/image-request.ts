import type { InferenceSpec } from '../../contract/deployment.ts';
import type { EnvironmentDefinition } from '../../contract/environment.ts';
import { AksmlError } from '../../contract/error.ts';
import type { Model } from '../../contract/model.ts';
import type { Problem } from '../../contract/problem.ts';
import { splitVariables } from '../endpoints/secrets.ts';
import type { Engine } from '../engine.ts';
import { type EnvironmentPlan, planEnvironment } from '../environments/plan.ts';
import { parseImageReference } from '../registry/image-reference.ts';

/** What making an environment's image needs of the engine. */
export type ImageTools = Pick<Engine, 'home' | 'environment' | 'clock' | 'fetch' | 'registryFetch' | 'version'>;

/** What packaging needs of the engine. */
export type PackageStore = ImageTools & Pick<Engine, 'registry' | 'user'>;

/** `aksml model package`. */
export interface PackageRequest {
  readonly inference: Pick<InferenceSpec, 'sourceDirectory' | 'entryScript' | 'namedFiles'>;
  /** The inference configuration's environment; a registered one already looked up. */
  readonly definition: EnvironmentDefinition;
  readonly models: readonly Model[];
  /** Default `aksml-package`. */
  readonly imageName?: string;
  /** Default `latest`. */
  readonly imageLabel?: string;
  /** A folder for the build context and for a layout, a file for a tar. */
  readonly outputPath: string;
  /** Instead of the environment's base image: a name, or the path of an image layout or of a tar of one. */
  readonly base?: string;
}

/** `name:label` as container engines know it. @throws AksmlError `image.badReference` */
export function imageReference({ imageName, imageLabel }: Pick<PackageRequest, 'imageName' | 'imageLabel'>): string {
  const reference = `${imageName ?? 'aksml-package'}:${imageLabel ?? 'latest'}`;
  parseImageReference(reference);
  return reference;
}

/** The environment's base image with its registry, which v1 took apart. */
export function namedBaseImage({ base, definition }: Pick<PackageRequest, 'base' | 'definition'>): string | undefined {
  if (base !== undefined) return base;
  const { baseImage, baseImageRegistry } = definition.docker;
  if (baseImage === undefined) return undefined;
  const address = baseImageRegistry?.address?.replace(/^https?:\/\//, '').replace(/\/+$/, '');
  return address === undefined || address === '' || baseImage.startsWith(`${address}/`)
    ? baseImage
    : `${address}/${baseImage}`;
}

/** The plan without what it says about running on this machine. @throws AksmlError `environment.invalid` */
export function planForImage(definition: EnvironmentDefinition): EnvironmentPlan {
  const plan = planEnvironment(definition);
  const problems = plan.problems.filter(({ code }) => code !== 'environment.dockerIneffective');
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (errors.length === 0) return { ...plan, problems };
  const [first] = errors;
  throw new AksmlError(
    'environment.invalid',
    `The environment cannot be packaged: ${errors.map(({ message }) => message).join(' ')}`,
    { fault: 'input', problems, ...(first?.remedy === undefined ? {} : { remedy: first.remedy }) },
  );
}

/** What goes into the image, and what must not: secret values are given when the container is started. */
export function imageVariables(
  plan: EnvironmentPlan,
  definition: EnvironmentDefinition,
): { readonly variables: Readonly<Record<string, string>>; readonly problems: readonly Problem[] } {
  const { plain: variables, secret } = splitVariables(plan.environmentVariables, {
    environment: {},
    names: definition.secretEnvironmentVariables,
    mayBeStored: true,
  });
  const left = Object.keys(secret);
  if (left.length === 0) return { variables, problems: [] };
  const names = left.sort().join(', ');
  const notice: Problem = {
    severity: 'notice',
    code: 'package.secretLeftOut',
    message: `The secret environment variables ${names} are not in the image.`,
    remedy: 'Give them when the container is started, for example with --env-file.',
  };
  return { variables, problems: [notice] };
}
