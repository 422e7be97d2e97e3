import type { EnvironmentDefinition } from '../../contract/environment.ts';
import type { EnvironmentPlan } from '../environments/plan.ts';
import { wantedMinor } from '../environments/python-version.ts';
import type { PinnedContext } from './context-pin.ts';

/** What a container builder must do before packages and scoring server are put on top. */
export interface DockerSteps {
  /** Every image that it begins from is named by its digest. */
  readonly dockerfile: string;
  /** Instead of a Dockerfile of ours: a context that the builder fetches. */
  readonly fetched?: PinnedContext;
}

/** Whether the environment is more than a base image and packages from PyPI. */
export function needsBuilder({ docker }: EnvironmentDefinition, { installer }: EnvironmentPlan): boolean {
  return (
    installer === 'conda' ||
    [docker.baseDockerfile, docker.extraSteps, docker.buildContext].some((steps) => steps !== undefined)
  );
}

/** Folder of the build context with what `install.sh` installs from. */
export const SETUP = 'azureml-environment-setup';

/** The Dockerfile of the environment's steps, upon `base` unless it begins from images of its own. */
export function stepsDockerfile({ docker }: EnvironmentDefinition, plan: EnvironmentPlan, base: string): string {
  const conda =
    plan.installer !== 'conda'
      ? []
      : [
          'USER root',
          `COPY ${SETUP} /${SETUP}`,
          `RUN sh /${SETUP}/install.sh '${wantedMinor(plan.python)?.join('.') ?? ''}' conda`,
        ];
  const lines = [docker.baseDockerfile?.trimEnd() ?? `FROM ${base}`, docker.extraSteps?.trimEnd() ?? '', ...conda];
  return `${lines.filter((line) => line !== '').join('\n')}\n`;
}

const FROM = /^(\s*FROM\s+(?:--\S+\s+)*)(\S+)(.*)$/gim;
const ARG = /^\s*ARG\s+(\w+)=("?)([^"\s]*)\2\s*$/gim;

/** The images that a Dockerfile begins from, without its own stages; `ARG`s before them count with their defaults. */
export function imagesOf(dockerfile: string): string[] {
  const stages = new Set(['scratch']);
  const images: string[] = [];
  for (const [, , name = '', rest = ''] of dockerfile.matchAll(FROM)) {
    const image = withDefaults(name, dockerfile);
    if (!stages.has(image.toLowerCase()) && !image.includes('$')) images.push(image);
    const stage = /\bAS\s+(\S+)/i.exec(rest)?.[1];
    if (stage !== undefined) stages.add(stage.toLowerCase());
  }
  return [...new Set(images)];
}

/** The Dockerfile with images replaced by others: names by digests. */
export function withImages(dockerfile: string, replacements: ReadonlyMap<string, string>): string {
  return dockerfile.replace(FROM, (line, start: string, name: string, rest: string) => {
    const replacement = replacements.get(withDefaults(name, dockerfile));
    return replacement === undefined ? line : `${start}${replacement}${rest}`;
  });
}

function withDefaults(name: string, dockerfile: string): string {
  const defaults = new Map([...dockerfile.matchAll(ARG)].map(([, argument = '', , value = '']) => [argument, value]));
  return name.replace(/\$\{?(\w+)\}?/g, (found, argument: string) => defaults.get(argument) ?? found);
}
