import * as vscode from 'vscode';
import type { ParamsOf } from '../../contract/engine-api.ts';

export type RevisionPlace = ParamsOf<'revision.files'>;

/** Beside the code: settings and environment of the deployment as text. */
export const CONFIGURATION_FILE = 'deployment.json';
const CODE = 'code';

/** A file of a revision; without a path, the folder of its code. People see `NAME@NUMBER` and the path. */
export function revisionUri(place: RevisionPlace, path?: string): vscode.Uri {
  return vscode.Uri.from({
    scheme: 'aksml-revision',
    path: ['', `${place.name}@${place.revision}`, CODE, ...(path === undefined ? [] : [path])].join('/'),
    query: JSON.stringify(place),
  });
}

export function configurationUri(place: RevisionPlace): vscode.Uri {
  return revisionUri(place).with({ path: `/${place.name}@${place.revision}/${CONFIGURATION_FILE}` });
}

export function revisionOf(uri: vscode.Uri): { readonly place: RevisionPlace; readonly path: string } {
  const [, , first, ...rest] = uri.path.split('/');
  const place = JSON.parse(uri.query) as RevisionPlace;
  return { place, path: first === CODE ? rest.join('/') : (first ?? '') };
}
