import { AksmlError } from '../../contract/error.ts';
import type { Problem } from '../../contract/problem.ts';
import { findPython, type Interpreter, inspectInterpreter, interpreters, type PythonSearch } from './python.ts';
import {
  acceptsPython,
  comparePrefix,
  type PythonRequest,
  parsePythonRequest,
  parsePythonVersion,
  pythonDistance,
  wantedMinor,
} from './python-version.ts';

export interface PythonChoice {
  readonly interpreter: Interpreter;
  /** Says so when it is not the one that was asked for. */
  readonly problems: readonly Problem[];
}

/** Downloads a Python of that minor version, if it can be had. */
export type ObtainPython = (minor: string) => Promise<Interpreter | undefined>;

/** Pythons for which the scoring server and today's libraries have wheels; when any will do, one of these is taken. */
const OLDEST_TESTED = [3, 9];
const NEWEST_TESTED = [3, 13];
const MIDDLE_TESTED = [3, 11];

/**
 * Finds the Python for an environment. `override` is the user's `--python`: a version, a path, or `nearest`.
 * @throws AksmlError `python.missing` | `python.notFound` | `python.invalid`
 */
export async function choosePython(
  search: PythonSearch,
  request: PythonRequest,
  override: string | undefined,
  obtain: ObtainPython,
): Promise<PythonChoice> {
  if (override === undefined || override === '')
    return { interpreter: await findAccepted(search, request, obtain), problems: [] };
  if (override === 'nearest') return chosen(await findNearest(search, request), request);
  if (/[\\/]/.test(override)) return chosen(await inspectGiven(search, override), request);
  const overriding = parsePythonRequest(`=${override}`);
  if (!overriding || !/^\d/.test(override)) {
    throw new AksmlError('python.invalid', `--python ${override} is neither a version, nor a path, nor "nearest".`, {
      fault: 'input',
      subject: '--python',
      remedy: 'Give a version such as 3.11, the path of an interpreter, or "nearest".',
    });
  }
  return chosen(await findAccepted(search, overriding, obtain), request);
}

async function findAccepted(search: PythonSearch, request: PythonRequest, obtain: ObtainPython): Promise<Interpreter> {
  const accepts = request.constraints.length === 0 ? isTested : isAccepted(request);
  const accepted = await findPython(search, accepts);
  if (accepted) return accepted;
  const obtained = await obtain((wantedMinor(request) ?? MIDDLE_TESTED).join('.'));
  if (obtained && accepts(obtained)) return obtained;
  if (request.constraints.length === 0) return findNearest(search, request);
  throw missing(request, await Array.fromAsync(interpreters(search)));
}

function isAccepted(request: PythonRequest): (interpreter: Interpreter) => boolean {
  return ({ parts }) => acceptsPython(request, parts);
}

function isTested({ parts }: Interpreter): boolean {
  return comparePrefix(parts, OLDEST_TESTED) >= 0 && comparePrefix(parts, NEWEST_TESTED) <= 0;
}

async function findNearest(search: PythonSearch, request: PythonRequest): Promise<Interpreter> {
  const present = await Array.fromAsync(interpreters(search));
  const accepted = request.constraints.length > 0 ? present.find(isAccepted(request)) : undefined;
  const nearest = accepted ?? nearestTo(present, wantedMinor(request) ?? MIDDLE_TESTED);
  if (nearest) return nearest;
  throw missing(request, present);
}

function nearestTo(present: readonly Interpreter[], wanted: readonly number[]): Interpreter | undefined {
  return present.toSorted((a, b) => pythonDistance(a.parts, wanted) - pythonDistance(b.parts, wanted))[0];
}

async function inspectGiven(search: PythonSearch, path: string): Promise<Interpreter> {
  const interpreter = await inspectInterpreter(search, path);
  if (interpreter) return interpreter;
  throw new AksmlError('python.notFound', `${path} is not a Python 3 interpreter that runs.`, {
    fault: 'input',
    subject: path,
    remedy: 'Give the path of a Python 3 interpreter to --python.',
  });
}

function chosen(interpreter: Interpreter, request: PythonRequest): PythonChoice {
  return { interpreter, problems: acceptsPython(request, interpreter.parts) ? [] : [replaced(request, interpreter)] };
}

function replaced(request: PythonRequest, { version }: Interpreter): Problem {
  return {
    severity: 'warning',
    code: 'environment.pythonReplaced',
    path: 'dependencies',
    message: `The environment asks for Python ${request.text}, and Python ${version} is used, as --python says.`,
    remedy: 'If packages or the model do not fit this Python, change their versions or train the model anew.',
  };
}

function missing(request: PythonRequest, present: readonly Interpreter[]): AksmlError {
  const versions = [...new Set(present.map(({ parts }) => parts.slice(0, 2).join('.')))].toSorted((a, b) =>
    comparePrefix(parsePythonVersion(b), parsePythonVersion(a)),
  );
  const list = versions.length === 0 ? 'none was found' : `present are ${versions.join(', ')}`;
  const wanted = request.text === '' ? 'Python 3' : `Python ${request.text}`;
  return new AksmlError(
    'python.missing',
    `The environment needs ${wanted}, which is neither on this machine (${list}) nor could it be downloaded.`,
    {
      fault: 'input',
      subject: wanted,
      remedy:
        versions.length === 0
          ? 'Install Python 3.11 from python.org or with your package manager.'
          : 'Install it, change the version in the conda file, or choose another with --python VERSION, --python PATH or --python nearest.',
    },
  );
}
