import { relative, resolve, sep } from 'node:path';
import type { DeploymentProposal, ProposedFile } from '../contract/proposal.ts';
import { shellLine } from '../contract/shell-words.ts';
import { filesToWrite, proposeDeployment } from '../engine/proposals/proposals.ts';
import { writeFileAtomic } from '../home/atomic-file.ts';
import type { CommandContext } from './context.ts';
import { type Result, valueResult } from './result.ts';

interface ScaffoldOptions {
  readonly modelPath: string;
  readonly dryRun: boolean | undefined;
}

/** Files that are there are never written. */
export async function scaffoldDeployment(context: CommandContext, options: ScaffoldOptions): Promise<Result> {
  const { cwd } = context.host;
  const proposal = await proposeDeployment(
    await context.engine(),
    { model: resolve(cwd, options.modelPath), project: cwd },
    context.run.signal,
  );
  const written = filesToWrite(proposal);
  if (!options.dryRun) {
    for (const { path, content } of written) await writeFileAtomic(path, content, 0o644);
  }
  const next = nextCommands(context, proposal, options.modelPath);
  const shown = (file: ProposedFile | undefined) => (file === undefined ? 'none needed' : fromCwd(cwd, file.path));
  return valueResult(
    { ...proposal, written: written.map(({ path }) => path), next },
    {
      kind: 'facts',
      facts: [
        ['Model', `${proposal.model.format} ${proposal.model.frameworkVersion ?? ''}`.trim()],
        ['Scoring script', shown(proposal.entryScript ?? proposal.inferenceConfig)],
        ['Environment', shown(proposal.condaFile ?? proposal.inferenceConfig)],
        ...written.map(({ path }) => [options.dryRun ? 'Would write' : 'Written', fromCwd(cwd, path)] as const),
      ],
      note: next.map(shellLine).join('\n'),
    },
  );
}

function nextCommands({ host }: CommandContext, proposal: DeploymentProposal, modelPath: string): string[][] {
  const { inferenceConfig, deploymentConfig, model, modelName, name } = proposal;
  const register = ['aksml', 'model', 'register', '-n', modelName, '-p', modelPath];
  const framework = model.framework === 'Custom' ? [] : ['--model-framework', model.framework];
  const deploy = ['aksml', 'model', 'deploy', '-n', name, '-m', `${modelName}:1`];
  const inference = inferenceConfig === undefined ? [] : ['-ic', fromCwd(host.cwd, inferenceConfig.path)];
  return [
    [...register, ...framework],
    [...deploy, ...inference, '-dc', fromCwd(host.cwd, deploymentConfig.path)],
  ];
}

function fromCwd(cwd: string, path: string): string {
  return relative(cwd, path).split(sep).join('/') || '.';
}
