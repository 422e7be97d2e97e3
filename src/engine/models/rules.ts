import { relative, sep } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import type { Framework, Model } from '../../contract/model.ts';
import { followsRule, MODEL_NAME } from '../../contract/names.ts';
import type { Problem } from '../../contract/problem.ts';
import { FRAMEWORKS } from './record.ts';

type Resources = NonNullable<Model['resourceRequirements']>;

/** @throws AksmlError `model.badName` */
export function checkModelName(name: string): void {
  if (followsRule(MODEL_NAME, name)) return;
  throw new AksmlError('model.badName', `${JSON.stringify(name)} is not a valid model name.`, {
    fault: 'input',
    subject: name,
    remedy: `A model name has ${MODEL_NAME.hint}.`,
  });
}

/**
 * v1's frameworks, in any letter case; without one, `Custom`, as v1's service recorded it.
 * @throws AksmlError `model.badFramework`
 */
export function checkFramework(framework: string | undefined, frameworkVersion: string | undefined): Framework {
  if (framework === undefined) {
    if (frameworkVersion === undefined) return 'Custom';
    throw new AksmlError('model.badFramework', 'A framework version was given without its framework.', {
      fault: 'input',
      remedy: 'Name the framework too (--model-framework), or leave its version out.',
    });
  }
  const known = FRAMEWORKS.find((name) => name.toLowerCase() === framework.toLowerCase());
  if (known) return known;
  throw new AksmlError('model.badFramework', `${JSON.stringify(framework)} is not a framework that models can have.`, {
    fault: 'input',
    subject: framework,
    remedy: `Use one of ${FRAMEWORKS.join(', ')}; MLflow folders and anything else are Custom.`,
  });
}

/** @throws AksmlError `model.badResources` */
export function checkResources(resources: Resources): Resources {
  for (const [key, value] of Object.entries(resources)) {
    if (value === undefined || (Number.isFinite(value) && value >= 0)) continue;
    throw new AksmlError('model.badResources', `The model's ${key} may not be ${value}.`, {
      fault: 'input',
      subject: key,
      remedy: 'Give a number that is not negative.',
    });
  }
  return resources;
}

/** v1 refused paths that do not lie below the working directory. */
export function noticesOnPath(path: string, cwd: string): Problem[] {
  const below = relative(cwd, path);
  if (below !== '..' && !below.startsWith(`..${sep}`) && below !== path) return [];
  return [
    {
      severity: 'notice',
      code: 'model.outsideFolder',
      path: '--model-path',
      message: `${path} lies outside the current folder, which Azure Machine Learning v1 refused; it is registered all the same.`,
    },
  ];
}

/**
 * Property keys are written once.
 * @throws AksmlError `model.propertyExists`
 */
export function addProperties(model: Model, added: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const taken = Object.keys(added).filter((key) => Object.hasOwn(model.properties, key));
  if (taken.length === 0) return { ...model.properties, ...added };
  throw new AksmlError(
    'model.propertyExists',
    `${model.id} already has the ${taken.length === 1 ? 'property' : 'properties'} ${taken.join(', ')}, and properties never change.`,
    {
      fault: 'input',
      subject: `model/${model.id}`,
      remedy: 'Use a tag for what may change, or register a new version.',
    },
  );
}
