import * as v from 'valibot';
import type { Model } from '../../src/contract/model.ts';
import { followsRule, MODEL_NAME } from '../../src/contract/names.ts';
import type { RecognizedModel } from '../../src/contract/proposal.ts';
import type { ModelWish } from '../../src/contract/webview/model.ts';
import type { RunView } from '../../src/contract/webview/run.ts';
import type { Failure } from '../components/failure.ts';

/** As it was typed. */
export const MODEL_DRAFT = v.object({
  path: v.string(),
  name: v.string(),
  framework: v.string(),
  frameworkVersion: v.string(),
  description: v.string(),
  /** `key=value`, one a line. */
  tags: v.string(),
  cpu: v.string(),
  memoryInGB: v.string(),
  gpu: v.string(),
});
export type ModelDraft = v.InferOutput<typeof MODEL_DRAFT>;

export interface ModelState {
  readonly isOpen: boolean;
  readonly draft: ModelDraft;
  /** The user has named it: a path that is chosen later does not rename it. */
  readonly isNamed: boolean;
  readonly known: readonly { readonly name: string; readonly version: number }[];
  readonly recognized?: RecognizedModel | undefined;
  readonly run?: RunView;
  readonly registered?: Model;
  readonly failure?: Failure;
}

export type ModelAction =
  | { readonly type: 'opened'; readonly path?: string | undefined; readonly known: ModelState['known'] }
  | { readonly type: 'draft'; readonly changes: Partial<ModelDraft> }
  | {
      readonly type: 'recognized';
      readonly path: string;
      readonly model?: RecognizedModel | undefined;
      readonly name: string;
    }
  | { readonly type: 'run'; readonly run: RunView }
  | { readonly type: 'registered'; readonly model: Model }
  | { readonly type: 'failed'; readonly failure: Failure }
  | { readonly type: 'dismiss' };

const EMPTY: ModelDraft = {
  path: '',
  name: '',
  framework: '',
  frameworkVersion: '',
  description: '',
  tags: '',
  cpu: '',
  memoryInGB: '',
  gpu: '',
};

export function startModel(draft: ModelDraft | undefined): ModelState {
  return { isOpen: false, draft: draft ?? EMPTY, isNamed: (draft?.name ?? '') !== '', known: [] };
}

export function reduceModel(state: ModelState, action: ModelAction): ModelState {
  switch (action.type) {
    case 'opened': {
      const path = state.draft.path === '' ? (action.path ?? '') : state.draft.path;
      return { ...state, isOpen: true, known: action.known, draft: { ...state.draft, path } };
    }
    case 'draft':
      return {
        ...state,
        draft: { ...state.draft, ...action.changes },
        isNamed: state.isNamed || action.changes.name !== undefined,
      };
    case 'recognized':
      return recognized(state, action);
    case 'run':
      return { ...state, run: action.run };
    case 'registered': {
      const { failure: _, ...rest } = state;
      return { ...rest, registered: action.model };
    }
    case 'failed':
      return { ...state, failure: action.failure };
    case 'dismiss': {
      const { failure: _, ...rest } = state;
      return rest;
    }
  }
}

/** What is known of the files fills in what the user has not. An answer about another path comes too late. */
function recognized(
  state: ModelState,
  { path, model, name }: Extract<ModelAction, { type: 'recognized' }>,
): ModelState {
  if (path !== state.draft.path) return state;
  const draft = {
    ...state.draft,
    ...(state.isNamed ? {} : { name }),
    framework: model?.framework ?? state.draft.framework,
    frameworkVersion: model?.frameworkVersion ?? state.draft.frameworkVersion,
  };
  return { ...state, recognized: model, draft };
}

/** What is wrong with the draft, by its member. */
export function draftProblems(draft: ModelDraft): Readonly<Partial<Record<keyof ModelDraft, string>>> {
  const tags = lines(draft.tags).find((line) => !/^[^=]+=/.test(line));
  const figure = (text: string) => (text.trim() === '' || Number(text) > 0 ? undefined : 'figure');
  return defined({
    path: draft.path.trim() === '' ? 'path' : undefined,
    name: followsRule(MODEL_NAME, draft.name) ? undefined : MODEL_NAME.hint,
    tags,
    cpu: figure(draft.cpu),
    memoryInGB: figure(draft.memoryInGB),
    gpu: figure(draft.gpu),
  });
}

export function wishOf(draft: ModelDraft): ModelWish {
  const { cpu, memoryInGB, gpu } = draft;
  const figure = (text: string) => (text.trim() === '' ? undefined : Number(text));
  const resources = defined({ cpu: figure(cpu), memoryInGB: figure(memoryInGB), gpu: figure(gpu) });
  const pairs = lines(draft.tags).map((line) => line.split('='));
  return {
    path: draft.path.trim(),
    name: draft.name,
    tags: Object.fromEntries(pairs.map(([key = '', ...value]) => [key.trim(), value.join('=').trim()])),
    ...defined({ framework: draft.framework || undefined }),
    ...defined({ frameworkVersion: draft.frameworkVersion || undefined }),
    ...defined({ description: draft.description || undefined }),
    ...(Object.keys(resources).length === 0 ? {} : { resourceRequirements: resources }),
  };
}

/** The version that it would become. */
export function nextVersion({ known, draft }: Pick<ModelState, 'known' | 'draft'>): number {
  return (known.find(({ name }) => name === draft.name)?.version ?? 0) + 1;
}

function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
}

function defined<K extends string, T>(members: Readonly<Record<K, T | undefined>>): Partial<Record<K, T>> {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Partial<Record<K, T>>;
}
