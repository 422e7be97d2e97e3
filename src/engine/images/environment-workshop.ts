import { platform } from 'node:os';
import { AksmlError } from '../../contract/error.ts';
import type { RunOptions } from '../endpoints/stages.ts';
import { runCommand } from '../environments/command.ts';
import { type Preparation, pythonSearch } from '../environments/environment.ts';
import type { EnvironmentPlan } from '../environments/plan.ts';
import { findPython, type Interpreter } from '../environments/python.ts';
import { parsePythonVersion } from '../environments/python-version.ts';
import { obtainPython, openUv, type UvSession } from '../environments/uv-session.ts';
import type { Registry } from '../registry/registry.ts';
import type { LayerWorkshop } from './environment-layer.ts';
import type { ImageTools } from './image-request.ts';

/** Where the layer of an environment is built: with this machine's uv, fetched where there is none. */
export function layerWorkshop(
  { home, environment, clock, fetch }: ImageTools,
  plan: EnvironmentPlan,
  registry: Registry,
  options: RunOptions,
): LayerWorkshop {
  const tools = { home, environment, clock, fetch, platform: platform(), run: runCommand };
  const preparation: Preparation = { tools, options, plan, search: pythonSearch(tools, options.signal) };
  return {
    home,
    registry,
    ...options,
    openSession: async (folder) => {
      const session = await openUv(preparation, folder);
      const python = await findPython(preparation.search);
      if (!python) throw noPython();
      const compilerFor = async (minor: string) => {
        const same = await samePython(preparation, session, minor);
        return same && { python: same.path, env: session.uv.env, run: tools.run };
      };
      return { session, hostPython: python.path, compilerFor };
    },
  };
}

/** How long a download may take that is of use, but can be done without. */
const DOWNLOAD_TIMEOUT_MS = 60_000;

async function samePython(
  { search }: Preparation,
  session: UvSession,
  minor: string,
): Promise<Interpreter | undefined> {
  const [, wanted] = parsePythonVersion(minor);
  const present = await findPython(search, ({ parts }) => parts[1] === wanted);
  return present ?? obtainPython(session, search, minor, DOWNLOAD_TIMEOUT_MS);
}

function noPython(): AksmlError {
  return new AksmlError('python.notFound', 'uv needs a Python on this machine, of any version, and there is none.', {
    remedy: 'Install Python 3, or write the Docker build context instead.',
  });
}
