import * as v from 'valibot';
import { followsRule, MODEL_NAME, SERVICE_NAME } from '../../src/contract/names.ts';
import type { Problem } from '../../src/contract/problem.ts';
import type { ConfigurationFile, Offers } from '../../src/contract/webview/configuration.ts';
import {
  DEPLOY_WISH,
  type DeployChoices,
  type DeployWish,
  type Evaluation,
} from '../../src/contract/webview/deploy.ts';
import type { RunView } from '../../src/contract/webview/run.ts';
import type { Failure } from '../components/failure.ts';
import type { Filter } from '../configuration/fields.ts';
import { type LoadDraft, NO_FILTER, NO_LOAD } from '../configuration/model.ts';

export type DeployTab = 'plan' | ConfigurationFile | 'changes';

export interface DeployState {
  readonly folder: string;
  readonly wish: DeployWish;
  readonly choices: DeployChoices;
  readonly offers: Offers;
  readonly isOpen: boolean;
  readonly evaluation?: Evaluation;
  /** The evaluation is one of an earlier wish; its answer is under way. */
  readonly isEvaluating: boolean;
  /** "Deploy" was pressed meanwhile: it goes on with the plan, unless something speaks against it. */
  readonly isAwaited: boolean;
  /** Grows with all that makes a new evaluation necessary. */
  readonly revision: number;
  readonly tab: DeployTab;
  readonly filter: Filter;
  readonly load: LoadDraft;
  readonly run?: RunView;
  readonly failure?: Failure;
}

export type DeployAction =
  | {
      readonly type: 'opened';
      readonly folder: string;
      readonly wish: DeployWish;
      readonly choices: DeployChoices;
      readonly offers: Offers;
      readonly run?: RunView | undefined;
    }
  | { readonly type: 'wish'; readonly changes: Partial<DeployWish> }
  | { readonly type: 'addModel' | 'removeModel'; readonly model: string }
  | {
      readonly type: 'edit';
      readonly file: ConfigurationFile;
      readonly path: readonly string[];
      readonly value: unknown;
    }
  | { readonly type: 'discard' | 'changed' | 'dismiss' | 'written' | 'await' | 'begun' }
  | { readonly type: 'evaluated'; readonly evaluation: Evaluation }
  | { readonly type: 'choices'; readonly choices: DeployChoices }
  | { readonly type: 'tab'; readonly tab: DeployTab }
  | { readonly type: 'filter'; readonly filter: Filter }
  | { readonly type: 'load'; readonly load: LoadDraft }
  | { readonly type: 'run'; readonly run: RunView }
  | { readonly type: 'failed' | 'notEvaluated'; readonly failure: Failure };

export const DEPLOY_DRAFT = v.object({
  wish: DEPLOY_WISH,
  tab: v.picklist(['plan', 'deploymentconfig', 'inferenceconfig', 'changes']),
});
export type DeployDraft = v.InferOutput<typeof DEPLOY_DRAFT>;

const NO_WISH: DeployWish = { target: '', name: '', models: [], overwrite: false, edits: [] };

export function startDeploy(draft: DeployDraft | undefined): DeployState {
  return {
    folder: '',
    wish: draft?.wish ?? NO_WISH,
    choices: { targets: [], models: [], deploymentFiles: [], inferenceFiles: [] },
    offers: { targets: [], environments: [] },
    isOpen: false,
    isEvaluating: false,
    isAwaited: false,
    revision: 0,
    tab: draft?.tab ?? 'plan',
    filter: NO_FILTER,
    load: NO_LOAD,
  };
}

/** A key or a password that was typed is not kept. */
const SECRET_KEY = /^(?:primaryKey|secondaryKey|password|authToken)$/;

export function draftOf({ wish, tab }: DeployState): DeployDraft {
  return { wish: { ...wish, edits: wish.edits.filter(({ path }) => !SECRET_KEY.test(path.at(-1) ?? '')) }, tab };
}

