import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { recognizeModel } from '../../src/engine/proposals/recognize.ts';
import { pythonFor } from '../../src/engine/proposals/scaffold.ts';

const latin = (text: string) => Buffer.from(text, 'latin1');
const SKLEARN = '\x80\x04\x95\x00\x01\x00\x00\x00\x00\x00\x00\x8c\x1bsklearn.linear_model._ridge\x94\x8c\x05Ridge\x94';
const VERSION = '\x8c\x10_sklearn_version\x94\x8c\x051.5.2\x94ub.';

/** name → content → what it is taken for: format, framework, version. */
const FILES: Readonly<Record<string, readonly [content: Buffer, expected: string | undefined]>> = {
  'ridge.pkl': [latin(SKLEARN + VERSION), 'scikit-learn ScikitLearn 1.5.2'],
  'large.pkl': [
    Buffer.concat([latin(SKLEARN), Buffer.alloc(6 << 20), latin(VERSION)]),
    'scikit-learn ScikitLearn 1.5.2',
  ],
  'compressed.joblib': [deflateSync(latin(SKLEARN + VERSION)), 'scikit-learn ScikitLearn 1.5.2'],
  'protocol-0.sav': [latin('ccopy_reg\n_reconstructor\np0\n(csklearn.svm\nSVC\n'), 'scikit-learn ScikitLearn'],
  'boosted.pkl': [latin('\x80\x04\x8c\x10lightgbm.sklearn\x94'), 'pickle Custom (lightgbm)'],
  'words.pkl': [latin('\x80\x04\x95\x8c\x0bmysklearn.x\x94.'), 'pickle Custom'],
  'page.pkl': [latin('<html>sklearn.</html>'), undefined],
  'net.onnx': [latin('\x08\x07\x12\x08skl2onnx'), 'onnx Onnx'],
  'text.onnx': [latin('version https://git-lfs.github.com/spec/v1'), undefined],
  'script.pt': [latin('PK\x03\x04…net/code/__torch__.py'), 'torchscript PyTorch'],
  'weights.pth': [latin('PK\x03\x04…net/data.pkl'), 'torch PyTorch'],
  'net.h5': [latin('\x89HDF\r\n\x1a\n…"keras_version": "2.15.0"'), 'keras TfKeras 2.15.0'],
  'net.keras': [latin('PK\x03\x04…config.json'), 'keras TfKeras'],
  'weights.safetensors': [latin('\x08\x00\x00\x00\x00\x00\x00\x00{"w":{}}'), 'safetensors Custom'],
  'boosted.json': [latin('{"learner":{"gradient_booster":{}},"version":[2,1,4]}'), 'xgboost Custom 2.1.4'],
  'package.json': [latin('{"version":"1.0.0","name":"gradient"}'), undefined],
  'boosted.txt': [latin('tree\nversion=v4\nnum_class=1\n'), 'lightgbm Custom'],
  'notes.txt': [latin('tree of life\n'), undefined],
  'cat.cbm': [latin('CBM1\x00'), 'catboost Custom'],
  'graph.pb': [latin('\n\x1f\n\x05input\x12\x0bPlaceholder'), 'frozen-graph TensorFlow'],
  'score.py': [latin('import sklearn.svm'), undefined],
  'mlflow/MLmodel': [latin('flavors:\n  python_function: {}\n  sklearn: {}\n'), 'mlflow Custom'],
  'saved/saved_model.pb': [latin('\x08\x01'), 'saved-model TensorFlow'],
  'plain/readme.md': [latin('nothing'), undefined],
};

test('a model is recognized by its content, whatever its name promises', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-recognize-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const [name, [content, expected]] of Object.entries(FILES)) {
    const [inFolder] = name.includes('/') ? name.split('/') : [];
    if (inFolder !== undefined) await mkdir(join(folder, inFolder));
    await writeFile(join(folder, name), content);
    const found = await recognizeModel(join(folder, inFolder ?? name));
    const told = found && [found.format, found.framework, found.frameworkVersion, libraries(found.libraries)];
    assert.equal(told?.filter(Boolean).join(' '), expected, name);
  }
});

function libraries(names: readonly string[] | undefined): string | undefined {
  return names === undefined ? undefined : `(${names.join(', ')})`;
}

test('an old scikit-learn gets a Python that it was published for', () => {
  const pythons = ['0.19.1', '0.22.2', '0.24.2', '1.0.2', '1.2.2', '1.3.0', '1.5.2'].map((frameworkVersion) =>
    pythonFor(
      { path: '', isFolder: false, format: 'scikit-learn', framework: 'ScikitLearn', frameworkVersion },
      '3.13',
    ),
  );
  assert.deepEqual(pythons, ['3.7', '3.8', '3.9', '3.10', '3.11', '3.12', '3.13']);
});
