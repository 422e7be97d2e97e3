import type { SecretVariables } from '../../contract/compute-target.ts';
import { AksmlError } from '../../contract/error.ts';

/** An environment variable with this value takes it, at deploy, from the named variable of the deploying process: `${secret:NAME}`. */
const REFERENCE = /^\$\{secret:([A-Za-z_][A-Za-z0-9_]*)\}$/;

export interface SplitVariables {
  /** Go into the image. */
  readonly plain: Readonly<Record<string, string>>;
  /** Go to the compute target's secret store only. */
  readonly secret: SecretVariables;
}

/**
 * Separates secret variables from plain ones. A reference whose source is not set keeps the stored value when there may be one.
 * @throws AksmlError `secret.notSet`
 */
export function splitVariables(
  variables: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string | undefined>>,
  mayBeStored: boolean,
): SplitVariables {
  const plain: Record<string, string> = {};
  const secret: Record<string, string | null> = {};
  for (const [name, value] of Object.entries(variables)) {
    const source = REFERENCE.exec(value)?.[1];
    if (source === undefined) {
      plain[name] = value;
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
  return { plain, secret };
}
