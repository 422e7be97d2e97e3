import type { Cause } from '../contract/endpoint.ts';

export interface ReplicaExit {
  readonly exitCode?: number;
  readonly signal?: string;
  /** Whether it had answered requests before. */
  readonly wasReady: boolean;
  /** What it wrote since it was started, the last lines of both streams, oldest first. */
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
}

const TAIL_LINES = 20;
const STAMPED = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} /;
/** The scoring server wraps what the script raised into an exception of its own, below this line. */
const WRAPPED = 'The above exception was the direct cause of the following exception:';

/** Why a replica ended, read from what the scoring server wrote, in the error names of v2. */
export function causeOfExit(exit: ReplicaExit): Cause {
  return scriptFailure(exit) ?? serverFailure(exit) ?? plainExit(exit);
}

function scriptFailure(exit: ReplicaExit): Cause | undefined {
  const { stdout } = exit;
  const has = (text: string) => stdout.some((line) => line.includes(text));
  const code = exit.exitCode === undefined ? {} : { exitCode: exit.exitCode };

  if (has("User's init function failed")) {
    const traceback = tracebackIn(stdout);
    return {
      code: 'UserScriptInitFailed',
      message: `init() of the scoring script failed: ${exceptionLine(traceback)}`,
      remedy: initRemedy(exceptionLine(traceback), traceback),
      logTail: traceback,
      ...code,
    };
  }
  const shape = stdout.find((line) => FUNCTION_PROBLEM.test(line));
  if (shape !== undefined) {
    const said = shape.replace(/^.*UserScriptError: /, '');
    return {
      code: 'UserScriptFunctionNotFound',
      message: `The scoring script does not have the functions it needs: ${said}`,
      remedy: 'Define init() without parameters, and run() with one for the input.',
      ...code,
    };
  }
  if (has('Failed to import user script') || has('No score script found') || has('UserScriptImportException')) {
    const traceback = tracebackIn(stdout);
    const raised = exceptionLine(traceback);
    return {
      code: 'UserScriptImportError',
      message: `The scoring script could not be imported: ${raised}`,
      remedy: importRemedy(raised, traceback),
      logTail: traceback,
      ...code,
    };
  }
  return undefined;
}

const UNPICKLING = /^ {2}File ".*\bpickle\.py", line|^ {2}File ".*\bjoblib\b.*", line/;

function initRemedy(raised: string, traceback: readonly string[]): string {
  if (
    /^(?:ModuleNotFoundError|ImportError|AttributeError)/.test(raised) &&
    traceback.some((line) => UNPICKLING.test(line))
  )
    return 'The model was saved with other versions of its packages: ask for those in the environment, or save the model anew with the ones that are installed.';
  const module = missingModule(raised);
  return module === undefined ? 'Correct init() as the traceback shows, then deploy again.' : addPackage(module);
}

const FUNCTION_PROBLEM =
  /UserScriptError: .*(does not have a (init|run)\(\)|run\(\) (cannot accept|needs to accept|cannot be decorated))/;

const OLD_JOBLIB = /^\s*(?:from|import) sklearn\.externals\b/;

function importRemedy(raised: string, traceback: readonly string[]): string {
  if (traceback.some((line) => OLD_JOBLIB.test(line)))
    return 'scikit-learn 0.23 dropped sklearn.externals: write "import joblib" instead, or ask for scikit-learn==0.22.2.post1.';
  const library = /^(?:OSError|ImportError): (\S+\.so\S*): cannot open shared object file/.exec(raised)?.[1];
  if (library)
    return `The operating system lacks the library ${library}, which v1's base images may have brought: install it, or use a package that does without.`;
  const module = missingModule(raised);
  if (module) return addPackage(module);
  if (raised.startsWith('FileNotFoundError')) return 'Check entryScript: no such file was deployed.';
  return 'Correct the script as the traceback shows, then deploy again.';
}

function missingModule(raised: string): string | undefined {
  return /No module named '([^']+)'/.exec(raised)?.[1];
}

