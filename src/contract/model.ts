/** v1's `Model.Framework`. Files register other frameworks, MLflow among them, as `Custom` with a flavor. */
export type Framework = 'Custom' | 'TensorFlow' | 'ScikitLearn' | 'Onnx' | 'TfKeras' | 'PyTorch' | 'Multi';

/** A registered model, as `aksml model show` prints it. */
export interface Model {
  /** `name:version` */
  readonly id: string;
  readonly name: string;
  /** From 1, assigned on registration. */
  readonly version: number;
  readonly description?: string;
  readonly framework: Framework;
  readonly frameworkVersion?: string;
  readonly tags: Readonly<Record<string, string>>;
  /** Keys never change once set. */
  readonly properties: Readonly<Record<string, string>>;
  /** Used by a deployment that names no resources of its own. */
  readonly resourceRequirements?: { readonly cpu?: number; readonly memoryInGB?: number; readonly gpu?: number };
  readonly sampleInputDatasetId?: string;
  readonly sampleOutputDatasetId?: string;
  readonly experimentName?: string;
  readonly runId?: string;
  /** Basename of what was registered: a file or a folder. It keeps that name inside the version folder. */
  readonly basename: string;
  readonly isFolder: boolean;
  /** Has a top-level `MLmodel` file. */
  readonly isMlflow: boolean;
  /** `sha256:…` over sorted relative paths, modes and contents: equal trees, equal digests. */
  readonly treeDigest: string;
  /** Sum of the files, bytes. */
  readonly size: number;
  readonly fileCount: number;
  /** ISO 8601, UTC. */
  readonly createdTime: string;
  readonly modifiedTime: string;
  readonly createdBy: string;
}
