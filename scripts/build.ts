import { rm } from 'node:fs/promises';
import { build } from 'esbuild';
import packageJson from '../package.json' with { type: 'json' };

/**
 * Bundles everything that is shipped into `dist/`. Shared code is split off, so that each command loads only what it needs.
 * Chunks of earlier builds stay, because a running process may still load them; the build script itself begins with an empty folder.
 */
export async function buildAll(): Promise<void> {
  await build({
    entryPoints: {
      cli: 'src/cli/main.ts',
      supervisor: 'src/local/supervisor-main.ts',
      gateway: 'src/local/gateway-main.ts',
    },
    outdir: 'dist',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    minify: true,
    sourcemap: false,
    legalComments: 'linked',
    define: { AKSML_VERSION: JSON.stringify(packageJson.version) },
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    loader: { '.py': 'text', '.in': 'text' },
  });
}

if (import.meta.main) {
  await rm('dist', { recursive: true, force: true });
  await buildAll();
}
