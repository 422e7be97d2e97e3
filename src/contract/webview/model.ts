import * as v from 'valibot';
import { shape } from '../engine-api/method.ts';
import type { Model } from '../model.ts';
import type { RecognizedModel } from '../proposal.ts';
import type { RunView } from './run.ts';
import { NO_PARAMS, NOTHING } from './shown.ts';

export const FRAMEWORKS = ['Custom', 'TensorFlow', 'ScikitLearn', 'Onnx', 'TfKeras', 'PyTorch', 'Multi'] as const;

const NUMBER = v.optional(v.number());

export const MODEL_WISH = v.object({
  /** Absolute. */
  path: v.string(),
  name: v.string(),
  framework: v.optional(v.string()),
  frameworkVersion: v.optional(v.string()),
  description: v.optional(v.string()),
  tags: v.record(v.string(), v.string()),
  resourceRequirements: v.optional(v.object({ cpu: NUMBER, memoryInGB: NUMBER, gpu: NUMBER })),
});
export type ModelWish = v.InferOutput<typeof MODEL_WISH>;

export const MODEL_FORM = {
  requests: {
    open: {
      params: NO_PARAMS,
      result: v.object({
        path: v.optional(v.string()),
        /** The highest version of each name. */
        known: v.array(v.object({ name: v.string(), version: v.number() })),
      }),
    },
    browse: {
      params: v.object({ kind: v.picklist(['file', 'folder']) }),
      result: v.object({ path: v.optional(v.string()) }),
    },
    /** What wrote the files; absent: nothing that is known. */
    recognize: {
      params: v.object({ path: v.string() }),
      result: v.object({ model: v.optional(shape<RecognizedModel>('path', 'format')), name: v.string() }),
    },
    register: { params: MODEL_WISH, result: shape<Model>('id', 'name') },
    cancel: { params: NO_PARAMS, result: NOTHING },
    deploy: { params: v.object({ id: v.string() }), result: NOTHING },
  },
  events: { run: shape<RunView>('status', 'stages') },
};
