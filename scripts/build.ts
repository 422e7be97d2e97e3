import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuildOptions, build, type Metafile } from 'esbuild';
import packageJson from '../package.json' with { type: 'json' };
import { FORMS } from '../src/contract/webview/forms.ts';
import { configurationSchema } from '../src/engine/config/schema.ts';
import { type BundledPackage, bundledPackages, noticesOf } from './notices.ts';

const root = join(import.meta.dirname, '..');

/**
 * Bundles everything that is shipped into `dist/`, with the licences of what others wrote. Shared code is split off, so that each command
 * loads only what it needs.
 * Chunks of earlier builds stay, because a running process may still load them; the build script itself begins with an empty folder.
 */
export async function buildAll(folder = join(root, 'dist')): Promise<readonly BundledPackage[]> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: {
      cli: 'src/cli/main.ts',
      'engine-host': 'src/engine-host/main.ts',
      supervisor: 'src/local/supervisor-main.ts',
      gateway: 'src/local/gateway-main.ts',
      'hash-worker': 'src/engine/registry/hash-worker.ts',
    },
    outdir: folder,
    metafile: true,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    minify: true,
    sourcemap: false,
    // Code that a package took over from elsewhere is credited beside the bundle.
    legalComments: 'linked',
    define: { AKSML_VERSION: JSON.stringify(packageJson.version) },
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
  const forms = await buildForms(join(folder, 'webview'));
  const cluster = await buildCluster(folder);
  const extension = await buildExtension(folder);
  const packages = await bundledPackages([metafile, forms, cluster, ...extension], root);
  await writeFile(join(folder, 'THIRD-PARTY-NOTICES.txt'), noticesOf(packages));
  return packages;
}

/** What runs in a cluster: one file, which its image has beside Node. */
async function buildCluster(folder: string): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { cluster: 'src/cluster/main.ts' },
    outdir: folder,
    metafile: true,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // Logs people in, which a pod is not.
    external: ['@kubernetes/client-node/*'],
    minify: true,
    sourcemap: false,
    legalComments: 'linked',
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
  return metafile;
}

/**
 * The extension as VS Code's extension host loads it: one CommonJS file. Its name ends in `.cjs`, because the package is of type `module`, and
 * extension hosts load such a file without the hooks that an ES module's `import 'vscode'` needs.
 */
async function buildExtension(folder: string): Promise<readonly Metafile[]> {
  const options: BuildOptions & { readonly metafile: true } = {
    absWorkingDir: root,
    metafile: true,
    outdir: folder,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    format: 'cjs',
    // Of two forms of a package, the one whose parts esbuild can follow.
    mainFields: ['module', 'main'],
    platform: 'node',
    target: 'node22',
    minify: true,
    sourcemap: false,
    legalComments: 'linked',
  };
  const extension = await build({
    ...options,
    entryPoints: { extension: 'src/extension/extension.ts' },
    // The other form of jsonc-parser loads its parts by names that no bundler sees.
    mainFields: ['module', 'main'],
    alias: { [RPC]: `./${RPC_FILE}` },
    external: ['vscode', `./${RPC_FILE}`],
    define: { AKSML_VERSION: JSON.stringify(packageJson.version) },
  });
  const rpc = await build({ ...options, entryPoints: { [RPC_FILE.replace('.cjs', '')]: RPC } });
  await writeSchemas(folder);
  return [extension.metafile, rpc.metafile];
}

/** The larger part of what the extension needs to talk with its engine, read only when it does. */
const RPC = 'vscode-jsonrpc/node';
const RPC_FILE = 'rpc.cjs';

/** For VS Code's JSON language: what the engine's rules say of each key. Verdicts come from the engine itself, as diagnostics. */
async function writeSchemas(folder: string): Promise<void> {
  for (const file of ['inferenceconfig', 'deploymentconfig'] as const) {
    const schema = JSON.stringify(configurationSchema(file), (key, value: unknown) =>
      VERDICTS.has(key) ? undefined : value,
    );
    await writeFile(join(folder, `${file}.schema.json`), schema);
  }
}

const VERDICTS: ReadonlySet<string> = new Set([
  'required',
  'additionalProperties',
  'minimum',
  'maximum',
  'exclusiveMinimum',
]);

/** One script a form; what several use is loaded once. */
async function buildForms(folder: string): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: {
      ...Object.fromEntries(FORMS.map((form) => [form, `webview-ui/${form}/main.tsx`])),
      style: 'webview-ui/style.css',
    },
    outdir: folder,
    metafile: true,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    target: 'chrome130',
    tsconfig: join(root, 'webview-ui', 'tsconfig.json'),
    minify: true,
    sourcemap: false,
    legalComments: 'linked',
  });
  return metafile;
}

if (import.meta.main) {
  await rm(join(root, 'dist'), { recursive: true, force: true });
  await buildAll();
}
