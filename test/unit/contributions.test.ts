import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { withContributions } from '../../scripts/contributions.ts';
import { MESSAGES_FILE, messages, messagesIn } from '../../scripts/messages.ts';
import { HANDLERS } from '../../src/extension/commands/handlers.ts';
import type { Contributions } from '../../src/extension/contributions/contribution.ts';
import { COMMAND_IDS, manifest } from '../../src/extension/contributions/contributions.ts';

const root = join(import.meta.dirname, '..', '..');
const readJson = async (file: string) => JSON.parse(await readFile(join(root, file), 'utf8'));

describe('what the extension adds to VS Code', () => {
  test('is in package.json and package.nls.json as the source says it', async () => {
    const packageJson = await readJson('package.json');
    assert.deepEqual(packageJson, withContributions(packageJson), 'run "npm run contributions"');
    assert.deepEqual(await readJson('package.nls.json'), manifest().texts, 'run "npm run contributions"');
  });

  test('has every message that it shows in the file that translations are made of', async () => {
    assert.deepEqual(await readJson(MESSAGES_FILE), await messages(), 'run "npm run contributions"');
  });

  test('shows no message that a translation cannot have', () => {
    const code = `t("one's"); vscode.l10n.t(\n  'it\\'s {0}', 2); this.#t('three'); at('no message'); l10n.t(spec.help)`;
    assert.deepEqual(messagesIn(code, 'a.ts'), ["one's", "it's {0}", 'three']);
    assert.throws(() => messagesIn('t(`made of parts`)', 'a.ts'), /a\.ts/);
    assert.throws(() => messagesIn('l10n.t(text)', 'a.ts'), /text, which is not/);
  });

  test('has commands that are named aksml.<noun>.<verb>, each once', () => {
    assert.deepEqual([...new Set(COMMAND_IDS)], COMMAND_IDS);
    for (const id of COMMAND_IDS) assert.match(id, /^aksml\.[a-z]+\.[a-z][a-zA-Z]+$/);
  });

  test('has something to do for every command, and no command that nobody can call', () => {
    assert.deepEqual(Object.keys(HANDLERS).sort(), COMMAND_IDS.toSorted());
  });

  test('offers every command in the palette, but for what is about a row alone', () => {
    const { commandPalette = [] } = manifest().contributes['menus'] as Record<
      string,
      { command: string; when: string }[]
    >;
    assert.deepEqual(
      commandPalette.filter(({ when }) => when === 'false').map(({ command }) => command),
      ['aksml.workspace.openFile', 'aksml.tree.retry', 'aksml.tree.showError', 'aksml.tree.more', 'aksml.tree.delete'],
    );
  });

  test('calls no two commands the same', () => {
    const { commands } = manifest().contributes as { commands: readonly { command: string; title: string }[] };
    const titles = commands.map(({ title }) => manifest().texts[title.replaceAll('%', '')]);
    assert.deepEqual([...new Set(titles)], titles);
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
