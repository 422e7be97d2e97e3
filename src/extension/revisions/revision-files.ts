import * as vscode from 'vscode';
import type { RevisionFile } from '../../contract/engine-api.ts';
import type { EngineClient } from '../engine-client.ts';
import { CONFIGURATION_FILE, type RevisionPlace, revisionOf } from './revision-uri.ts';

/** The code of deployed revisions, to be read and compared. A revision never changes, so that what was read once is kept. */
export class RevisionFiles {
  readonly #engine: EngineClient;
  readonly #lists = new Map<string, Promise<readonly RevisionFile[]>>();

  constructor(engine: EngineClient) {
    this.#engine = engine;
  }

  async stat(uri: vscode.Uri): Promise<vscode.FileStat> {
    const { place, path } = revisionOf(uri);
    const stamp = { ctime: 0, mtime: 0, permissions: vscode.FilePermission.Readonly };
    if (path === CONFIGURATION_FILE) {
      return { type: vscode.FileType.File, size: (await this.readFile(uri)).byteLength, ...stamp };
    }
    const files = await this.#list(place);
    const file = files.find((candidate) => candidate.path === path);
    if (file) return { type: vscode.FileType.File, size: file.size, ...stamp };
    if (path === '' || files.some((other) => other.path.startsWith(`${path}/`))) {
      return { type: vscode.FileType.Directory, size: 0, ...stamp };
    }
    throw vscode.FileSystemError.FileNotFound(uri);
  }

  async readDirectory(uri: vscode.Uri): Promise<[string, vscode.FileType][]> {
    const { place, path } = revisionOf(uri);
    const prefix = path === '' ? '' : `${path}/`;
    const below = (await this.#list(place)).filter((file) => file.path.startsWith(prefix));
    const entries = new Map<string, vscode.FileType>();
    for (const file of below) {
      const [name = '', ...rest] = file.path.slice(prefix.length).split('/');
      entries.set(name, rest.length === 0 ? vscode.FileType.File : vscode.FileType.Directory);
    }
    return [...entries];
  }

  async readFile(uri: vscode.Uri): Promise<Uint8Array> {
    const { place, path } = revisionOf(uri);
    if (path === CONFIGURATION_FILE) {
      return Buffer.from((await this.#engine.request('revision.configuration', place)).text);
    }
    const { content } = await this.#engine.request('revision.readFile', { ...place, path });
    return Buffer.from(content, 'base64');
  }

  #list(place: RevisionPlace): Promise<readonly RevisionFile[]> {
    const key = JSON.stringify(place);
    const known = this.#lists.get(key) ?? this.#engine.request('revision.files', place);
    this.#lists.set(key, known);
    known.catch(() => this.#lists.delete(key));
    return known;
  }
}
