import { matching } from '../engine/endpoints/service.ts';
import { packageBuildContext } from '../engine/images/build-context.ts';
import { packageImage } from '../engine/images/package.ts';
import { preparePackage } from '../engine/images/project-package.ts';
import * as models from '../engine/models/models.ts';
import { readConfiguration } from './configuration.ts';
import { watchContent } from './content.ts';
import type { HandlersOf } from './handler.ts';

export const MODEL: HandlersOf<'model'> = {
  'model.recognize': async ({ paths }) => {
    const { recognizeModel } = await import('../engine/proposals/recognize.ts');
    return Promise.all(paths.map(async (path) => (await recognizeModel(path)) ?? null));
  },
  'model.list': async ({ name, latest, ...scope }, { host, signal }) =>
    models.listModels(
      await host.engine(scope),
      { ...(name === undefined ? {} : { name }), ...(latest === undefined ? {} : { latest }) },
      signal,
    ),
  'model.get': async ({ id, ...scope }, { host }) => models.getModel(await host.engine(scope), id),
  'model.watch': async (scope, { host, signal, emit }) => {
    await watchContent(
      host,
      scope,
      signal,
      async (session) => models.listModels(await session.engine(), {}, signal),
      emit,
    );
    return null;
  },
  'model.register': async ({ folder, workspace, ...request }, { host, signal, emit }) => {
    const engine = await host.engine({ folder, workspace });
    const { model, notices } = await models.registerModel(
      engine,
      { ...request, cwd: folder },
      { signal, onProgress: (event) => void emit(event) },
    );
    for (const problem of notices) await emit({ type: 'problem', problem });
    return model;
  },
  'model.update': async ({ folder, workspace, id, ...changes }, { host }) =>
    models.updateModel(await host.engine({ folder, workspace }), id, changes),
  'model.delete': async ({ id, ...scope }, { host, signal }) => {
    const engine = await host.engine(scope);
    const session = await host.session(scope);
    await models.deleteModel(engine, id, {
      usedBy: async (modelId) => {
        const { found } = await session.listEndpoints(undefined, signal);
        return found.flatMap(({ endpoints }) => matching(endpoints, { modelId })).map(({ metadata }) => metadata.name);
      },
    });
    return null;
  },
  'model.download': async ({ id, directory, overwrite, ...scope }, { host, signal, emit }) => ({
    path: await models.downloadModel(await host.engine(scope), id, directory, {
      overwrite: overwrite === true,
      signal,
      onProgress: (event) => void emit(event),
    }),
  }),
  'model.profile': async (params, call) => (await import('./profile.ts')).profile(params, call),
  'model.package': async (params, call) => {
    const { host, signal, emit } = call;
    const { format, outputPath, imageName, imageLabel, base, folder } = params;
    const engine = await host.engine(params);
    const run = { signal, onProgress: (event: Parameters<typeof emit>[0]) => void emit(event) };
    const request = await preparePackage(
      engine,
      {
        configuration: await readConfiguration(host, params),
        models: params.models,
        outputPath,
        cwd: folder,
        ...(imageName === undefined ? {} : { imageName }),
        ...(imageLabel === undefined ? {} : { imageLabel }),
        ...(base === undefined ? {} : { base }),
      },
      run,
    );
    if (format === 'context') return { path: (await packageBuildContext(engine, request, run)).folder };
    const { path, reference, digest } = await packageImage(engine, request, { ...run, format });
    return { path, reference, digest };
  },
};
