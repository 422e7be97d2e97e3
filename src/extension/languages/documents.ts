import { posix } from 'node:path';

export type ConfigurationKind = 'inferenceconfig' | 'deploymentconfig';

/** Which of v1's files this is, by its name; projects put words before and after it. `path`: `/`-separated. */
export function configurationKind(path: string): ConfigurationKind | undefined {
  const name = posix.basename(path).toLowerCase();
  if (!/\.(json|ya?ml)$/.test(name)) return undefined;
  if (/inference[-_]?config/.test(name)) return 'inferenceconfig';
  if (/deploy(ment)?[-_]?config/.test(name)) return 'deploymentconfig';
  return undefined;
}

/** VS Code's patterns for the same files. */
export const CONFIGURATION_GLOBS: Readonly<Record<ConfigurationKind, readonly string[]>> = {
  inferenceconfig: ['**/*[iI]nference[cC]onfig*.json', '**/*inference_config*.json', '**/*inference-config*.json'],
  deploymentconfig: ['**/*[dD]eployment[cC]onfig*.json', '**/*deployment_config*.json', '**/*deployment-config*.json'],
};

export const CONFIGURATION_SELECTOR = [
  { scheme: 'file', pattern: '**/*{inference,Inference}{c,C,_c,-c}onfig*.{json,yml,yaml}' },
  { scheme: 'file', pattern: '**/*{deployment,Deployment,deploy}{c,C,_c,-c}onfig*.{json,yml,yaml}' },
];
