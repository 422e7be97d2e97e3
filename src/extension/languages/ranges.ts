import { findNodeAtLocation, type Node, parseTree } from 'jsonc-parser';
import * as vscode from 'vscode';
import type { Problem } from '../../contract/problem.ts';

/** Where the problems of a document stand: at their key in a JSON file, at their line in any other, else at the first line. */
export function rangesIn(
  document: vscode.TextDocument,
): (problem: Pick<Problem, 'file' | 'path' | 'line'>) => vscode.Range {
  const root = parseTree(document.getText());
  return ({ file, path, line }) => {
    const isHere = file === undefined || document.uri.fsPath.endsWith(file.replace(/^.*[\\/]/, ''));
    const node = root && path !== undefined ? nearestNode(root, path) : undefined;
    if (node === undefined) return lineRange(document, isHere ? (line ?? 1) : 1);
    return new vscode.Range(document.positionAt(node.offset), document.positionAt(node.offset + node.length));
  };
}

/** Of the nearest part of a key path that the file has. */
function nearestNode(root: Node, path: string): Node | undefined {
  const parts = path.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  for (let length = parts.length; length > 0; length -= 1) {
    const value = findNodeAtLocation(root, parts.slice(0, length));
    const node = value?.parent?.type === 'property' ? value.parent : value;
    if (node) return node;
  }
  return undefined;
}

function lineRange(document: vscode.TextDocument, line: number): vscode.Range {
  const { range, firstNonWhitespaceCharacterIndex: start } = document.lineAt(
    Math.min(Math.max(line - 1, 0), document.lineCount - 1),
  );
  return new vscode.Range(range.start.translate(0, start), range.end);
}
