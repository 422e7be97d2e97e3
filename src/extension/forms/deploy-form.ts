import { basename, isAbsolute, join } from 'node:path';
import * as v from 'valibot';
import * as vscode from 'vscode';
import type { ComputeResources } from '../../contract/compute-record.ts';
import type { DeploymentPlan } from '../../contract/deployment.ts';
import { AksmlError } from '../../contract/error.ts';
import { serviceNameFrom } from '../../contract/names.ts';
import type { DeploymentProposal } from '../../contract/proposal.ts';
import {
  DEPLOY_FORM,
  type DeployChoices,
  type DeployWish,
  type Evaluation,
  type Fit,
} from '../../contract/webview/deploy.ts';
import { replicasThatFit } from '../../serving/fit.ts';
import type { AksmlWindow } from '../aksml-window.ts';
import { CONFIGURATION_GLOBS } from '../languages/documents.ts';
import { browse } from './browse.ts';
import { baseOf, offersOf } from './configuration-editor.ts';
import { changesOf, DeployFiles, engineFiles, viewsOf } from './deploy-files.ts';
import { nodeIdOf } from './endpoint-form.ts';
import type { FormKind, OpenForm } from './form-panel.ts';
import { showPending } from './pending-document.ts';
import { TrackedRun } from './tracked-run.ts';

const t = vscode.l10n.t;

/** What a deploy form is opened for. Paths are absolute. */
export const DEPLOY_SCOPE = v.object({
  folder: v.string(),
  workspace: v.optional(v.string()),
  target: v.string(),
  /** A model file or folder that is to be deployed with what its project has for it. */
  modelPath: v.optional(v.string()),
  /** A registered model. */
  modelId: v.optional(v.string()),
  configuration: v.optional(v.string()),
  /** An endpoint that is there. */
  name: v.optional(v.string()),
  newVersion: v.optional(v.boolean()),
});
export type DeployScope = v.InferOutput<typeof DEPLOY_SCOPE>;

export const DEPLOY: FormKind<typeof DEPLOY_FORM, DeployScope> = {
  form: 'deploy',
  contract: DEPLOY_FORM,
  scope: DEPLOY_SCOPE,
  title: ({ name, modelPath, modelId }) => {
    const what = name ?? modelId ?? (modelPath === undefined ? undefined : basename(modelPath));
    return what === undefined ? t('Deploy') : t('Deploy {0}', what);
  },
  serve: (window, scope, opened) => new DeployHost(window, scope, opened).handlers(),
};

/** The extension's end of one deploy form. A deployment goes on while the form is hidden or reloaded; closing the form leaves it to the engine. */
class DeployHost {
  readonly #window: AksmlWindow;
  readonly #scope: DeployScope;
  readonly #form: OpenForm<typeof DEPLOY_FORM>;
  readonly #run: TrackedRun;
  readonly #workspace: { readonly folder: string; readonly workspace?: string };
  #proposal: Promise<DeploymentProposal | undefined> | undefined;
  #wish: DeployWish | undefined;

