import type { Command, RunCommand } from '../environments/command.ts';

/** A program that carries out Dockerfiles. */
export type BuilderName = 'docker' | 'podman' | 'buildah';

type Variables = Readonly<Record<string, string | undefined>>;

export interface BuildJob {
  /** A folder, or an address that the builder fetches itself. */
  readonly context: string;
  /** The Dockerfile: a path of this machine, or in a fetched context. */
  readonly dockerfile: string;
  /** `linux/amd64` */
  readonly platform: string;
  /** Name of what is made, on this machine only. */
  readonly tag: string;
  /** Images come from a registry of this machine without TLS, too. */
  readonly plainHttp: boolean;
  readonly env: Variables;
}

const BUILDERS: readonly BuilderName[] = ['docker', 'podman', 'buildah'];

/** A builder that works here, and what must be said to it in its variables. */
export interface Builder {
  readonly name: BuilderName;
  readonly variables: Variables;
}

/** The first that works here; for docker its daemon must run. */
export async function findBuilder(run: RunCommand, env: Variables, signal?: AbortSignal): Promise<Builder | undefined> {
  for (const name of BUILDERS) {
    const args = name === 'docker' ? ['version', '--format', '{{.Client.Version}} {{.Server.Version}}'] : ['--version'];
    const { exitCode, stdout } = await run({ command: name, args, env }, { signal });
    if (exitCode === 0) return { name, variables: name === 'docker' ? dockerVariables(stdout) : {} };
  }
  return undefined;
}

/** From this one on docker takes BuildKit by itself where it is installed, and demands it to be when it is asked for. */
const BUILDKIT_BY_ITSELF = 23;

function dockerVariables(version: string): Variables {
  const isOld = Number.parseInt(version, 10) < BUILDKIT_BY_ITSELF;
  return { BUILDKIT_PROGRESS: 'plain', ...(isOld ? { DOCKER_BUILDKIT: '1' } : {}) };
}

export function buildCommand(
  { name, variables }: Builder,
  { context, dockerfile, platform, tag, plainHttp, env }: BuildJob,
): Command {
  // Docker speaks plain HTTP to registries of this machine by itself.
  const insecure = plainHttp && name !== 'docker' ? ['--tls-verify=false'] : [];
  return {
    command: name,
    args: ['build', '--platform', platform, '--tag', tag, '--file', dockerfile, ...insecure, context],
    env: { ...env, ...variables },
  };
}

/** Writes the image as a tar: of an OCI image layout, or of docker's own older kind (before Docker 25). */
export function exportCommand({ name }: Builder, tag: string, file: string, env: Variables): Command {
  const args = {
    docker: ['save', '--output', file, tag],
    podman: ['save', '--quiet', '--format', 'oci-archive', '--output', file, tag],
    buildah: ['push', '--quiet', tag, `oci-archive:${file}`],
  };
  return { command: name, args: args[name], env };
}

export function removeCommand({ name }: Builder, tag: string, env: Variables): Command {
  return { command: name, args: ['rmi', tag], env };
}
