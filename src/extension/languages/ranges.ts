import { findNodeAtLocation, parseTree } from 'jsonc-parser';
import * as vscode from 'vscode';
import type { Problem } from '../../contract/problem.ts';

/** Where a problem stands: its key in a JSON file, its line in any other, else the first line. */
export function rangeOf(
  document: vscode.TextDocument,
  { file, path, line }: Pick<Problem, 'file' | 'path' | 'line'>,
): vscode.Range {
  const isHere = file === undefined || document.uri.fsPath.endsWith(file.replace(/^.*[\\/]/, ''));
  const key = path === undefined ? undefined : keyRange(document, path);
  if (key !== undefined) return key;
  return lineRange(document, isHere ? (line ?? 1) : 1);
}

/** Of the nearest part of a key path that the file has. */
export function keyRange(document: vscode.TextDocument, path: string): vscode.Range | undefined {
  const root = parseTree(document.getText());
  if (root === undefined) return undefined;
  const parts = path.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  for (let length = parts.length; length > 0; length -= 1) {
    const value = findNodeAtLocation(root, parts.slice(0, length));
    const node = value?.parent?.type === 'property' ? value.parent : value;
    if (node) {
      return new vscode.Range(document.positionAt(node.offset), document.positionAt(node.offset + node.length));
    }
  }
  return undefined;
}

function lineRange(document: vscode.TextDocument, line: number): vscode.Range {
  const { range, firstNonWhitespaceCharacterIndex: start } = document.lineAt(
    Math.min(Math.max(line - 1, 0), document.lineCount - 1),
  );
  return new vscode.Range(range.start.translate(0, start), range.end);
}
