import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { AksmlError } from '../../src/contract/error.ts';
import { deleteModel, registerModel } from '../../src/engine/models/models.ts';
import { openLayout } from '../../src/engine/registry/layout.ts';
import { findWorkspaceFile } from '../../src/engine/workspace/discovery.ts';
import {
  attachFolder,
  createWorkspace,
  deleteWorkspace,
  listWorkspaces,
  openWorkspace,
  showWorkspace,
  type WorkspaceRequest,
} from '../../src/engine/workspace/workspace.ts';
import { type Home, openHome } from '../../src/home/home.ts';

interface World {
  readonly home: Home;
  readonly project: string;
  write(path: string, content: unknown): Promise<string>;
  open(request?: Partial<WorkspaceRequest>): ReturnType<typeof openWorkspace>;
}

async function makeWorld(t: { after(work: () => Promise<void>): void }): Promise<World> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'aksml-workspace-')));
  t.after(() => rm(root, { recursive: true, force: true }));
  const home = openHome({ AKSML_HOME: join(root, 'home') });
  const project = join(root, 'projects', 'demo');
  await mkdir(project, { recursive: true });
  const openRegistry = (address: string) => ({ ...openLayout(home, join(root, 'remote')), location: address });
  return {
    home,
    project,
    write: async (path, content) => {
      const file = join(project, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
      return file;
    },
    open: (request) => openWorkspace(home, { projectFolder: project, openRegistry, ...request }),
  };
}

const isCode =
  (code: string) =>
  (error: unknown): boolean => {
    if (AksmlError.is(error, code)) return true;
    throw error;
  };
const azure = (workspace_name: string) => ({ subscription_id: 'sub', resource_group: 'group', workspace_name });
const scope = (name: string) => ({
  Id: null,
  Scope: `/subscriptions/sub/resourceGroups/group/providers/Microsoft.MachineLearningServices/workspaces/${name}`,
});

test('the workspace file is the one that v1 found: sub-folder before file name before nearness', async (t) => {
  const { project, write } = await makeWorld({ after: (work) => t.after(work) });
  const expectFound = async (name: string): Promise<void> => {
    assert.equal((await findWorkspaceFile(project))?.name, name);
  };
  assert.equal(await findWorkspaceFile(project), undefined);
  await write('../project.json', azure('parents-project'));
  await expectFound('parents-project');
  await write('config.json', azure('plain'));
  await expectFound('plain');
  await write('../aml_config/config.json', azure('aml'));
  await expectFound('aml');
  await write('../../.azureml/project.json', scope('project'));
  await expectFound('project');
  await write('../../.azureml/config.json', scope('far'));
  await expectFound('far');
  await write('.azureml/config.json', scope('near'));
  await expectFound('near');
  const named = await write('elsewhere/any.name', azure('named'));
  assert.equal((await findWorkspaceFile(named))?.name, 'named');
});

test('a linked folder is searched, then the parents of the real one', async (t) => {
  const { project, write } = await makeWorld({ after: (work) => t.after(work) });
  await write('real/.azureml/config.json', azure('of-the-real'));
  await mkdir(join(project, 'real/inner'));
  await symlink(join(project, 'real/inner'), join(project, 'link'));
  assert.equal((await findWorkspaceFile(join(project, 'link')))?.name, 'of-the-real');
});

test('files of other programs are passed over, broken workspace files are refused with the reason', async (t) => {
  const { project, write } = await makeWorld({ after: (work) => t.after(work) });
  await write('config.json', { model_type: 'bert' });
  await write('project.json', '// not even JSON');
  assert.equal(await findWorkspaceFile(project), undefined);
  for (const content of [
    '{',
    '[]',
    {},
    { Scope: '/subscriptions/only' },
    { subscription_id: 's', resource_group: 'g' },
  ]) {
    await write('.azureml/config.json', content);
    await assert.rejects(findWorkspaceFile(project), isCode('workspace.badFile'), JSON.stringify(content));
  }
  await write('.azureml/config.json', `\uFEFF${JSON.stringify({ workspace_name: 'team' })}`);
  const found = await findWorkspaceFile(project);
  assert.deepEqual(
    found?.notices.map(({ code }) => code),
    ['workspace.byteOrderMark', 'workspace.incompleteFile'],
  );
});

