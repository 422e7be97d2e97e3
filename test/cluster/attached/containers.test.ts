import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { debianBaseImage } from '../../../scripts/cluster/base-image.ts';
import type { Cluster } from '../../../scripts/cluster/cluster.ts';
import type { Outcome } from '../../local/world.ts';
import { pushStandIn } from '../stand-in.ts';
import { type ClusterWorld, testCluster } from '../world.ts';
import { openAttachWorld } from './attach-world.ts';

const FIXTURES = join(import.meta.dirname, '..', '..', '..', '..', 'shared', 'fixtures', 'aml-v2');

interface Published {
  readonly file: string;
  /** Of the stand-in for its image. */
  readonly server: string;
  readonly variables?: Readonly<Record<string, string>>;
  /** Beside the file, where it says that its models are. */
  readonly models: readonly string[];
  readonly answer: unknown;
}

const PUBLISHED: Readonly<Record<string, Published>> = {
  'a Triton server with a model at a mount path': {
    file: 'online-custom-container-triton/single-model/triton-cc-deployment.yml',
    server: 'triton',
    models: ['models/model_1/1/model.onnx', 'models/model_1/config.pbtxt'],
    answer: { repository: ['model_1/1/model.onnx', 'model_1/config.pbtxt'] },
  },
  'a TorchServe server': {
    file: 'online-custom-container-torchserve/densenet/torchserve-deployment.yml',
    server: 'torchserve',
    models: ['torchserve/densenet161.mar'],
    answer: { store: ['densenet161.mar'], models: 'densenet161=densenet161.mar' },
  },
  'a TensorFlow Serving server': {
    file: 'online-custom-container-tfserving/half-plus-two/tfserving-deployment.yml',
    server: 'tfserving',
    models: ['half_plus_two/00000123/saved_model.pb'],
    answer: { versions: ['00000123/saved_model.pb'] },
  },
  'an R server that runs its own script': {
    file: 'online-custom-container-r/multimodel-plumber/r-deployment.yml',
    server: 'plumber',
    models: ['models/a.rds', 'models/b.rds', 'scripts/plumber.R'],
    answer: { script: 'plumber.R', there: true, models: ['a.rds', 'b.rds'] },
  },
  'an MLflow server': {
    file: 'online-custom-container-mlflow/multideployment-scikit/mlflow-deployment.yml',
    server: 'mlflow',
    variables: { MLFLOW_MODEL_FOLDER: 'model' },
    models: ['sklearn/model/MLmodel'],
    answer: { model: ['MLmodel'] },
  },
};

const cluster = await testCluster();
const base = await debianBaseImage();
const NAME = 'servers of the user on a cluster';
if ('skip' in cluster) test(NAME, { skip: cluster.skip }, () => {});
else if ('skip' in base) test(NAME, { skip: base.skip }, () => {});
else if (!existsSync(FIXTURES)) test(NAME, { skip: 'the published v2 projects are not on this machine' }, () => {});
else if (cluster.baseImage === undefined) test(NAME, { skip: 'the cluster has no base image' }, () => {});
else servers(cluster, cluster.baseImage, base.layout);

function servers(cluster: Cluster, baseImage: string, controllerBase: string): void {
  describe(NAME, () => {
    const cleanups: (() => Promise<void>)[] = [];
    let world: ClusterWorld;

    before(async () => {
      const t = { after: (work: () => Promise<void>) => void cleanups.unshift(work) };
      world = await openAttachWorld(t, cluster);
      await world.write('.azureml/config.json', JSON.stringify({ workspace_name: 'team' }));
      await well('workspace', 'create', '-w', 'team', '--registry', world.registry);
      const attach = ['computetarget', 'attach', 'kubernetes', '-n', 'prod', '--namespace', world.namespace];
      await well(...attach, '--cluster-purpose', 'DevTest', '--controller-base', controllerBase, '--yes');
    });
    after(async () => {
      for (const cleanup of cleanups) await cleanup();
    });

    const well = async (...args: readonly string[]): Promise<Outcome> => {
      const outcome = await world.aksml(...args);
      assert.equal(outcome.code, 0, `${args.join(' ')}\n${outcome.stderr}`);
      return outcome;
    };

    for (const [what, { file, server, variables, models, answer }] of Object.entries(PUBLISHED)) {
      test(`${what} is deployed from its published file, and scores`, async () => {
        const image = await pushStandIn(cluster, baseImage, `${world.namespace}/${server}`, server, variables);
        const published = await readFile(join(FIXTURES, file), 'utf8');
        const text = published
          .replace(/^(\s+image:).*$/m, `$1 ${image}`)
          .replaceAll('{{MODEL_VERSION}}', '1')
          .replaceAll('{{model_name}}', 'sklearn')
          .replaceAll(/\{\{\w+\}\}/g, server);
        await world.write(join(server, 'deployment.yml'), text);
        for (const path of models) await world.write(join(server, path), dirname(path));
        await well('model', 'deploy', '-ct', 'prod', '-n', server, '--v2-deployment', `${server}/deployment.yml`);
        const scored = await well('service', 'run', '-n', server, '-d', '{}', '-o', 'json');
        assert.deepEqual(scored.json(), answer);
      });
    }
  });
}
