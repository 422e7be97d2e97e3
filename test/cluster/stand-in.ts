import { buffer } from 'node:stream/consumers';
import type { Cluster } from '../../scripts/cluster/cluster.ts';
import { composeImage } from '../../src/engine/images/compose.ts';
import type { ImageConfig } from '../../src/engine/images/image-config.ts';
import { storeSmallLayer } from '../../src/engine/images/layer.ts';
import { copyBlob } from '../../src/engine/registry/copy.ts';
import { DistributionRegistry } from '../../src/engine/registry/distribution.ts';
import { parseImageReference } from '../../src/engine/registry/image-reference.ts';
import { MEDIA_TYPE } from '../../src/engine/registry/registry.ts';

/** Speaks the routes of a published model server, and is ready only when it finds its models where that server looks for them. */
const SERVER = `
import http.server, json, os, sys

def below(folder):
    return sorted(
        os.path.relpath(os.path.join(parent, name), folder)
        for parent, _, names in os.walk(folder, followlinks=True) for name in names
    )

def triton():
    return 8000, ["/v2/health/live", "/v2/health/ready"], "/", {"repository": below("/models")}

def torchserve():
    store = os.path.join(os.environ["AZUREML_MODEL_DIR"], "torchserve")
    return 8080, ["/ping"], "/predictions/densenet161", {"store": below(store), "models": os.environ["TORCHSERVE_MODELS"]}

def tfserving():
    model = os.environ["MODEL_NAME"]
    versions = below(os.path.join(os.environ["MODEL_BASE_PATH"], model))
    return 8501, ["/v1/models/" + model], "/v1/models/" + model + ":predict", {"versions": versions}

def plumber():
    script = os.path.join(os.environ["AML_APP_ROOT"], os.environ["AZUREML_ENTRY_SCRIPT"])
    models = below(os.path.join(os.environ["AZUREML_MODEL_DIR"], "models"))
    return 8000, ["/live", "/ready"], "/score", {"script": os.path.basename(script), "there": os.path.isfile(script), "models": models}

def mlflow():
    return 5001, ["/"], "/score", {"model": below(os.path.join(os.environ["AZUREML_MODEL_DIR"], os.environ["MLFLOW_MODEL_FOLDER"]))}

port, probes, scoring, found = globals()[sys.argv[1]]()

class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, known):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        body = json.dumps(found).encode()
        self.send_response(200 if known else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(self.path in probes)

    def do_POST(self):
        self.answer(self.path == scoring)

http.server.ThreadingHTTPServer(("", port), Handler).serve_forever()
`;

/** Pushes an image that stands in for the one of a model server; its reference. */
export async function pushStandIn(
  cluster: Cluster,
  baseImage: string,
  place: string,
  server: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<string> {
  const base = parseImageReference(baseImage);
  const from = { registry: new DistributionRegistry(base.host, { fetch }), repository: base.repository };
  const to = { registry: new DistributionRegistry(cluster.registry, { fetch }), repository: place };
  const { manifest, descriptor } = await from.registry.getManifest(from.repository, base.reference);
  const config = JSON.parse(
    (await buffer(await from.registry.getBlob(from.repository, manifest.config.digest))).toString(),
  ) as ImageConfig;
  const layers = manifest.layers.map((layer, index) => ({
    descriptor: layer,
    diffId: config.rootfs.diff_ids[index] ?? '',
  }));
  for (const layer of manifest.layers) await copyBlob(from, to, layer);
  const path = 'opt/server.py';
  const own = await storeSmallLayer(to.registry, to.repository, [
    { kind: 'file', path, executable: false, content: Buffer.from(SERVER) },
  ]);
  const image = composeImage({
    base: { digest: descriptor.digest, config, layers },
    layers: [{ ...own, title: 'server' }],
    variables,
    labels: {},
    start: { Entrypoint: ['python3', `/${path}`, server] },
  });
  await to.registry.putBlob(to.repository, image.config, { mediaType: MEDIA_TYPE.imageConfig });
  await to.registry.putManifest(to.repository, image.manifest, { tag: 'latest' });
  return `${cluster.registry}/${place}:latest`;
}
