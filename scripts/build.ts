import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { build, type Metafile, transform } from 'esbuild';
import packageJson from '../package.json' with { type: 'json' };
import { FORMS } from '../src/contract/webview/forms.ts';
import { editorSchema } from '../src/engine/config/editor-schema.ts';
import { type BundledPackage, bundledPackages, noticesOf } from './notices.ts';

const root = join(import.meta.dirname, '..');

/** Of every bundle. Code that a package took over from elsewhere is credited beside it. */
const SHIPPED = {
  absWorkingDir: root,
  bundle: true,
  minify: true,
  sourcemap: false,
  legalComments: 'linked',
  metafile: true,
} as const;
/** For packages that are CommonJS, in bundles that are not. */
const REQUIRE_IN_MODULE =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";

/**
 * Bundles everything that is shipped into `dist/`, with the licences of what others wrote.
 * Chunks of earlier builds stay, because a running process may still load them; the build script itself begins with an empty folder.
 */
export async function buildAll(folder = join(root, 'dist')): Promise<readonly BundledPackage[]> {
  const command = await buildCommand(folder);
  const programs = await buildPrograms(folder);
  const forms = await buildForms(join(folder, 'webview'));
  const cluster = await buildCluster(folder);
  const extension = await buildExtension(folder);
  const packages = await bundledPackages([command, programs, forms, cluster, ...extension], root);
  await writeFile(join(folder, 'THIRD-PARTY-NOTICES.txt'), noticesOf(packages));
  return packages;
}

/**
 * The command line: one script, of which only those parts run that a command needs, and what starts it. Node takes several times as long
 * to find and load a hundred files, and ES modules all the more.
 */
async function buildCommand(folder: string): Promise<Metafile> {
  const { metafile } = await build({
    ...SHIPPED,
    entryPoints: { cli: 'src/cli/main.ts', launch: 'src/launch/main.ts' },
    outdir: folder,
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    platform: 'node',
    target: 'node22',
    // It is no module to Node, which then knows no `import()` in it.
    supported: { 'dynamic-import': false },
    define: {
      AKSML_VERSION: JSON.stringify(packageJson.version),
      'import.meta.url': '__moduleUrl',
      'import.meta.dirname': '__dirname',
    },
    banner: { js: 'const __moduleUrl = require("node:url").pathToFileURL(__filename).href;' },
  });
  return metafile;
}

/** What goes on beside a command or a window. Shared code is split off. */
async function buildPrograms(folder: string): Promise<Metafile> {
  const { metafile } = await build({
    ...SHIPPED,
    entryPoints: {
      'engine-host': 'src/engine-host/main.ts',
      supervisor: 'src/local/supervisor-main.ts',
      gateway: 'src/local/gateway-main.ts',
      'hash-worker': 'src/engine/registry/hash-worker.ts',
    },
    outdir: folder,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    define: { AKSML_VERSION: JSON.stringify(packageJson.version) },
    banner: { js: REQUIRE_IN_MODULE },
  });
  return metafile;
}

/** What runs in a cluster: a file each, which their image has beside Node. */
async function buildCluster(folder: string): Promise<Metafile> {
  const { metafile } = await build({
    ...SHIPPED,
    entryPoints: { cluster: 'src/cluster/main.ts', router: 'src/cluster/router-main.ts' },
    outdir: folder,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // Logs people in, which a pod is not.
    external: ['@kubernetes/client-node/*'],
    banner: { js: REQUIRE_IN_MODULE },
  });
  return metafile;
}

/**
 * The extension as VS Code's extension host loads it: `extension.cjs`, and beside it in `extension/` what a window needs only later, each
 * part read when it is first used. Names end in `.cjs`, because the package is of type `module`, and extension hosts load such a file
 * without the hooks that an ES module's `import 'vscode'` needs. Only ES modules can be split, so each part is made CommonJS afterwards.
 */
async function buildExtension(folder: string): Promise<readonly Metafile[]> {
  const { metafile, outputFiles } = await build({
    ...SHIPPED,
    entryPoints: { extension: 'src/extension/extension.ts' },
    write: false,
    outdir: folder,
    outExtension: { '.js': '.cjs' },
    chunkNames: 'extension/[name]-[hash]',
    splitting: true,
    format: 'esm',
    // Of two forms of a package, the one whose parts esbuild can follow.
    mainFields: ['module', 'main'],
    platform: 'node',
    target: 'node22',
    external: ['vscode'],
    define: { AKSML_VERSION: JSON.stringify(packageJson.version) },
  });
  for (const { path, text } of outputFiles) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, path.endsWith('.cjs') ? await asCommonJs(text) : text);
  }
  await writeSchemas(folder);
  return [metafile];
}

async function asCommonJs(code: string): Promise<string> {
  const options = { format: 'cjs', platform: 'node', target: 'node22', minify: true } as const;
  // `import()` of a CommonJS file would be looked for by the loader of ES modules.
  return (await transform(code, { ...options, supported: { 'dynamic-import': false } })).code;
}

/** For VS Code's JSON language: what the engine's rules say of each key. Verdicts come from the engine itself, as diagnostics. */
async function writeSchemas(folder: string): Promise<void> {
  for (const file of ['inferenceconfig', 'deploymentconfig'] as const) {
    await writeFile(join(folder, `${file}.schema.json`), JSON.stringify(editorSchema(file)));
  }
}

/** One script a form; what several use is loaded once. */
async function buildForms(folder: string): Promise<Metafile> {
  const { metafile } = await build({
    ...SHIPPED,
    entryPoints: {
      ...Object.fromEntries(FORMS.map((form) => [form, `webview-ui/${form}/main.tsx`])),
      style: 'webview-ui/style.css',
    },
    outdir: folder,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    target: 'chrome130',
    tsconfig: join(root, 'webview-ui', 'tsconfig.json'),
  });
  return metafile;
}

if (import.meta.main) {
  await rm(join(root, 'dist'), { recursive: true, force: true });
  await buildAll();
}
