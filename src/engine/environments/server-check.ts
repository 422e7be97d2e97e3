import { AksmlError } from '../../contract/error.ts';
import type { EnvironmentTools } from './environment.ts';
import { runtimeFile } from './runtime-files.ts';

interface ServerReport {
  readonly packages: readonly string[];
  readonly error?: string;
  readonly missing?: string | null;
  readonly traceback?: readonly string[];
}

const CHECK_TIMEOUT_MS = 120_000;

/**
 * Imports the scoring server as a replica will, so that old pins which install but do not run are found here. Returns what is installed.
 * @throws AksmlError `environment.serverBroken`
 */
export async function checkServer(
  tools: Required<EnvironmentTools>,
  python: string,
  signal?: AbortSignal,
  /** The image that was to bring the packages. */
  image?: string,
): Promise<readonly string[]> {
  const result = await tools.run(
    { command: python, args: ['-I', runtimeFile('check_server.py')], env: tools.environment },
    { signal, timeoutMs: CHECK_TIMEOUT_MS },
  );
  const report = parseReport(result.stdout);
  if (report && report.error === undefined) return report.packages;
  const tail = report?.traceback ?? result.stderr.trimEnd().split('\n').slice(-8);
  const isMissing = report?.missing === 'azureml_inference_server_http';
  const because =
    image === undefined
      ? ''
      : `: the environment leaves its packages to the image ${image}, and on this machine no image is used`;
  throw new AksmlError(
    'environment.serverBroken',
    isMissing
      ? `The scoring server azureml-inference-server-http is not installed for ${python}${because}.`
      : `The scoring server cannot be started in this environment: ${report?.error ?? tail.at(-1) ?? 'the interpreter failed'}`,
    {
      fault: 'input',
      subject: python,
      remedy: isMissing
        ? 'Give a conda file with the packages, or name a Python that has them and the server with --python.'
        : "Remove the environment's own pins of what the server needs (Flask, Werkzeug, Jinja2, pydantic, gunicorn); v1's image had its own.",
      logTail: tail,
    },
  );
}

function parseReport(stdout: string): ServerReport | undefined {
  try {
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as ServerReport;
  } catch {
    return undefined;
  }
}
