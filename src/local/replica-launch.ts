import { delimiter, dirname } from 'node:path';
import type { Bundle } from '../contract/bundle.ts';
import type { CustomContainer } from '../contract/endpoint.ts';

/** How to start one replica. */
export interface ReplicaLaunch {
  readonly command: readonly [string, ...string[]];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Scoring scripts report through `status.json`; servers of the user's own are asked over HTTP. */
  readonly readiness:
    | { readonly kind: 'status' }
    | { readonly kind: 'route'; readonly port: number; readonly route: string };
  readonly livenessRoute: string;
}

export interface LaunchContext {
  readonly bundle: Bundle;
  readonly endpoint: string;
  readonly version: string;
  /** The replica's own. */
  readonly folder: string;
  readonly launcher: string;
  readonly secrets: Readonly<Record<string, string>>;
  /** Of the process that starts the replica. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Only used by a server of the user's own. */
  readonly port: number;
}

/** By which the descendants of a replica are known for ours. */
export const FOLDER_VARIABLE = 'AKSML_REPLICA_FOLDER';

/**
 * What a replica inherits: enough to run, and nothing that depends on who started the supervisor or that could be a credential.
 */
const INHERITED =
  /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TMPDIR|TEMP|TMP|(https?|no|all)_proxy|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|LD_LIBRARY_PATH|DYLD_\w+|CUDA_\w+|NVIDIA_\w+|SystemRoot|SystemDrive|windir|ComSpec|PATHEXT|USERPROFILE|HOMEDRIVE|HOMEPATH|APPDATA|LOCALAPPDATA|ProgramData|ProgramFiles|NUMBER_OF_PROCESSORS|PROCESSOR_ARCHITECTURE)$/i;

/** The scoring server's own limit: a little later than the gateway's 504, so that the worker is free again soon after it. */
const SCORING_GRACE_MS = 1000;

/** @throws TypeError when the bundle names neither an interpreter nor a command. */
export function replicaLaunch(context: LaunchContext): ReplicaLaunch {
  const { bundle } = context;
  return bundle.container?.command ? customLaunch(context, bundle.container.command) : scoringLaunch(context);
}

/** The port that a command listens on whatever it is told; undefined when its arguments say `{port}`. */
export function fixedPort(container: CustomContainer | undefined): number | undefined {
  if (!container?.command || container.command.some((argument) => argument.includes('{port}'))) return undefined;
  return container.port;
}

function scoringLaunch(context: LaunchContext): ReplicaLaunch {
  const { bundle, launcher } = context;
  if (bundle.python === undefined) throw new TypeError('The bundle has no interpreter.');
  const base = baseEnvironment(context);
  const binaries = dirname(bundle.python);
  return {
    command: [bundle.python, launcher],
    cwd: bundle.appRoot,
    readiness: { kind: 'status' },
    livenessRoute: '/',
    environment: {
      ...base,
      PATH: base['PATH'] ? `${binaries}${delimiter}${base['PATH']}` : binaries,
      VIRTUAL_ENV: dirname(binaries),
      PYTHONUNBUFFERED: '1',
      PYTHONIOENCODING: 'utf-8',
      SERVICE_NAME: context.endpoint,
      SCORING_TIMEOUT_MS: String(bundle.scoringTimeoutMs + SCORING_GRACE_MS),
      ...bundle.environmentVariables,
      ...context.secrets,
      AML_APP_ROOT: bundle.appRoot,
      WORKER_COUNT: String(bundle.workers),
      [FOLDER_VARIABLE]: context.folder,
    },
  };
}

function customLaunch(context: LaunchContext, template: readonly string[]): ReplicaLaunch {
  const { bundle, port } = context;
  const [program, ...rest] = template.map((argument) => argument.replaceAll('{port}', String(port)));
  if (program === undefined) throw new TypeError('The command is empty.');
  const base = baseEnvironment(context);
  const binaries = bundle.python === undefined ? [] : [dirname(bundle.python)];
  return {
    command: [program, ...rest],
    cwd: bundle.appRoot,
    readiness: { kind: 'route', port, route: bundle.container?.readinessRoute ?? '/' },
    livenessRoute: bundle.container?.livenessRoute ?? '/',
    environment: {
      ...base,
      PATH: [...binaries, ...(base['PATH'] ? [base['PATH']] : [])].join(delimiter),
      PYTHONUNBUFFERED: '1',
      ...bundle.environmentVariables,
      ...context.secrets,
      AML_APP_ROOT: bundle.appRoot,
      [FOLDER_VARIABLE]: context.folder,
    },
  };
}

function baseEnvironment({ environment }: LaunchContext): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) =>
      // Windows spells it `Path`.
      value !== undefined && INHERITED.test(name) ? [[name.toUpperCase() === 'PATH' ? 'PATH' : name, value]] : [],
    ),
  );
}
