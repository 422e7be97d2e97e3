import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { openPromise } from 'yauzl';
import { packageExtension } from '../../scripts/package.ts';
import { FORMS } from '../../src/contract/webview/forms.ts';

const MEBIBYTE = 1024 * 1024;
/** How a part is loaded on first use. */
const LATER = /Promise\.resolve\(\)\.then\(\(\)=>\w*\(?require\("[^"]+"\)\)?\)/g;

/** What VS Code, the extension or a cluster starts or loads by name: everything else in `dist/` is loaded by one of these. */
const PROGRAMS = [
  'cluster.js',
  'engine-host.js',
  'extension.cjs',
  'gateway.js',
  'hash-worker.js',
  'router.js',
  'supervisor.js',
];

/** Read as they are. */
const OTHERS = [
  '[Content_Types].xml',
  'extension.vsixmanifest',
  'extension/LICENSE.txt',
  'extension/changelog.md',
  'extension/l10n/bundle.l10n.json',
  'extension/media/activity-bar.svg',
  'extension/media/amlignore-grammar.json',
  'extension/media/amlignore-language.json',
  'extension/media/icon.png',
  ...[
    'cluster',
    'configuration',
    'deploy',
    'endpoint',
    'keys',
    'register',
    'rollout',
    'script',
    'test',
    'tree',
  ].flatMap((name) => ['dark', 'light'].map((theme) => `extension/media/pictures/${name}-${theme}.png`)),
  'extension/media/walkthrough/open.svg',
  'extension/package.json',
  'extension/package.nls.json',
  'extension/readme.md',
  'extension/runtime/python/aksml_server.py',
  'extension/runtime/python/check_server.py',
  'extension/runtime/python/check_syntax.py',
  'extension/runtime/python/compile_modules.py',
  'extension/runtime/python/debugging.py',
  'extension/runtime/python/inspect_python.py',
  'extension/runtime/python/no_code.py',
  'extension/runtime/python/replica.py',
  'extension/runtime/python/scaffolds/catboost.py',
  'extension/runtime/python/scaffolds/frozen-graph.py',
  'extension/runtime/python/scaffolds/keras.py',
  'extension/runtime/python/scaffolds/lightgbm.py',
  'extension/runtime/python/scaffolds/onnx.py',
  'extension/runtime/python/scaffolds/safetensors.py',
  'extension/runtime/python/scaffolds/scikit-learn.py',
  'extension/runtime/python/scaffolds/torch.py',
  'extension/runtime/python/scaffolds/torchscript.py',
  'extension/runtime/python/scaffolds/xgboost.py',
  'extension/runtime/python/serve.py',
];

describe('the packaged extension', () => {
  let folder: string;
  let vsix: string;
  let files: ReadonlyMap<string, string>;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aksml-vsix-test-'));
    vsix = await packageExtension(join(folder, 'aksml.vsix'));
    files = await unpacked(vsix);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test('contains exactly what runs', () => {
    const inDist = [...files.keys()].filter((path) => path.startsWith('extension/dist/'));
    const others = [...files.keys()].filter((path) => !inDist.includes(path));
    assert.deepEqual(others.sort(), OTHERS.toSorted());
    const webview = [...FORMS.map((form) => `${form}.js`), 'style.css'].map((file) => `webview/${file}`);
    const reached = reachedFrom(
      [...PROGRAMS, ...webview].map((file) => `extension/dist/${file}`),
      files,
    );
    const texts = inDist.filter((path) => /\.(txt|schema\.json)$/.test(path));
    for (const file of ['inferenceconfig', 'deploymentconfig']) {
      assert.ok(texts.includes(`extension/dist/${file}.schema.json`));
    }
    assert.ok(texts.includes('extension/dist/THIRD-PARTY-NOTICES.txt'));
    assert.deepEqual(inDist.filter((path) => !texts.includes(path)).sort(), [...reached].sort());
  });

  test('links to nothing that it does not have', () => {
    const readme = files.get('extension/readme.md') ?? '';
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)|src="([^"]+)"/g)].map(
      ([, link, image]) => link ?? image,
    );
    const renamed = (link = '') => (link === 'CHANGELOG.md' ? 'changelog.md' : link);
    assert.ok(links.length > 0);
    assert.deepEqual(
      links.filter((link) => !files.has(`extension/${renamed(link)}`)),
      [],
    );
  });

  test('is at most 6 MB, and what a window loads at once of it at most 150 KB', async (context) => {
    assert.ok((await stat(vsix)).size <= 6 * MEBIBYTE);
    const eager = new Map([...files].map(([path, content]) => [path, content.replaceAll(LATER, '')]));
    const loaded = [...reachedFrom(['extension/dist/extension.cjs'], eager)];
    const size = loaded.reduce((sum, path) => sum + Buffer.byteLength(files.get(path) ?? ''), 0);
    context.diagnostic(`${(size / 1024).toFixed(0)} KB in ${loaded.length} files`);
    assert.ok(loaded.length > 1 && size <= 150 * 1024);
  });
});

async function unpacked(vsix: string): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  const zip = await openPromise(vsix);
  for await (const entry of zip.eachEntry()) {
    files.set(entry.fileName, await text(await zip.openReadStreamPromise(entry)));
  }
  return files;
}

/** The files that are loaded by these, and by what these load. */
function reachedFrom(entries: readonly string[], files: ReadonlyMap<string, string>): ReadonlySet<string> {
  const reached = new Set(entries);
  for (const path of reached) {
    const content = files.get(path);
    assert.ok(content !== undefined, `${path} is missing`);
    for (const [, specifier = ''] of content.matchAll(/["'`](\.{1,2}\/[\w./-]+\.c?js)["'`]/g)) {
      const target = posix.join(posix.dirname(path), specifier);
      if (files.has(target)) reached.add(target);
    }
  }
  return reached;
}
