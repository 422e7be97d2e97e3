import type { CustomContainer } from './endpoint.ts';

/**
 * What a replica of the embedded target runs from: `bundle.json` in `home.bundles/<hex of the image digest>/`, written last,
 * so that a bundle without it is garbage. The image digest covers everything in it and what it points to.
 */
export interface Bundle {
  /** {@link VersionSpec.image} */
  readonly image: string;
  /** Absolute; `AML_APP_ROOT` and the working directory. */
  readonly appRoot: string;
  /** Absolute path of the interpreter; absent for a custom container. */
  readonly python?: string;
  /** `AZUREML_MODEL_DIR`, `AZUREML_ENTRY_SCRIPT`, `AZUREML_SOURCE_DIRECTORY` and the user's; secrets are not here. */
  readonly environmentVariables: Readonly<Record<string, string>>;
  /** Scoring workers: `maxConcurrentRequestsPerContainer`. */
  readonly workers: number;
  readonly scoringTimeoutMs: number;
  readonly container?: CustomContainer;
}
