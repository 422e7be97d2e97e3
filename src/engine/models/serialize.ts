import type { Model } from '../../contract/model.ts';

/**
 * The members that v1's `model show` and `model list` printed (`Model.serialize` of its SDK), followed by our own.
 * Times are in Python's ISO form, as scripts that read them expect.
 */
export function serializeModel(model: Model): Readonly<Record<string, unknown>> {
  const { cpu = null, memoryInGB = null, gpu = null } = model.resourceRequirements ?? {};
  return {
    createdTime: pythonTime(model.createdTime),
    createdBy: model.createdBy,
    description: model.description ?? null,
    id: model.id,
    mimeType: 'application/json',
    name: model.name,
    framework: model.framework,
    frameworkVersion: model.frameworkVersion ?? null,
    tags: model.tags,
    properties: model.properties,
    unpack: false,
    url: null,
    version: model.version,
    experimentName: model.experimentName ?? null,
    runId: model.runId ?? null,
    runDetails: null,
    datasets: [],
    resourceConfiguration: model.resourceRequirements ? { cpu, memoryInGB, gpu } : null,
    sampleInputDatasetId: model.sampleInputDatasetId ?? null,
    sampleOutputDatasetId: model.sampleOutputDatasetId ?? null,
    modifiedTime: pythonTime(model.modifiedTime),
    basename: model.basename,
    isFolder: model.isFolder,
    isMlflow: model.isMlflow,
    size: model.size,
    fileCount: model.fileCount,
    treeDigest: model.treeDigest,
  };
}

function pythonTime(iso: string): string {
  return iso.replace(/\.(\d{3})Z$/, '.$1000+00:00');
}
