import { homedir } from 'node:os';
import { delimiter } from 'node:path';
import * as vscode from 'vscode';

/** A setting that holds text. One of another type, which VS Code marks and yet hands on, counts as not set, as does an empty one. */
export function textSetting(name: string, resource?: vscode.Uri): string | undefined {
  const value = vscode.workspace.getConfiguration('aksml', resource).get<unknown>(name);
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;
}

/** The same of a path, or of several as in PATH, where `~` is the user's home folder as in a shell. */
export function pathSetting(name: string): string | undefined {
  return textSetting(name)
    ?.split(delimiter)
    .map((path) => path.replace(/^~(?=$|[\\/])/, () => homedir()))
    .join(delimiter);
}

/** A whole number in its bounds; else what holds where nothing is set. */
export function numberSetting(name: string, { least, most, otherwise }: Bounds): number {
  const value = vscode.workspace.getConfiguration('aksml').get<unknown>(name);
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most ? value : otherwise;
}

interface Bounds {
  readonly least: number;
  readonly most: number;
  readonly otherwise: number;
}