export function reduceDeploy(state: DeployState, action: DeployAction): DeployState {
  switch (action.type) {
    case 'opened':
      return opened(state, action);
    case 'wish':
      return asked({ ...state, wish: { ...state.wish, ...action.changes } });
    case 'addModel': {
      const models = [...state.wish.models.filter((model) => model !== action.model), action.model];
      return asked({ ...state, wish: { ...state.wish, models } });
    }
    case 'removeModel':
      return asked({
        ...state,
        wish: { ...state.wish, models: state.wish.models.filter((model) => model !== action.model) },
      });
    case 'edit':
      return asked({ ...state, wish: { ...state.wish, edits: withEdit(state.wish.edits, action) } });
    case 'discard':
    case 'written':
      return asked({ ...state, wish: { ...state.wish, edits: [] } });
    case 'changed':
      return { ...asked(state), isAwaited: state.isAwaited };
    case 'evaluated':
      return { ...state, isEvaluating: false, evaluation: action.evaluation };
    case 'choices':
      return { ...state, choices: action.choices };
    case 'tab':
      return { ...state, tab: action.tab };
    case 'filter':
      return { ...state, filter: action.filter };
    case 'load':
      return { ...state, load: action.load };
    case 'run':
      return { ...state, run: action.run };
    case 'failed':
      return { ...state, failure: action.failure };
    case 'notEvaluated':
      return { ...state, isEvaluating: false, isAwaited: false, failure: action.failure };
    case 'await':
      return { ...state, isAwaited: true };
    case 'begun':
      return { ...state, isAwaited: false };
    case 'dismiss': {
      const { failure: _, ...rest } = state;
      return rest;
    }
  }
}

/** What the user had begun before a reload comes before what the form was opened with. */
function opened(
  state: DeployState,
  { folder, wish, choices, offers, run }: Extract<DeployAction, { type: 'opened' }>,
): DeployState {
  const isNew = state.wish === NO_WISH;
  return asked({
    ...state,
    folder,
    wish: isNew ? wish : state.wish,
    choices,
    offers,
    isOpen: true,
    ...(run === undefined ? {} : { run }),
  });
}

function asked(state: DeployState): DeployState {
  return { ...state, revision: state.revision + 1, isEvaluating: true, isAwaited: false };
}

type Edits = DeployWish['edits'];

/** Of several changes of one key the last counts. */
function withEdit(edits: Edits, { file, path, value }: Extract<DeployAction, { type: 'edit' }>): Edits {
  const key = path.join('\n');
  const others = edits.filter((edit) => edit.file !== file || edit.path.join('\n') !== key);
  return [...others, { file, path: [...path], ...(value === undefined ? {} : { value }) }];
}

/** All that is known to be wrong, each once. */
export function problemsOf({ evaluation }: Pick<DeployState, 'evaluation'>): readonly Problem[] {
  const all = [...(evaluation?.problems ?? []), ...(evaluation?.plan?.problems ?? [])];
  const seen = new Set<string>();
  return all.filter(({ code, file, path, message }) => {
    const identity = JSON.stringify([code, file, path, message]);
    return !seen.has(identity) && seen.add(identity);
  });
}

/** What stands against deploying once more is no more than that it is being deployed, or just has been. */
export function isDeployed(state: Pick<DeployState, 'evaluation' | 'run'>): boolean {
  const errors = problemsOf(state).filter(({ severity }) => severity === 'error');
  const isUnderWay = state.run?.status === 'running' || state.run?.status === 'done';
  return isUnderWay && errors.length > 0 && errors.every(({ code }) => code === 'service.exists');
}

/** Those of one file, by the name that the wish gives it. */
export function problemsOfFile(state: DeployState, file: ConfigurationFile): readonly Problem[] {
  const path = file === 'deploymentconfig' ? state.wish.deploymentConfigFile : state.wish.inferenceConfigFile;
  if (path === undefined) return [];
  return problemsOf(state).filter((problem) => problem.file?.replaceAll('\\', '/').endsWith(path) ?? false);
}

/** As far as is known: while a change is evaluated, by what was so before it, so that a button does not flicker as one types. */
export function canDeploy(state: DeployState): boolean {
  const isRunning = state.run?.status === 'running';
  const hasErrors = problemsOf(state).some(({ severity }) => severity === 'error');
  return !isRunning && !hasErrors && state.evaluation?.plan !== undefined;
}

/** What would be written before, which is shown first. */
export function changesOf({ evaluation }: Pick<DeployState, 'evaluation'>): Evaluation['changes'] {
  return evaluation?.changes ?? [];
}

/** Why a name will not do, before the engine is asked. */
export function nameProblem({ name }: Pick<DeployWish, 'name'>): string | undefined {
  return followsRule(SERVICE_NAME, name) ? undefined : SERVICE_NAME.hint;
}

export function modelNameProblem(name: string): string | undefined {
  return followsRule(MODEL_NAME, name) ? undefined : MODEL_NAME.hint;
}
