import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EnvironmentDefinition } from '../../contract/environment.ts';
import { AksmlError } from '../../contract/error.ts';
import type { RunOptions } from '../endpoints/stages.ts';
import { type Command, type RunCommand, runCommand } from '../environments/command.ts';
import type { EnvironmentPlan } from '../environments/plan.ts';
import { isLoopback, parseImageReference } from '../registry/image-reference.ts';
import { type BaseImage, readBaseImage } from './base-image.ts';
import { type Builder, buildCommand, exportCommand, findBuilder, removeCommand } from './builder.ts';
import { builderLogin } from './builder-login.ts';
import { type DockerSteps, imagesOf, SETUP } from './docker-steps.ts';
import { setupFiles } from './dockerfile.ts';
import type { ImageTools } from './image-request.ts';
import { findImage } from './image-source.ts';
import { NO_CONDA } from './install-script.ts';

export interface BuiltBaseRequest {
  readonly definition: EnvironmentDefinition;
  readonly plan: EnvironmentPlan;
  readonly steps: DockerSteps;
}

/**
 * Has docker, podman or buildah carry out the environment's steps, and lends the image that comes of it to `use`; afterwards the builder
 * has forgotten it.
 * @throws AksmlError `image.needsBuilder` | `image.buildFailed`
 */
export async function withBuiltBase<T>(
  tools: ImageTools & { readonly run?: RunCommand },
  request: BuiltBaseRequest,
  options: RunOptions,
  use: (base: BaseImage) => Promise<T>,
): Promise<T> {
  const { run = runCommand, environment } = tools;
  const { signal } = options;
  const builder = await findBuilder(run, environment, signal);
  if (builder === undefined) throw needsBuilder();
  await mkdir(tools.home.cache, { recursive: true, mode: 0o700 });
  const work = await mkdtemp(join(tools.home.cache, 'image-build-'));
  const tag = `localhost/aksml-build:${randomUUID()}`;
  try {
    const env = await builderLogin(environment, request.definition, work);
    const { os, architecture } = request.definition.docker.platform;
    const platform = { os: os.toLowerCase(), architecture };
    const context = await writeContext(request, work);
    const build = buildCommand(builder, {
      ...context,
      tag,
      platform: `${platform.os}/${platform.architecture}`,
      plainHttp: imagesOf(request.steps.dockerfile).some(isOfThisMachine),
      env,
    });
    await runOrThrow(run, build, builder, options);
    const archive = join(work, 'image.tar');
    await runOrThrow(run, exportCommand(builder, tag, archive, env), builder, options);
    return await use(await readBaseImage(await findImage(archive, { fetch: tools.fetch }), [platform], signal));
  } finally {
    await run(removeCommand(builder, tag, environment)).catch(() => undefined);
    await rm(work, { recursive: true, force: true });
  }
}

async function writeContext(
  { steps, plan, definition }: BuiltBaseRequest,
  work: string,
): Promise<{ readonly context: string; readonly dockerfile: string }> {
  if (steps.fetched) return { context: steps.fetched.location, dockerfile: steps.fetched.dockerfile };
  const context = join(work, 'context');
  await mkdir(join(context, SETUP), { recursive: true });
  const files = plan.installer === 'conda' ? setupFiles(plan, definition) : [];
  for (const [name, content] of files) await writeFile(join(context, SETUP, name), content);
  const dockerfile = join(context, 'Dockerfile');
  await writeFile(dockerfile, steps.dockerfile);
  return { context, dockerfile };
}

function isOfThisMachine(image: string): boolean {
  const { host } = parseImageReference(image);
  return isLoopback(new URL(`http://${host}`).hostname);
}

async function runOrThrow(
  run: RunCommand,
  command: Command,
  { name }: Builder,
  { onProgress, signal }: RunOptions,
): Promise<void> {
  const onLine = (line: string): void => onProgress?.({ type: 'log', stage: 'environment', source: name, line });
  const { exitCode, stdout, stderr } = await run(command, { signal, onLine, onOutput: onLine });
  if (exitCode === 0) return;
  const said = `${stdout}\n${stderr}`.split('\n').filter((line) => line.trim() !== '');
  if (said.some((line) => line.includes(NO_CONDA))) throw needsConda(said);
  throw new AksmlError(
    'image.buildFailed',
    `${name} could not carry out the environment's Docker steps: ${said.at(-1)?.trim() ?? `exit code ${exitCode}`}`,
    {
      fault: 'input',
      subject: name,
      logTail: said.slice(-LOG_LINES),
      remedy: 'See the log, change the steps, and run the command again.',
    },
  );
}

const LOG_LINES = 20;

function needsConda(said: readonly string[]): AksmlError {
  return new AksmlError(
    'image.needsConda',
    'The environment has packages from conda, and its base image has neither micromamba, mamba nor conda.',
    {
      fault: 'input',
      subject: 'docker.baseImage',
      logTail: said.slice(-LOG_LINES),
      remedy:
        'Name a base image that has one of them, such as docker.io/mambaorg/micromamba, or none; or take the packages from PyPI (pip) instead.',
    },
  );
}

function needsBuilder(): AksmlError {
  return new AksmlError(
    'image.needsBuilder',
    'The environment has Docker steps or packages from conda, which docker, podman or buildah must carry out; none of them works here.',
    {
      fault: 'input',
      remedy:
        'Install one of them, or start the Docker daemon; or build the image elsewhere and name it as docker.baseImage; or take packages from PyPI (pip) instead of conda.',
    },
  );
}
