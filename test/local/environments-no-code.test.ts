import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import type { CondaSpecification } from '../../src/contract/environment.ts';
import type { PreparedEnvironment } from '../../src/engine/environments/environment.ts';
import { mlflowSpecification } from '../../src/engine/environments/mlflow.ts';
import {
  frameworkSpecification,
  type NoCodeFramework,
  noCodeDefinition,
} from '../../src/engine/environments/no-code.ts';
import { runtimeFile } from '../../src/engine/environments/runtime-files.ts';
import { prepareShared } from './shared-home.ts';

/** Each test trains or copies a real model, then calls init() and run() of the scoring script in the environment that a deployment gets. */
const run = promisify(execFile);
const mnist = join(import.meta.dirname, '../../../shared/fixtures/aml-v1/notebooks-onnx');

const CALL = `
import json, sys
from azureml_inference_server_http.api.aml_response import AMLResponse
sys.dont_write_bytecode = True
import no_code
sys.dont_write_bytecode = False
no_code.init()
answers = []
for body in json.load(open(sys.argv[1])):
    result = no_code.run(body)
    if isinstance(result, AMLResponse):
        result = {"status": result.status_code, "message": json.loads(result.get_data(as_text=True))["message"]}
    answers.append(result)
print(json.dumps(answers, allow_nan=False))
`;

interface Scene {
  readonly folder: string;
  readonly environment: PreparedEnvironment;
  train(script: string): Promise<void>;
  /** Answers to bodies; text is sent as it is, anything else as JSON. */
  score(...bodies: unknown[]): Promise<unknown[]>;
}

async function setUp(t: TestContext, framework: NoCodeFramework, specification: CondaSpecification): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-no-code-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const definition = noCodeDefinition(framework, specification);
  const environment = await prepareShared(definition);
  const env = {
    ...process.env,
    ...environment.environmentVariables,
    AZUREML_MODEL_DIR: join(folder, 'model'),
    PYTHONPATH: join(runtimeFile('no_code.py'), '..'),
  };
  await mkdir(join(folder, 'model'));
  return {
    folder: join(folder, 'model'),
    environment,
    train: async (script) => {
      await run(environment.python, ['-c', script, join(folder, 'model')], { env });
    },
    score: async (...bodies) => {
      const texts = bodies.map((body) => (typeof body === 'string' ? body : JSON.stringify(body)));
      await writeFile(join(folder, 'bodies.json'), JSON.stringify(texts));
      const { stdout } = await run(environment.python, ['-c', CALL, join(folder, 'bodies.json')], { env });
      return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as unknown[];
    },
  };
}

const TRAIN_IRIS = `
import sys, os
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
X, y = load_iris(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=1000).fit(X, y)
`;
const SETOSA = [5.1, 3.5, 1.4, 0.2];
const VIRGINICA = [7.7, 2.8, 6.7, 2.0];
const IRIS_COLUMNS = ['sepal length (cm)', 'sepal width (cm)', 'petal length (cm)', 'petal width (cm)'];

test('a scikit-learn model is served without a scoring script', async (t) => {
  const scene = await setUp(t, 'ScikitLearn', frameworkSpecification('ScikitLearn', undefined));
  await scene.train(`${TRAIN_IRIS}
import joblib
joblib.dump(model, os.path.join(sys.argv[1], "model.pkl"))`);
  const [v1, probabilities, table, bare, notJson, noMethod, wrongShape, pickled] = await scene.score(
    { data: [SETOSA, VIRGINICA], method: 'predict' },
    { data: [SETOSA], method: 'predict_proba' },
    { input_data: { columns: IRIS_COLUMNS, index: [7], data: [VIRGINICA] } },
    [SETOSA],
    'not json',
    { data: [SETOSA], method: '__reduce__' },
    { data: [[1, 2]] },
    '\u0080\u0004K\u0001.',
  );
  assert.deepEqual(v1, { predict: [0, 2] });
  assert.equal((probabilities as { predict_proba: number[][] }).predict_proba[0]?.length, 3);
  assert.deepEqual(table, [2]);
  assert.deepEqual(bare, [0]);
  for (const refused of [notJson, noMethod, wrongShape, pickled])
    assert.equal((refused as { status: number }).status, 400);
});

