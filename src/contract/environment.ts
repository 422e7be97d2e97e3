/** The images that v1's SDK (azureml-core 1.61) took where none was named. */
export const DEFAULT_CPU_IMAGE = 'mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1';
export const DEFAULT_GPU_IMAGE = 'mcr.microsoft.com/azureml/openmpi4.1.0-cuda11.8-cudnn8-ubuntu22.04';

/** An environment as v1 wrote it in `inferenceconfig.json` or `azureml_environment.json`, after reading: camel-case keys, defaults of the SDK filled in. */
export interface EnvironmentDefinition {
  readonly name?: string;
  readonly version?: string;
  readonly environmentVariables: Readonly<Record<string, string>>;
  /** Names of variables whose values are kept outside every file and image. */
  readonly secretEnvironmentVariables: readonly string[];
  readonly python: {
    /** The image (or, on `local`, the interpreter) brings everything; nothing is installed. */
    readonly userManagedDependencies: boolean;
    readonly interpreterPath?: string;
    /** Absent: v1's default conda specification. */
    readonly condaDependencies?: CondaSpecification;
  };
  readonly docker: {
    readonly baseImage?: string;
    /** The text, not a path. */
    readonly baseDockerfile?: string;
    /** Docker steps appended to the base (legacy `extraDockerfileSteps`), the text. */
    readonly extraSteps?: string;
    readonly buildContext?: {
      readonly locationType: string;
      readonly location: string;
      readonly dockerfilePath: string;
    };
    readonly baseImageRegistry?: { readonly address?: string; readonly username?: string; readonly password?: string };
    readonly platform: { readonly os: string; readonly architecture: string };
    readonly shmSize?: string;
    readonly arguments: readonly string[];
    readonly enableGpu: boolean;
    readonly cudaVersion?: string;
  };
  readonly inferencingStackVersion?: string;
}

/** A conda environment file's content. */
export interface CondaSpecification {
  readonly name?: string;
  readonly channels: readonly string[];
  /** Conda match specifications, in order. */
  readonly dependencies: readonly string[];
  /** The `pip:` item's lines: requirements and options such as `--extra-index-url URL`. */
  readonly pip: readonly string[];
  readonly prefix?: string;
  readonly variables?: Readonly<Record<string, string>>;
}

/** A registered environment, as `aksml environment show` prints it. */
export interface RegisteredEnvironment {
  readonly name: string;
  /** From "1", assigned on registration. */
  readonly version: string;
  readonly definition: EnvironmentDefinition;
  /** ISO 8601, UTC. */
  readonly createdTime: string;
}
