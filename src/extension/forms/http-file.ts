import type { Endpoint } from '../../contract/endpoint.ts';

export interface HttpWish {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly versionName?: string | undefined;
}

/** The variable that stands for the key or token: the file may be shared, a key may not. */
const CREDENTIAL = 'AKSML_KEY';

/** A scoring request in the form that REST clients for editors read, the credential from the environment. */
export function httpFile({ metadata, spec, status }: Endpoint, { body, headers, versionName }: HttpWish): string {
  const lines = [
    `### ${metadata.name}${versionName === undefined ? '' : `, version ${versionName}`}`,
    `POST ${status?.scoringUri ?? ''}`,
    ...Object.entries(headers)
      .filter(([name]) => name.toLowerCase() !== 'authorization')
      .map(([name, value]) => `${name}: ${value}`),
    ...(versionName === undefined ? [] : [`azureml-model-deployment: ${versionName}`]),
    ...(spec.auth === 'none' ? [] : [`Authorization: Bearer {{$processEnv ${CREDENTIAL}}}`]),
    '',
    body,
  ];
  return `${lines.join('\n')}\n`;
}