test('a project of an Azure workspace gets a local workspace of that name, other projects the default one', async (t) => {
  const { home, project, open, write } = await makeWorld({ after: (work) => t.after(work) });
  const nothing = await open();
  assert.deepEqual([nothing.name, nothing.origin.kind, nothing.notices], ['default', 'default', []]);
  const file = await write('.azureml/config.json', scope('ml-team'));
  const found = await open();
  assert.deepEqual(found.origin, { kind: 'file', file });
  assert.deepEqual([found.name, found.resourceGroup, found.subscriptionId], ['ml-team', 'group', 'sub']);
  assert.equal(found.registry.location, join(home.workspaces, 'ml-team'));
  assert.deepEqual(
    (await listWorkspaces(home)).map(({ name }) => name),
    ['default', 'ml-team'],
  );

  const flagged = await open({ name: 'other' });
  assert.deepEqual([flagged.name, flagged.notices[0]?.code], ['other', 'workspace.differsFromFile']);
  assert.deepEqual((await open({ name: 'other', resourceGroup: 'group' })).notices, []);
  assert.equal((await open({ name: 'ML-Team' })).folder, found.folder, 'letter case does not tell workspaces apart');
  const shared = await open({ name: 'ml-team', resourceGroup: 'production' });
  assert.equal(shared.notices[0]?.code, 'workspace.sharedName');
  await assert.rejects(open({ name: '../x' }), isCode('workspace.badName'));
  await rm(join(project, '.azureml'), { recursive: true });
  assert.equal((await open({ projectFolder: join(project, 'absent') })).notices[0]?.code, 'workspace.pathMissing');
});

test('a workspace may be a registry', async (t) => {
  const { home, open, write } = await makeWorld({ after: (work) => t.after(work) });
  const asked: string[] = [];
  const openRegistry = (address: string) => {
    asked.push(address);
    return openLayout(home, join(home.root, 'registry'));
  };
  await createWorkspace(home, { name: 'team', registry: 'registry.example/ml' }, openRegistry);
  assert.deepEqual(asked, ['registry.example/ml'], 'it is asked whether it can be written to');
  assert.equal((await open({ name: 'team' })).registry.location, 'registry.example/ml');
  await write('.azureml/config.json', { ...azure('file-team'), registry: 'localhost:5000' });
  assert.equal((await open()).registry.location, 'localhost:5000');
  await assert.rejects(createWorkspace(home, { name: 'Team' }, openRegistry), isCode('workspace.exists'));
});

test('processes that open a new workspace at once share it', async (t) => {
  const { home, open } = await makeWorld({ after: (work) => t.after(work) });
  const opened = await Promise.all(Array.from({ length: 5 }, () => open()));
  assert.equal(new Set(opened.map(({ folder }) => folder)).size, 1);
  assert.equal((await listWorkspaces(home)).length, 1);
});

test('attaching a folder writes what v1 reads, and keeps the other keys of the file', async (t) => {
  const { project, open, write } = await makeWorld({ after: (work) => t.after(work) });
  const file = await write('.azureml/config.json', { ...scope('old'), experiment: 'kept' });
  assert.equal(await attachFolder(project, { name: 'new-one', resourceGroup: 'group' }), file);
  assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), {
    experiment: 'kept',
    subscription_id: '',
    resource_group: 'group',
    workspace_name: 'new-one',
  });
  const workspace = await open();
  assert.deepEqual(
    [workspace.name, workspace.resourceGroup, workspace.subscriptionId],
    ['new-one', 'group', undefined],
  );
});

test('a workspace that holds something is only deleted by force', async (t) => {
  const { home, open, write } = await makeWorld({ after: (work) => t.after(work) });
  await assert.rejects(deleteWorkspace(home, 'team'), isCode('workspace.notFound'));
  const { registry, folder } = await open({ name: 'team', resourceGroup: 'group' });
  const store = { home, registry, clock: () => new Date(), user: 'ada' };
  const path = await write('m.pkl', 'x');
  await registerModel(store, { name: 'm', path, cwd: dirname(path) });
  await assert.rejects(deleteWorkspace(home, 'team'), isCode('workspace.notEmpty'));
  assert.equal((await showWorkspace(home, 'team')).folder, folder);
  await deleteModel(store, 'm:1', { usedBy: async () => [] });
  await deleteWorkspace(home, 'team');
  await open({ name: 'team' });
  await registerModel(store, { name: 'm', path, cwd: dirname(path) });
  await deleteWorkspace(home, 'team', { force: true });
  assert.deepEqual(await readdir(home.workspaces), []);
});
