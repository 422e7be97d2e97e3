import { stat } from 'node:fs/promises';
import { basename, parse, resolve } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import { isModuleName } from './paths.ts';
import { importV2, type V2Import, type V2ImportInput } from './v2.ts';

/** Reads v2's files. @throws AksmlError `import.invalid` with every problem */
export async function readV2(input: V2ImportInput): Promise<V2Import> {
  const imported = await importV2(input);
  if (imported.valid) return imported;
  const errors = imported.problems.filter(({ severity }) => severity === 'error');
  throw new AksmlError(
    'import.invalid',
    errors.length === 1 && errors[0] ? errors[0].message : `${errors.length} problems were found.`,
    {
      fault: 'input',
      subject: input.deploymentFile,
      problems: imported.problems,
    },
  );
}

export interface V1Files {
  /** Relative to the working directory; absent without a scoring script. */
  readonly inferenceConfigFile?: string;
  readonly deploymentConfigFile: string;
}

export interface ImportRequest extends V2ImportInput {
  /** Default: `inferenceconfig.json`. */
  readonly inferenceConfigFile?: string;
  /** Default: `deploymentconfig.json`. */
  readonly deploymentConfigFile?: string;
  readonly overwrite: boolean;
}

/**
 * Writes v2's files as those of v1 with the same meaning.
 * @throws AksmlError `import.invalid` | `import.container` | `import.entryScript` | `file.exists`; nothing is written then
 */
export async function importToV1(
  request: ImportRequest,
): Promise<{ readonly imported: V2Import; readonly files: V1Files }> {
  const { cwd, inferenceConfigFile = 'inferenceconfig.json', deploymentConfigFile = 'deploymentconfig.json' } = request;
  const imported = await readV2(request);
  const hindrance = hindranceToV1(imported);
  if (hindrance) {
    throw new AksmlError(hindrance.code, hindrance.message, {
      fault: 'input',
      subject: request.deploymentFile,
      problems: imported.problems,
      remedy: `Deploy it as it is: aksml model deploy -n ${imported.endpoint.name ?? 'NAME'} --v2-deployment ${request.deploymentFile}`,
    });
  }
  const { inferenceConfigJson, deploymentConfigJson } = imported;
  const contents = [
    ...(inferenceConfigJson ? [{ file: inferenceConfigFile, content: inferenceConfigJson }] : []),
    { file: deploymentConfigFile, content: deploymentConfigJson ?? {} },
  ];
  if (!request.overwrite) for (const { file } of contents) await refuseExisting(cwd, file);
  for (const { file, content } of contents) {
    await writeFileAtomic(resolve(cwd, file), `${JSON.stringify(content, null, 2)}\n`, 0o644);
  }
  return { imported, files: { deploymentConfigFile, ...(inferenceConfigJson ? { inferenceConfigFile } : {}) } };
}

function hindranceToV1({
  container,
  inference,
}: V2Import): { readonly code: string; readonly message: string } | undefined {
  if (container) {
    return {
      code: 'import.container',
      message: 'The deployment is a container of its own, which no v1 configuration file can describe.',
    };
  }
  const script = inference && basename(inference.entryScript);
  if (script === undefined || isModuleName(parse(script).name)) return undefined;
  return {
    code: 'import.entryScript',
    message: `v1's configuration files take no scoring script of the name ${script}: it would have to be a Python identifier.`,
  };
}

async function refuseExisting(cwd: string, file: string): Promise<void> {
  const exists = await stat(resolve(cwd, file)).then(
    () => true,
    () => false,
  );
  if (!exists) return;
  throw new AksmlError('file.exists', `${file} exists already.`, {
    fault: 'input',
    subject: file,
    remedy: 'Add --overwrite, or name another file with -ic or -dc.',
  });
}
