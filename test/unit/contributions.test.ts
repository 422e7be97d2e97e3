import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { withContributions } from '../../scripts/contributions.ts';
import { HANDLERS } from '../../src/extension/commands/handlers.ts';
import type { Contributions } from '../../src/extension/contributions/contribution.ts';
import { COMMAND_IDS, manifest } from '../../src/extension/contributions/contributions.ts';

/** Contributed, so that menus and the walkthrough are whole; their forms are still being made. */
const FORMS_TO_COME = ['aksml.cluster.attach', 'aksml.model.register', 'aksml.endpoint.deploy'];

const root = join(import.meta.dirname, '..', '..');
const readJson = async (file: string) => JSON.parse(await readFile(join(root, file), 'utf8'));

describe('what the extension adds to VS Code', () => {
  test('is in package.json and package.nls.json as the source says it', async () => {
    const packageJson = await readJson('package.json');
    assert.deepEqual(packageJson, withContributions(packageJson), 'run "npm run contributions"');
    assert.deepEqual(await readJson('package.nls.json'), manifest().texts, 'run "npm run contributions"');
  });

  test('has commands that are named aksml.<noun>.<verb>, each once', () => {
    assert.deepEqual([...new Set(COMMAND_IDS)], COMMAND_IDS);
    for (const id of COMMAND_IDS) assert.match(id, /^aksml\.[a-z]+\.[a-z][a-zA-Z]+$/);
  });

  test('has something to do for every command, and no command that nobody can call', () => {
    const handled = Object.keys(HANDLERS);
    assert.deepEqual(
      handled.filter((id) => !COMMAND_IDS.includes(id)),
      [],
    );
    assert.deepEqual(
      COMMAND_IDS.filter((id) => !handled.includes(id) && !FORMS_TO_COME.includes(id)),
      [],
    );
  });

  test('names pictures that are there', () => {
    for (const [, path] of JSON.stringify(manifest().contributes).matchAll(/"(media\/[^"]+)"/g)) {
      assert.ok(path !== undefined && existsSync(join(root, path)), path);
    }
  });

  test('keeps what is run with the rights of the user out of the settings of a folder', () => {
    const { properties } = manifest().contributes['configuration'] as {
      properties: Record<string, { scope: string }>;
    };
    for (const id of ['aksml.home', 'aksml.python', 'aksml.kubeconfig']) assert.equal(properties[id]?.scope, 'machine');
  });

  test('is joined from parts, list by list and member by member', () => {
    const part = (view: string): Contributions => ({ points: { views: { aksml: [view] }, languages: [view] } });
    const { contributes } = manifest([part('a'), part('b')]);
    assert.deepEqual(contributes['views'], { aksml: ['a', 'b'] });
    assert.deepEqual(contributes['languages'], ['a', 'b']);
  });

  test('refuses one key with two texts', () => {
    const part = (english: string): Contributions => ({ points: { views: [{ name: { key: 'name', english } }] } });
    assert.throws(() => manifest([part('a'), part('b')]), /two meanings/);
  });
});
