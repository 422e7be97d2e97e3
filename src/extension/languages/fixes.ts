import { applyEdits, findNodeAtLocation, getNodeValue, modify, type Node, parseTree } from 'jsonc-parser';
import type { ConfigurationKey } from '../../contract/configuration/deployment-keys.ts';
import type { Problem } from '../../contract/problem.ts';

/** What solves a problem of a configuration file by changing the file alone. */
export type Fix =
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'set'; readonly path: string; readonly value: string | number | boolean };

/** Those that are offered for a problem, the best one first. `keys`: of the file. */
export function fixesOf(problem: Problem, text: string, keys: readonly ConfigurationKey[]): readonly Fix[] {
  const { code, path, suggestion } = problem;
  const root = parseTree(text);
  if (root === undefined || path === undefined) return [];
  switch (code) {
    case 'key.unknown':
    case 'key.noEffect':
      if (nodeAt(root, path) === undefined) return [];
      return [
        ...(suggestion === undefined || nodeAt(root, suggestion) !== undefined
          ? []
          : [{ kind: 'rename', from: path, to: suggestion } as const]),
        { kind: 'remove', path },
      ];
    case 'computeType.unknown':
    case 'computeType.missing':
      return (
        renamed(root, path) ??
        (keys.find((key) => key.path === path)?.values ?? []).map((value) => ({ kind: 'set', path, value }))
      );
    case 'autoscale.minAboveMax':
      return swapBounds(root);
    default:
      return unquoted(root, path, keys);
  }
}

/** The text of the file with a fix made; comments and everything else stay. */
export function fixed(text: string, fix: Fix): string {
  const formattingOptions = formattingOf(text);
  switch (fix.kind) {
    case 'set':
      return applyEdits(text, modify(text, segments(fix.path), fix.value, { formattingOptions }));
    case 'remove':
      return applyEdits(text, modify(text, segments(fix.path), undefined, { formattingOptions }));
    case 'rename': {
      const root = parseTree(text);
      const node = root && nodeAt(root, fix.from);
      if (node === undefined) return text;
      if (parentOf(fix.from) === parentOf(fix.to)) return withKey(text, node, lastOf(fix.to));
      const value: unknown = getNodeValue(node);
      const moved = applyEdits(text, modify(text, segments(fix.to), value, { formattingOptions }));
      return applyEdits(moved, modify(moved, segments(fix.from), undefined, { formattingOptions }));
    }
    default:
      return fix satisfies never;
  }
}

/** v1 took text for what it says, or crashed on it. */
function unquoted(root: Node, path: string, keys: readonly ConfigurationKey[]): readonly Fix[] {
  const value: unknown = getValue(root, path);
  const type = keys.find((key) => key.path === path)?.type;
  if (typeof value !== 'string' || type === undefined) return [];
  if (type === 'boolean' && /^(true|false)$/i.test(value.trim())) {
    return [{ kind: 'set', path, value: value.trim().toLowerCase() === 'true' }];
  }
  const isNumber = type === 'integer' ? /^-?\d+$/ : /^-?\d+(\.\d+)?$/;
  if ((type === 'integer' || type === 'number') && isNumber.test(value.trim())) {
    return [{ kind: 'set', path, value: Number(value) }];
  }
  return [];
}

const MIN = 'autoScaler.minReplicas';
const MAX = 'autoScaler.maxReplicas';

function swapBounds(root: Node): readonly Fix[] {
  const min: unknown = getValue(root, MIN);
  const max: unknown = getValue(root, MAX);
  if (typeof min !== 'number' || typeof max !== 'number') return [];
  return [
    { kind: 'set', path: MAX, value: min },
    { kind: 'set', path: MIN, value: max },
  ];
}

function withKey(text: string, value: Node, key: string): string {
  const name = value.parent?.children?.[0];
  if (name === undefined) return text;
  return `${text.slice(0, name.offset)}${JSON.stringify(key)}${text.slice(name.offset + name.length)}`;
}

/** To a key from one of the top level that differs in case, or by `-` and `_`. */
function renamed(root: Node, key: string): readonly Fix[] | undefined {
  const letters = (text: string) => text.replace(/[-_]/g, '').toLowerCase();
  const names = (root.children ?? []).map((property) => String(property.children?.[0]?.value ?? ''));
  const from = names.find((name) => name !== key && letters(name) === letters(key));
  return from === undefined ? undefined : [{ kind: 'rename', from, to: key }];
}

function nodeAt(root: Node, path: string): Node | undefined {
  return findNodeAtLocation(root, segments(path));
}

function getValue(root: Node, path: string): unknown {
  const node = nodeAt(root, path);
  return node === undefined ? undefined : getNodeValue(node);
}

function segments(path: string): (string | number)[] {
  return path.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

function parentOf(path: string): string {
  return path.split('.').slice(0, -1).join('.');
}

function lastOf(path: string): string {
  return path.split('.').at(-1) ?? path;
}

function formattingOf(text: string): {
  readonly insertSpaces: boolean;
  readonly tabSize: number;
  readonly eol: string;
} {
  const indent = /^([ \t]+)\S/m.exec(text)?.[1] ?? '  ';
  return {
    insertSpaces: !indent.startsWith('\t'),
    tabSize: indent.startsWith('\t') ? 4 : indent.length,
    eol: text.includes('\r\n') ? '\r\n' : '\n',
  };
}