  constructor(window: AksmlWindow, scope: DeployScope, form: OpenForm<typeof DEPLOY_FORM>) {
    this.#window = window;
    this.#scope = scope;
    this.#form = form;
    this.#run = new TrackedRun((run) => form.notify('run', run));
    const { folder, workspace } = scope;
    this.#workspace = { folder, ...(workspace === undefined ? {} : { workspace }) };
    const changed = () => form.notify('changed', {});
    const watcher = vscode.workspace.createFileSystemWatcher(
      new vscode.RelativePattern(vscode.Uri.file(folder), `{${Object.values(CONFIGURATION_GLOBS).flat().join(',')}}`),
    );
    const othersThere = () => {
      changed();
      // Without an answer what could be chosen before can be chosen still.
      void this.#choices().then(
        (choices) => form.notify('choices', choices),
        () => undefined,
      );
    };
    form.subscriptions.push(
      watcher,
      watcher.onDidChange(changed),
      watcher.onDidCreate(othersThere),
      watcher.onDidDelete(othersThere),
      vscode.workspace.onDidSaveTextDocument(changed),
      vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        if (contentChanges.length > 0 && document.uri.scheme === 'file' && /config/i.test(document.fileName)) changed();
      }),
    );
  }

  handlers() {
    return {
      open: () => this.#open(),
      evaluate: ({ wish }: { wish: DeployWish }, signal: AbortSignal) => this.#evaluate(wish, signal),
      browse: async ({ wish, file, kind, path }: BrowseParams) => {
        const pending = await (await this.#files()).pending(wish);
        const named = file === 'inferenceconfig' ? wish.inferenceConfigFile : wish.deploymentConfigFile;
        const text = pending.find((candidate) => candidate.path === named)?.after ?? '';
        return browse(kind, this.#scope.folder, baseOf(text, this.#scope.folder, path));
      },
      browseModel: () => this.#browseModel(),
      openDiff: async ({ wish, path }: { wish: DeployWish; path: string }) => {
        const files = await this.#files();
        const pending = (await files.pending(wish)).find((file) => file.path === path);
        if (pending) await showPending(this.#window, files.uri(path), pending);
        return null;
      },
      openAsText: async ({ path }: { path: string }) => {
        const uri = (await this.#files()).uri(path);
        await vscode.commands.executeCommand('vscode.openWith', uri, 'default', vscode.ViewColumn.Beside);
        return null;
      },
      write: async ({ wish }: { wish: DeployWish }) => {
        const files = await this.#files();
        await files.write(await files.pending(wish));
        return null;
      },
      deploy: ({ wish }: { wish: DeployWish }) => {
        if (this.#run.run?.status !== 'running') void this.#deploy(wish);
        return null;
      },
      cancel: () => {
        this.#run.cancel();
        return null;
      },
      follow: async ({ action }: { action: 'open' | 'test' | 'logs' | 'copyUri' }) => {
        const { target, name } = this.#wish ?? { target: this.#scope.target, name: this.#scope.name ?? '' };
        const node = nodeIdOf({ ...this.#workspace, target, name });
        await vscode.commands.executeCommand(`aksml.endpoint.${action}`, node);
        return null;
      },
    };
  }

  async #open() {
    const [proposal, choices] = await Promise.all([this.#propose(), this.#choices()]);
    const offers = await offersOf(this.#window, this.#scope.folder);
    const wish = this.#wish ?? (await this.#firstWish(proposal, choices));
    return {
      folder: basename(this.#scope.folder),
      wish,
      choices,
      offers,
      ...(this.#run.run === undefined ? {} : { run: this.#run.run }),
    };
  }

  /** What the project has for the model, or what would be written; without a model that is recognized, nothing. */
  #propose(): Promise<DeploymentProposal | undefined> {
    const { modelPath, target } = this.#scope;
    if (modelPath === undefined) return Promise.resolve(undefined);
    this.#proposal ??= this.#window.engine
      .request('deployment.propose', { ...this.#workspace, target, model: modelPath })
      .catch((error: unknown) => {
        if (AksmlError.is(error, 'model.notRecognized')) return undefined;
        throw error;
      });
    return this.#proposal;
  }

  async #firstWish(proposal: DeploymentProposal | undefined, choices: DeployChoices): Promise<DeployWish> {
    const { target, modelPath, modelId, name, newVersion, configuration } = this.#scope;
    const files = await this.#files();
    const given = configuration === undefined ? undefined : files.relative(configuration);
    const isGiven = (list: readonly string[]) => (given !== undefined && list.includes(given) ? given : undefined);
    const beside = (list: readonly string[]) =>
      list.find((path) => given !== undefined && folderOf(path) === folderOf(given));
    const pick = (list: readonly string[], proposed: string | undefined) =>
      isGiven(list) ?? (proposed === undefined ? (beside(list) ?? list[0]) : files.relative(proposed));
    const isNoCode = proposal !== undefined && proposal.inferenceConfig === undefined;
    const inference = isNoCode ? undefined : pick(choices.inferenceFiles, proposal?.inferenceConfig?.path);
    const deployment = pick(choices.deploymentFiles, proposal?.deploymentConfig.path);
    const current = name === undefined ? [] : await this.#current(name);
    return {
      target,
      name:
        name ??
        proposal?.name ??
        serviceNameFrom(modelId?.replace(/:\d+$/, '') ?? basename(modelPath ?? '').replace(/\.\w+$/, '')),
      models: modelPath !== undefined ? [modelPath] : modelId !== undefined ? [modelId] : [...current],
      overwrite: name !== undefined && newVersion !== true,
      edits: [],
      ...(newVersion ? { versionName: `${name ?? 'version'}-next`.slice(0, 32) } : {}),
      ...(inference === undefined ? {} : { inferenceConfigFile: inference }),
      ...(deployment === undefined ? {} : { deploymentConfigFile: deployment }),
    };
  }

  /** The models that an endpoint runs now. */
  async #current(name: string): Promise<readonly string[]> {
    const scope = { ...this.#workspace, target: this.#scope.target, name };
    const endpoint = await this.#window.engine.request('endpoint.get', scope).catch(() => undefined);
    return endpoint?.spec.versions.find(({ isDefault }) => isDefault)?.models ?? [];
  }

  async #choices(): Promise<DeployChoices> {
    const { engine } = this.#window;
    const [targets, models, deploymentFiles, inferenceFiles] = await Promise.all([
      engine.request('target.list', this.#workspace).catch(() => []),
      engine.request('model.list', this.#workspace).catch(() => []),
      this.#configurations('deploymentconfig'),
      this.#configurations('inferenceconfig'),
    ]);
    return {
      targets: targets.map(({ listing }) => listing.name),
      models: models.map(({ id, framework }) => ({ id, framework })),
      deploymentFiles,
      inferenceFiles,
    };
  }

  async #configurations(file: keyof typeof CONFIGURATION_GLOBS): Promise<string[]> {
    const files = await this.#files();
    const pattern = new vscode.RelativePattern(
      vscode.Uri.file(this.#scope.folder),
      `{${CONFIGURATION_GLOBS[file].join(',')}}`,
    );
    const found = await vscode.workspace.findFiles(pattern, '**/{node_modules,.venv,.git}/**', 50);
    return found
      .map(({ fsPath }) => files.relative(fsPath))
      .sort((a, b) => depthOf(a) - depthOf(b) || rankOf(a, file) - rankOf(b, file) || a.localeCompare(b));
  }

  async #files(): Promise<DeployFiles> {
    return new DeployFiles(vscode.Uri.file(this.#scope.folder), await this.#propose());
  }

  async #evaluate(wish: DeployWish, signal: AbortSignal): Promise<Evaluation> {
    this.#wish = wish;
    const pending = await (await this.#files()).pending(wish);
    const base = { files: viewsOf(wish, pending), changes: changesOf(pending) };
    const read = engineFiles(this.#scope.folder, wish, pending);
    try {
      if (wish.versionName !== undefined) {
        const { target, name, versionName, models } = wish;
        const version = { ...this.#workspace, ...read, target, name, versionName, models: [...models] };
        return await this.#planned(base, await this.#window.engine.request('version.plan', version, { signal }));
      }
      const params = {
        ...this.#workspace,
        ...read,
        ...(await this.#named(wish)),
        target: wish.target,
        name: wish.name,
        overwrite: wish.overwrite,
      };
      return await this.#planned(base, await this.#window.engine.request('deployment.plan', params, { signal }));
    } catch (error) {
      if (!AksmlError.is(error) || AksmlError.isCancelled(error)) throw error;
      return { ...base, problems: [...error.problems], failure: error.toJSON() };
    }
  }

  async #planned(base: Pick<Evaluation, 'files' | 'changes'>, plan: DeploymentPlan): Promise<Evaluation> {
    const fit = await this.#fit(plan);
    return { ...base, problems: [...plan.problems], plan, ...(fit === undefined ? {} : { fit }) };
  }

  /** A file is registered under the name that it was proposed. */
  async #named({ models }: DeployWish) {
    const proposal = await this.#propose();
    const name = proposal?.modelName;
    return {
      models: models.map((model) =>
        isAbsolute(model)
          ? { path: model, ...(model === this.#scope.modelPath && name !== undefined ? { name } : {}) }
          : model,
      ),
    };
  }

  async #fit({ target, settings }: DeploymentPlan): Promise<Fit | undefined> {
    const targets = await this.#window.engine.request('target.list', this.#workspace).catch(() => []);
    const status = targets.find(({ listing }) => listing.name === target)?.status;
    const room: ComputeResources | undefined = status?.free ?? status?.capacity;
    if (room === undefined) return undefined;
    return { ...room, isFree: status?.free !== undefined, replicas: replicasThatFit(settings.resources, room) };
  }

  async #browseModel(): Promise<{ path?: string }> {
    const chosen = await vscode.window.showOpenDialog({
      canSelectFiles: true,
      canSelectFolders: true,
      defaultUri: vscode.Uri.file(this.#scope.folder),
      openLabel: t('Add'),
    });
    return chosen?.[0] === undefined ? {} : { path: chosen[0].fsPath };
  }

  /** Failures are told by the run itself. */
  async #deploy(wish: DeployWish): Promise<void> {
    this.#wish = wish;
    const { engine, output } = this.#window;
    const { target, name, overwrite, versionName, refreshEnvironment = false } = wish;
    const work = () =>
      this.#run.during(async (request) => {
        const files = await (await this.#files()).pending(wish);
        const described = { ...engineFiles(this.#scope.folder, wish, files), refreshEnvironment };
        const params = { ...this.#workspace, ...described, target, name };
        if (versionName !== undefined) {
          const version = { ...params, versionName, models: [...wish.models] };
          return engine.request('version.create', version, request);
        }
        const { models } = await this.#named(wish);
        return engine.request('deployment.deploy', { ...params, models, overwrite }, request);
      });
    const title = t('Deploying {0}', name);
    try {
      const endpoint = await vscode.window.withProgress({ location: vscode.ProgressLocation.Window, title }, work);
      this.#run.add({ endpoint });
    } catch (error) {
      output.error(`${title}: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.#form.notify('changed', {});
  }
}

interface BrowseParams {
  readonly wish: DeployWish;
  readonly file: keyof typeof CONFIGURATION_GLOBS;
  readonly kind: 'file' | 'folder';
  readonly path: readonly string[];
}

function depthOf(path: string): number {
  return path.split('/').length;
}

/** The file with the usual name comes before those that have other words in theirs. */
function rankOf(path: string, file: string): number {
  return basename(path).toLowerCase() === `${file}.json` ? 0 : 1;
}

function folderOf(path: string): string {
  return join(path, '..');
}
