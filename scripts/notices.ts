import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';

/** A package whose code is part of what is shipped. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** SPDX expression. */
  readonly licence: string;
  /** Where its source code is to be had: some licences, such as the MPL, want that said. */
  readonly source: string;
  readonly licenceText: string;
}

/** The npm packages in the outputs of builds, by name and version. @throws Error when one has no licence text */
export async function bundledPackages(metafiles: readonly Metafile[], root: string): Promise<BundledPackage[]> {
  const inputs = metafiles
    .flatMap(({ outputs }) => Object.values(outputs))
    .flatMap((output) => Object.keys(output.inputs));
  const folders = new Set(inputs.flatMap((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(input) ?? []));
  const packages = await Promise.all([...folders].map((folder) => readPackage(join(root, folder))));
  return packages.sort((a, b) => (identity(a) < identity(b) ? -1 : 1));
}

/** The same packages give the same bytes. */
export function noticesOf(packages: readonly BundledPackage[]): string {
  const line = '='.repeat(80);
  const entries = packages.map((bundled) =>
    [
      line,
      identity(bundled),
      `Licence: ${bundled.licence}`,
      `Source: ${bundled.source}`,
      line,
      '',
      bundled.licenceText,
      '',
    ].join('\n'),
  );
  return ['aksml contains the following software of others, each under its own licence.', '', ...entries].join('\n');
}

function identity({ name, version }: BundledPackage): string {
  return `${name} ${version}`;
}

async function readPackage(folder: string): Promise<BundledPackage> {
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
    readonly name: string;
    readonly version: string;
    readonly license?: string;
    readonly author?: string | { readonly name: string };
    readonly repository?: string | { readonly url: string };
  };
  const { name, version, license, author, repository } = manifest;
  const files = (await readdir(folder)).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file)).sort();
  const holder = typeof author === 'string' ? author : author?.name;
  const texts =
    files.length === 0 && license === 'MIT' && holder !== undefined
      ? [await mitOf(holder)]
      : await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  if (license === undefined || texts.length === 0) {
    throw new Error(`${name} ${version} is bundled, but says no licence: it may not be shipped.`);
  }
  return {
    name,
    version,
    licence: license,
    source: sourceOf(typeof repository === 'string' ? repository : repository?.url) ?? `npm package ${name}@${version}`,
    licenceText: texts.map((text) => text.replaceAll('\r\n', '\n').trim()).join('\n\n'),
  };
}

/** Some packages say that they are under the MIT licence and leave its text out: its terms are those of this project's own. */
async function mitOf(holder: string): Promise<string> {
  const own = await readFile(join(import.meta.dirname, '..', 'LICENSE'), 'utf8');
  return own.replace(/^Copyright .*$/m, `Copyright (c) ${holder}`);
}

function sourceOf(repository: string | undefined): string | undefined {
  if (repository === undefined) return undefined;
  const short = /^(?:github:)?([\w.-]+\/[\w.-]+)$/.exec(repository);
  if (short) return `https://github.com/${short[1]}`;
  return repository
    .replace(/^git\+/, '')
    .replace(/^(?:git|ssh):\/\/(?:git@)?|^git@([^:]+):/, (_, host) => `https://${host === undefined ? '' : `${host}/`}`)
    .replace(/\.git$/, '');
}
