import type { EnvironmentDefinition } from '../../contract/environment.ts';
import type { Origin, Report } from './report.ts';

/** v1 built images without a scoring server and said so in a log line only. */
export function warnAboutServer(definition: EnvironmentDefinition, origin: Origin, report: Report): void {
  const { condaDependencies, userManagedDependencies } = definition.python;
  if (!condaDependencies || userManagedDependencies) return;
  const { name = '', channels, dependencies, pip } = condaDependencies;
  const everything = [name, ...channels, ...dependencies, ...pip].join('\n');
  if (/azureml-defaults|azureml-inference-server-http/.test(everything)) return;
  report.warning(
    'environment.noAzuremlDefaults',
    origin,
    'Neither azureml-defaults nor azureml-inference-server-http is among the packages; aksml adds the scoring server itself.',
    'Add "azureml-defaults" or "azureml-inference-server-http" to the pip packages.',
  );
}
