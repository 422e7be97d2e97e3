import type { Model } from '../../contract/model.ts';
import type { CodeReference } from '../../contract/revision.ts';
import { modelDir } from './model-links.ts';

/**
 * The variables of v1's scoring container beside those of its environment's image. The user's own `AZUREML_MODEL_DIR` wins, the other two
 * are overwritten, as v1 did.
 */
export function containerVariables({
  models,
  modelMountPath,
  variables,
  code,
}: {
  readonly models: readonly Pick<Model, 'name' | 'version'>[];
  readonly modelMountPath?: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly code?: CodeReference;
}): Record<string, string> {
  return {
    ...(models.length === 0 ? {} : { AZUREML_MODEL_DIR: modelDir(models, modelMountPath) }),
    ...variables,
    ...(code === undefined ? {} : { AZUREML_ENTRY_SCRIPT: code.entryScript }),
    ...(code?.sourceDirectory === undefined ? {} : { AZUREML_SOURCE_DIRECTORY: code.sourceDirectory }),
  };
}
