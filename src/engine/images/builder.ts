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

/** The first that works here; for docker its daemon must run. */
export async function findBuilder(
  run: RunCommand,
  env: Variables,
  signal?: AbortSignal,
): Promise<BuilderName | undefined> {
  for (const name of BUILDERS) {
    const probe = {
      command: name,
      args: name === 'docker' ? ['version', '--format', '{{.Server.Version}}'] : ['--version'],
      env,
    };
    if ((await run(probe, { signal })).exitCode === 0) return name;
  }
  return undefined;
}

export function buildCommand(
  builder: BuilderName,
  { context, dockerfile, platform, tag, plainHttp, env }: BuildJob,
): Command {
  // Docker speaks plain HTTP to registries of this machine by itself.
  const insecure = plainHttp && builder !== 'docker' ? ['--tls-verify=false'] : [];
  return {
    command: builder,
    args: ['build', '--platform', platform, '--tag', tag, '--file', dockerfile, ...insecure, context],
    env: builder === 'docker' ? { ...env, DOCKER_BUILDKIT: '1', BUILDKIT_PROGRESS: 'plain' } : env,
  };
}

/** Writes the image as the tar of an OCI image layout. */
export function exportCommand(builder: BuilderName, tag: string, file: string, env: Variables): Command {
  const args = {
    docker: ['save', '--output', file, tag],
    podman: ['save', '--quiet', '--format', 'oci-archive', '--output', file, tag],
    buildah: ['push', '--quiet', tag, `oci-archive:${file}`],
  };
  return { command: builder, args: args[builder], env };
}

export function removeCommand(builder: BuilderName, tag: string, env: Variables): Command {
  return { command: builder, args: ['rmi', tag], env };
}
