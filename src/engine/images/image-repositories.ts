import { encodeName } from '../registry/reference.ts';

/** Environments as images, with the layers that they are made of. */
export const ENVIRONMENT_IMAGES = 'environment-images';

/** Layers that hold several models each. */
export const MODEL_BUCKETS = 'model-buckets';

/** The deployment images of an endpoint. */
export function deploymentImages(endpoint: string): string {
  return `images/${encodeName(endpoint)}`;
}