function addPackage(module: string): string {
  return `Add the package that contains "${module}" to the environment, or the missing file to the source directory.`;
}

function serverFailure(exit: ReplicaExit): Cause | undefined {
  const { stdout, stderr } = exit;
  const missing = stderr.map((line) => /^ModuleNotFoundError: No module named '([^']+)'/.exec(line)?.[1]).find(Boolean);
  if (missing && /^(azureml_inference_server_http|gunicorn|waitress|flask)\b/.test(missing)) {
    return {
      code: 'EnvironmentMissing',
      message: `The environment lacks the scoring server: ${missing} is not installed.`,
      remedy: 'Add azureml-inference-server-http to the environment, then deploy again.',
    };
  }
  if (stdout.some((line) => line.includes('Invalid config file!') || line.includes('=Configuration Error='))) {
    return {
      code: 'InvalidDeploymentSpec',
      message:
        'The scoring server took a config.json beside the entry script for its own settings and could not read it.',
      remedy: 'Rename or remove that config.json, or leave it out by .amlignore.',
      logTail: stdout.slice(-TAIL_LINES),
    };
  }
  if (
    !exit.wasReady &&
    stderr.some((line) => /Worker \(pid:\d+\) was (sent SIGKILL|terminated due to signal 9)/.test(line))
  ) {
    return {
      code: 'PodOutOfMemory',
      message: 'The scoring process was killed while it ran init(), most likely for lack of memory.',
      remedy:
        'Free memory, deploy fewer replicas, or lower maxConcurrentRequestsPerContainer: each worker loads the model.',
      logTail: stderr.slice(-TAIL_LINES),
    };
  }
  const inUse = [...stderr, ...stdout].find((line) => /address already in use|EADDRINUSE/i.test(line));
  if (inUse !== undefined) {
    return {
      code: 'PortInUse',
      message: `The port that the replica wants is taken: ${inUse.trim()}`,
      remedy: 'End the other program, or choose another port; a command of your own can take one from {port}.',
    };
  }
  return undefined;
}

function plainExit(exit: ReplicaExit): Cause {
  const how = exit.signal ? `was ended by ${exit.signal}` : `exited with code ${exit.exitCode ?? 'unknown'}`;
  const when = exit.wasReady ? 'after it had served requests' : 'before it was ready';
  const errors = exit.stderr.filter((line) => !STAMPED.test(line) && line.trim() !== '');
  const tail = errors.length > 0 ? errors : exit.stdout;
  return {
    code: 'DeploymentCrashLoopBackOff',
    message: `The replica ${how} ${when}.`,
    remedy: 'Read the log of the replica; it is started again.',
    logTail: tail.slice(-TAIL_LINES),
    ...(exit.exitCode === undefined ? {} : { exitCode: exit.exitCode }),
  };
}

/** The first traceback in the log, whole, without the scoring server's own part at its end. */
function tracebackIn(lines: readonly string[]): string[] {
  const begin = lines.findIndex((line) => line.includes('Traceback (most recent call last):'));
  if (begin < 0) return lines.slice(-TAIL_LINES);
  const length = lines.slice(begin + 1).findIndex((line) => STAMPED.test(line));
  const block = lines.slice(begin, length < 0 ? undefined : begin + 1 + length);
  const wrapper = block.lastIndexOf(WRAPPED);
  const own = wrapper < 0 ? block : block.slice(0, wrapper);
  const first = (own[0] ?? '').replace(/^.*(?=Traceback \(most recent)/, '');
  return trimBlank([first, ...own.slice(1)]);
}

function trimBlank(lines: string[]): string[] {
  const last = lines.findLastIndex((line) => line.trim() !== '');
  return lines.slice(0, last + 1);
}

/** `ValueError: what it says`: what follows the last frame. Its message may have more lines, also unindented ones. */
function exceptionLine(traceback: readonly string[]): string {
  const lastFrame = traceback.findLastIndex((line) => line.startsWith('  File "'));
  return traceback.slice(lastFrame + 1).find((line) => /^[\w.]+(:|$)/.test(line)) ?? traceback.at(-1) ?? 'see the log';
}
