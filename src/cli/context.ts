import { resolve } from 'node:path';
import { AksmlError } from '../contract/error.ts';
import type { OnProgress } from '../contract/event.ts';
import type { Problem } from '../contract/problem.ts';
import type { Engine } from '../engine/engine.ts';
import type { Workspace } from '../engine/workspace/workspace.ts';
import { type Home, openHome } from '../home/home.ts';
import type { ExecRequest } from '../kube/exec-plugin.ts';
import type { LocalTarget } from '../local/client.ts';
import type { Session } from '../session/session.ts';
import { defined } from './defined.ts';
import { renderProblem } from './failure.ts';
import type { GlobalOptions } from './global-options.ts';
import type { Host } from './host.ts';
import { printable } from './printable.ts';
import { openProgress, type ProgressDisplay } from './progress.ts';

/** What a command works with. The engine is loaded when the command asks for it, not before. */
export interface CommandContext {
  readonly host: Host;
  readonly globals: GlobalOptions;
  readonly home: Home;
  /** `--path`, absolute: where the search for the workspace begins. */
  readonly projectFolder: string;
  readonly progress: ProgressDisplay;
  /** For the engine's long operations. */
  readonly run: { readonly onProgress: OnProgress; readonly signal: AbortSignal };
  warn(problem: Problem): void;
  /** A sentence for the person, on standard error. */
  say(sentence: string): void;
  /** Asks before something is destroyed. Without a terminal, or with `--yes`, it goes ahead, as v1 did. @throws AksmlError `cancelled` */
  confirm(question: string, yes: boolean | undefined): Promise<void>;
  /** The workspace of the project folder with its compute targets. */
  session(): Promise<Session>;
  /** The engine with that workspace and a compute target: this machine unless one is named. */
  engine(target?: string): Promise<Engine>;
  /** The engine with the compute target that a service or endpoint is on. */
  engineOf(service: ServiceReference): Promise<Engine>;
  /** The compute target of this machine, without a workspace. */
  local(): Promise<LocalTarget>;
  /** Where that engine's models and environments live, and why there. */
  workspace(): Promise<Workspace>;
}

/** Asked at the terminal; where nobody can answer, nothing of a kubeconfig's is run. */
async function mayRun({ ask, terminal }: Host, progress: ProgressDisplay, request: ExecRequest): Promise<boolean> {
  const line = printable([request.command, ...request.args].join(' '), terminal.unicode);
  progress.line(`To log in to the cluster, its kubeconfig wants to run: ${line}`);
  const answer = await ask('Run it, now and whenever it is needed? (y/N) ');
  return /^y(es)?$/i.test(answer?.trim() ?? '');
}

/** A service or endpoint, and the compute target that it is on where the person names one. */
export interface ServiceReference {
  readonly name: string;
  readonly computeTarget?: string | undefined;
}

export function openContext(host: Host, globals: GlobalOptions): CommandContext {
  const progress = openProgress(host.terminal, {
    verbose: globals.verbose === true || globals.debug === true,
    now: host.now,
  });
  const home = openHome(host.environment);
  const projectFolder = resolve(host.cwd, globals.path ?? '.');
  const say = (sentence: string) => progress.line(sentence);
  const warn = (problem: Problem) => progress.line(renderProblem(problem, host.terminal));
  const options = {
    home,
    environment: host.environment,
    version: host.version,
    supervisorCommand: host.supervisorCommand,
  };
  const local = async () => {
    const { localTarget } = await import('../session/session.ts');
    return localTarget(options);
  };
  let opened: Promise<Session> | undefined;
  const open = async () => {
    const { openSession } = await import('../session/session.ts');
    const { workspaceName: name, resourceGroup, subscriptionId } = globals;
    const session = await openSession({
      ...options,
      workspace: { projectFolder, ...defined({ name, resourceGroup, subscriptionId }) },
      consent: (request) => mayRun(host, progress, request),
    });
    for (const notice of session.workspace.notices) warn(notice);
    return session;
  };
  const once = () => {
    opened ??= open();
    return opened;
  };
  return {
    host,
    globals,
    home,
    projectFolder,
    progress,
    run: { onProgress: progress.onProgress, signal: host.signal },
    warn,
    say,
    confirm: async (question, yes) => {
      if (yes) return;
      const answer = await host.ask(`${question} (y/N) `);
      if (answer !== undefined && !/^y(es)?$/i.test(answer.trim())) throw AksmlError.cancelled('The command');
    },
    session: once,
    engine: async (target) => (await once()).engine(target),
    engineOf: async ({ name, computeTarget }) => {
      const session = await once();
      if (computeTarget !== undefined) return session.engine(computeTarget);
      const { engine, problems } = await session.engineOf(name, host.signal);
      for (const problem of problems) warn(problem);
      return engine;
    },
    local,
    workspace: async () => (await once()).workspace,
  };
}
