import type { EnvironmentDefinition } from '../../contract/environment.ts';

/** Of a container that brings everything itself. */
export const NO_ENVIRONMENT: EnvironmentDefinition = {
  environmentVariables: {},
  secretEnvironmentVariables: [],
  python: { userManagedDependencies: true },
  docker: { platform: { os: 'Linux', architecture: 'amd64' }, arguments: [], enableGpu: false },
};
