import type { SecretVariables } from '../../contract/compute-target.ts';
import type { EnvironmentDefinition } from '../../contract/environment.ts';
import { AksmlError } from '../../contract/error.ts';

/** An environment variable with this value takes it, at deploy, from the named variable of the deploying process: `${secret:NAME}`. */
const REFERENCE = /^\$\{secret:([A-Za-z_][A-Za-z0-9_]*)\}$/;

export interface SplitVariables {
  /** Go into the image. */
  readonly plain: Readonly<Record<string, string>>;
  /** Go to the compute target's secret store only. */
  readonly secret: SecretVariables;
}

export interface SecretSource {
  /** Of the deploying process. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Variables that the definition calls secret; records leave their values out. */
  readonly names: readonly string[];
  /** The compute target may have values of an earlier deploy. */
  readonly mayBeStored: boolean;
}

/**
 * Separates secret variables from plain ones. One whose value is not known here keeps the stored value when there may be one.
 * @throws AksmlError `secret.notSet`
 */
export function splitVariables(
  variables: Readonly<Record<string, string>>,
  { environment, names, mayBeStored }: SecretSource,
): SplitVariables {
  const plain: Record<string, string> = {};
  const secret: Record<string, string | null> = {};
  for (const [name, value] of Object.entries(variables)) {
    const source = REFERENCE.exec(value)?.[1];
    if (source === undefined) {
      (names.includes(name) ? secret : plain)[name] = value;
      continue;
    }
    const given = environment[source];
    if (given !== undefined || mayBeStored) secret[name] = given ?? null;
    else {
      throw new AksmlError(
        'secret.notSet',
        `The environment variable ${name} takes its value from ${source}, which is not set.`,
        {
          fault: 'input',
          subject: name,
          remedy: `Set ${source} in the environment of this command, for example from your secret store, and run it again.`,
        },
      );
    }
  }
  if (mayBeStored) for (const name of names) secret[name] ??= null;
  return { plain, secret };
}

/** Secret variables of a record whose values are not known here. */
export function unknownVariables(
  { environmentVariables, secretEnvironmentVariables }: EnvironmentDefinition,
  environment: SecretSource['environment'],
): readonly string[] {
  const unset = Object.entries(environmentVariables).flatMap(([name, value]) => {
    const source = REFERENCE.exec(value)?.[1];
    return source !== undefined && environment[source] === undefined ? [name] : [];
  });
  return [...secretEnvironmentVariables.filter((name) => environmentVariables[name] === undefined), ...unset].sort();
}
