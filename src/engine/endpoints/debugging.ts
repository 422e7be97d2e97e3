import type { EffectiveSettings, InferenceSpec } from '../../contract/deployment.ts';
import type { EnvironmentDefinition } from '../../contract/environment.ts';
import { AksmlError } from '../../contract/error.ts';
import { DEFAULT_CONDA } from '../config/conda.ts';
import { parsePipLine } from '../environments/requirement.ts';

/** A version whose only replica runs the source directory itself, under debugpy. */
export interface DebuggedSource {
  /** Loopback port that debugpy listens on. The replica becomes ready once a debugger has attached to it. */
  readonly port: number;
  /** The source directory; where there is none, the script alone. Absolute. */
  readonly path: string;
}

const HOUR_MS = 3_600_000;
const NEVER_FAILS = 1_000_000;

/** @throws AksmlError `debug.noSource` */
export function debuggedSource(port: number, inference: Partial<InferenceSpec> | undefined): DebuggedSource {
  const path = inference?.sourceDirectory ?? inference?.entryScript;
  if (path !== undefined) return { port, path };
  throw new AksmlError('debug.noSource', 'There is no scoring script to debug.', {
    fault: 'input',
    remedy: 'Give an inference configuration with an entryScript; write one with "aksml model scaffold".',
  });
}

/** Nothing gives up while somebody thinks about a breakpoint. */
export function patientSettings(settings: EffectiveSettings): EffectiveSettings {
  return {
    ...settings,
    scale: { kind: 'fixed', replicas: 1 },
    scoringTimeoutMs: HOUR_MS,
    maxQueueWaitMs: HOUR_MS,
    livenessProbe: { ...settings.livenessProbe, failureThreshold: NEVER_FAILS },
  };
}

/** An interpreter that brings its own packages must bring debugpy, too. */
export function withDebugger(definition: EnvironmentDefinition): EnvironmentDefinition {
  const { python } = definition;
  if (python.userManagedDependencies) return definition;
  const conda = python.condaDependencies ?? DEFAULT_CONDA;
  const names = conda.pip.map(parsePipLine).map((line) => ('name' in line ? line.name : undefined));
  if (names.includes('debugpy')) return definition;
  return { ...definition, python: { ...python, condaDependencies: { ...conda, pip: [...conda.pip, 'debugpy'] } } };
}
