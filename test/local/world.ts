import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as JSON. */
  json<T = Record<string, unknown>>(): T;
}

/** An empty machine: an AKSML_HOME and a project folder of its own, and the built command. */
export interface World {
  readonly home: string;
  readonly project: string;
  readonly environment: NodeJS.ProcessEnv;
  aksml(...args: readonly string[]): Promise<Outcome>;
  /** The same in a folder of the project. */
  aksmlIn(folder: string, ...args: readonly string[]): Promise<Outcome>;
  /** The command as a process, to be killed or read from while it runs. */
  start(...args: readonly string[]): ReturnType<typeof spawn>;
  write(path: string, content: string): Promise<void>;
  /** Ends everything that runs in this world and removes it. */
  close(): Promise<void>;
}

export async function openWorld(variables: NodeJS.ProcessEnv = {}): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-world-'));
  const home = join(folder, 'home');
  const project = join(folder, 'project');
  await mkdir(project, { recursive: true });
  const environment = {
    ...process.env,
    AKSML_HOME: home,
    UV_CACHE_DIR: join(root, '.cache', 'uv'),
    NO_COLOR: '1',
    ...variables,
  };
  const startIn = (folder: string, args: readonly string[]) =>
    spawn(process.execPath, [join(root, 'bin', 'aksml.js'), ...args], {
      cwd: join(project, folder),
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const start: World['start'] = (...args) => startIn('.', args);
  const aksml: World['aksml'] = (...args) => outcomeOf(start(...args));
  return {
    home,
    project,
    environment,
    start,
    aksml,
    aksmlIn: (folder, ...args) => outcomeOf(startIn(folder, args)),
    async write(path, content) {
      const file = join(project, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
    },
    async close() {
      await aksml('local', 'stop', '--yes');
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

export async function outcomeOf(child: ReturnType<typeof spawn>): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status ?? -1));
  });
  return {
    code,
    stdout,
    stderr,
    json: <T>() => {
      try {
        return JSON.parse(stdout) as T;
      } catch (error) {
        throw new Error(`exit code ${code}, no JSON in ${JSON.stringify(stdout)}\n${stderr}`, { cause: error });
      }
    },
  };
}

/** A project whose environment is the scoring server alone, so that it installs in a moment. */
export async function writeProject(world: World, script = ANSWER(1)): Promise<void> {
  await world.write('source/score.py', script);
  await world.write('model/weights.txt', '42\n');
  await world.write(
    'inferenceconfig.json',
    JSON.stringify({
      entryScript: 'score.py',
      sourceDirectory: 'source',
      environment: {
        name: 'bare',
        environmentVariables: { AML_CORS_ORIGINS: 'https://app.example' },
        python: { condaDependencies: { name: 'bare', dependencies: [{ pip: ['azureml-inference-server-http'] }] } },
      },
    }),
  );
  await world.write('deploymentconfig.json', JSON.stringify({ computeType: 'aks', numReplicas: 1 }));
}

/** A scoring script that answers with a number, the model's content and what it was sent. */
export function ANSWER(answer: number): string {
  return `import json, os

def init():
    global weights
    folder = os.environ["AZUREML_MODEL_DIR"]
    weights = open(os.path.join(folder, "model", "weights.txt")).read().strip()
    print("the weights are", weights)

def run(data):
    return {"answer": ${answer}, "weights": weights, "sent": json.loads(data)}
`;
}

export const DEPLOY = [
  'model',
  'deploy',
  '-ct',
  'local',
  '-ic',
  'inferenceconfig.json',
  '-dc',
  'deploymentconfig.json',
] as const;
