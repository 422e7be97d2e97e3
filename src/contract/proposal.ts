import type { Framework } from './model.ts';

/** What wrote a model. */
export type ModelFormat =
  | 'scikit-learn'
  | 'pickle'
  | 'onnx'
  | 'torchscript'
  | 'torch'
  | 'keras'
  | 'saved-model'
  | 'frozen-graph'
  | 'safetensors'
  | 'xgboost'
  | 'lightgbm'
  | 'catboost'
  | 'mlflow';

export interface RecognizedModel {
  /** Absolute. */
  readonly path: string;
  readonly isFolder: boolean;
  readonly format: ModelFormat;
  /** v1's word for it. */
  readonly framework: Framework;
  /** Of the library that wrote it, where the file says so. */
  readonly frameworkVersion?: string;
  /** Packages that a pickle names and that unpickling it needs, beside what its format always needs. */
  readonly libraries?: readonly string[];
  /** MLflow: the flavors that its `MLmodel` lists. */
  readonly flavors?: readonly string[];
}

/** File name endings whose files may be models; those of {@link TOLD_BY_CONTENT} only if their content says so. */
export const MODEL_EXTENSIONS: readonly string[] = [
  ...['.pkl', '.pickle', '.joblib', '.sav', '.onnx', '.pt', '.pth', '.h5', '.hdf5', '.keras', '.safetensors', '.pb'],
  ...['.bst', '.ubj', '.cbm', '.txt', '.json'],
];

/** Too common an ending to take every such file for a model. */
export const TOLD_BY_CONTENT: readonly string[] = ['.txt', '.json', '.pb'];

/** A file that is there, or that would be written. */
export interface ProposedFile {
  /** Absolute. */
  readonly path: string;
  /** Absent: the file is there and stays as it is. */
  readonly content?: string;
}

/** What a deployment of a model could be made from. Making a proposal writes nothing. */
export interface DeploymentProposal {
  readonly model: RecognizedModel;
  /** For registration, by v1's rule for models. */
  readonly modelName: string;
  /** For the endpoint: valid, and not taken on the compute target. */
  readonly name: string;
  /** Absent where the model is served without code. */
  readonly inferenceConfig?: ProposedFile;
  readonly deploymentConfig: ProposedFile;
  readonly entryScript?: ProposedFile;
  readonly condaFile?: ProposedFile;
  /** A file that the proposed environment was made from. */
  readonly environmentFrom?: string;
}