test('an ONNX model is served without a scoring script, in the form of its v1 server too', async (t) => {
  if (!existsSync(mnist)) return t.skip('the fixtures are not on this machine');
  const scene = await setUp(t, 'Onnx', frameworkSpecification('Onnx', '1.3'));
  await copyFile(join(mnist, 'mnist-model.onnx'), join(scene.folder, 'mnist-model.onnx'));
  const request = await readFile(join(mnist, 'onnx-mnist-predict-input.json'), 'utf8');
  const image = [Array.from({ length: 28 }, () => Array.from({ length: 28 }, () => 0))];
  const [tensors, plain, wrong] = await scene.score(request, { data: [image] }, { data: [['x']] });
  const [output] = Object.values((tensors as { outputs: Record<string, { dims: string[]; rawData: string }> }).outputs);
  assert.deepEqual(output?.dims, ['1', '10']);
  const scores = new Float32Array(new Uint8Array(Buffer.from(output?.rawData ?? '', 'base64')).buffer);
  assert.equal(scores.length, 10);
  assert.equal((plain as number[][])[0]?.length, 10);
  assert.equal((wrong as { status: number }).status, 400);
});

test('an MLflow model is served with the environment that it names', async (t) => {
  const files: Record<string, string> = {
    'requirements.txt': 'mlflow-skinny\nscikit-learn\nskops\n',
  };
  const specification = await mlflowSpecification(async (name) => files[name]);
  const scene = await setUp(t, 'MLflow', specification);
  await scene.train(`${TRAIN_IRIS}
import mlflow.sklearn, os
from mlflow.models import infer_signature
mlflow.sklearn.save_model(model, os.path.join(sys.argv[1], "iris"), signature=infer_signature(X, model.predict(X)), pip_requirements=[])`);
  const [azure, named, own, records, wrong] = await scene.score(
    { input_data: { columns: IRIS_COLUMNS, index: [0, 1], data: [SETOSA, VIRGINICA] } },
    { input_data: [VIRGINICA] },
    { dataframe_split: { columns: IRIS_COLUMNS, data: [SETOSA] } },
    { dataframe_records: [Object.fromEntries(IRIS_COLUMNS.map((name, index) => [name, VIRGINICA[index]]))] },
    { input_data: { columns: ['other'], data: [[1]] } },
  );
  assert.deepEqual(azure, [0, 2]);
  assert.deepEqual(named, [2]);
  assert.deepEqual(own, { predictions: [0] });
  assert.deepEqual(records, { predictions: [2] });
  assert.equal((wrong as { status: number }).status, 400);
});

test("what JSON writes takes the types of an MLflow model's signature", async (t) => {
  const specification = await mlflowSpecification(async (name) =>
    name === 'requirements.txt' ? 'mlflow-skinny\nscikit-learn\nskops\n' : undefined,
  );
  const scene = await setUp(t, 'MLflow', specification);
  await scene.train(`
import os, sys, mlflow.pyfunc
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
class Types(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [type(value).__name__ for value in model_input.iloc[0]]
signature = ModelSignature(inputs=Schema([ColSpec(kind, kind) for kind in ("string", "double", "float", "integer", "long", "datetime")]))
mlflow.pyfunc.save_model(os.path.join(sys.argv[1], "types"), python_model=Types(), signature=signature, pip_requirements=[])`);
  const columns = ['string', 'double', 'float', 'integer', 'long', 'datetime'];
  const [types, lossy] = await scene.score(
    { input_data: { columns, data: [[2, 1, 1.5, 3, 4, '2020-01-01']] } },
    { input_data: { columns, data: [['2', 1, 1.5, 3.5, 4, '2020-01-01']] } },
  );
  assert.deepEqual(types, ['int', 'float64', 'float32', 'int32', 'int64', 'Timestamp']);
  assert.equal((lossy as { status: number }).status, 400);
});

test('a scikit-learn MLflow model is served where mlflow is not installed', async (t) => {
  const scene = await setUp(t, 'MLflow', { channels: [], dependencies: [], pip: ['scikit-learn', 'pandas', 'pyyaml'] });
  await scene.train(`${TRAIN_IRIS}
import json, pickle
root = sys.argv[1]
pickle.dump(model, open(os.path.join(root, "model.pkl"), "wb"))
inputs = json.dumps([{"name": name, "type": "double"} for name in X.columns])
json.dump({"flavors": {"sklearn": {"pickled_model": "model.pkl"}}, "signature": {"inputs": inputs}}, open(os.path.join(root, "MLmodel"), "w"))`);
  assert.deepEqual(await scene.score({ input_data: [SETOSA, VIRGINICA] }), [[0, 2]]);
});
