import type { EffectiveSettings } from './deployment.ts';
import type { CustomContainer } from './endpoint.ts';
import type { EnvironmentDefinition } from './environment.ts';

/** One deploy of one version, immutable: stored as an OCI artifact, with the code layer as its layer and this as its config. */
export interface Revision {
  readonly endpoint: string;
  readonly version: string;
  /** From 1 within `endpoint/version`. */
  readonly number: number;
  /** ISO 8601, UTC. */
  readonly createdTime: string;
  readonly createdBy: string;
  readonly aksmlVersion: string;
  readonly code?: CodeReference;
  readonly models: readonly { readonly id: string; readonly treeDigest: string; readonly basename: string }[];
  readonly environment: {
    readonly definition: EnvironmentDefinition;
    readonly hash: string;
    readonly pythonVersion: string;
    /** The exact requirements that were installed, a line each. */
    readonly lock: readonly string[];
  };
  readonly settings: EffectiveSettings;
  readonly container?: CustomContainer;
  /** Present when no entry script was given and aksml brings one. */
  readonly noCode?: 'ScikitLearn' | 'Onnx' | 'TensorFlow' | 'MLflow';
  /** Git facts of the source directory, in v1's property names. */
  readonly git: Readonly<Record<string, string>>;
}

export interface CodeReference {
  /** Digest of the code layer (a deterministic tar of the snapshot). */
  readonly digest: string;
  readonly size: number;
  readonly fileCount: number;
  /** `AZUREML_SOURCE_DIRECTORY`: the folder's basename below the app root; absent for a single script. */
  readonly sourceDirectory?: string;
  /** `AZUREML_ENTRY_SCRIPT`: relative to the app root. */
  readonly entryScript: string;
}

/** What a deploy changed against the one before. */
export type RevisionChange = 'first' | 'code' | 'models' | 'environment' | 'configuration';
