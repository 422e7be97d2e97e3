import { findNodeAtLocation, type Node, parseTree } from 'jsonc-parser';

/**
 * Changes of single values in JSON with comments. jsonc-parser finds the places; its own edits would take comments with them and lay lines out
 * anew, and a configuration file belongs to the person who wrote it.
 */
type Path = readonly (string | number)[];

/** Sets a value; objects on the way to it that are missing are made. */
export function put(text: string, path: Path, value: unknown): string {
  const root = treeOf(text);
  const node = findNodeAtLocation(root, [...path]);
  if (node) return replace(text, node, value);
  const depth = path.findLastIndex((_, index) => findNodeAtLocation(root, path.slice(0, index)) !== undefined);
  const container = findNodeAtLocation(root, path.slice(0, depth)) ?? root;
  const inner = path.slice(depth + 1).reduceRight<unknown>((member, key) => ({ [key]: member }), value);
  if (container.type !== 'object') return replace(text, container, { [String(path[depth])]: inner });
  return insert(text, container, container.children?.length ?? 0, inner, `${JSON.stringify(path[depth])}: `);
}

/** Puts an entry into a list, before the one that has the index now. */
export function insertItem(text: string, path: Path, index: number, value: unknown): string {
  const list = findNodeAtLocation(treeOf(text), [...path]);
  return list?.type === 'array' ? insert(text, list, index, value, '') : text;
}

/** Takes a key or an entry out, with the comma that it no longer needs and the line that would be left blank. */
export function remove(text: string, path: Path): string {
  const found = findNodeAtLocation(treeOf(text), [...path]);
  const node = found?.parent?.type === 'property' ? found.parent : found;
  const siblings = node?.parent?.children;
  if (!node || !siblings) return text;
  const index = siblings.indexOf(node);
  const bare = withoutComments(text);
  const [start, end] = [node.offset, endOf(node)];
  const comma = commaAfter(bare, end, siblings[index + 1]?.offset ?? endOf(node.parent) - 1);
  if (comma !== undefined)
    return cut(
      text,
      [
        [start, end],
        [comma, comma + 1],
      ],
      start,
    );
  const before = siblings[index - 1];
  const commaBefore = before === undefined ? undefined : commaAfter(bare, endOf(before), start);
  return cut(
    text,
    commaBefore === undefined
      ? [[start, end]]
      : [
          [commaBefore, commaBefore + 1],
          [start, end],
        ],
    start,
  );
}

/**
 * v1 read these files as YAML first, so that a comment in them begins with `#`; JSON's usual ones are accepted here as well. Blanks take the
 * place of either, so that what is found in this text stands at the same place of the other.
 */
export function withoutComments(text: string): string {
  return text.replace(/"(?:[^"\\\n]|\\.)*"|\/\/.*|\/\*[\s\S]*?\*\/|(?<=^|[\s,{[])#.*|\uFEFF/gm, (found) =>
    found.startsWith('"') ? found : found.replace(/[^\r\n]/g, ' '),
  );
}

function treeOf(text: string): Node {
  const root = parseTree(withoutComments(text), [], { allowTrailingComma: true });
  if (!root) throw new RangeError('There is no JSON to change.');
  return root;
}

function replace(text: string, node: Node, value: unknown): string {
  const shown =
    isOneLine(text, node) && (node.children?.length ?? 0) > 0 ? inLine(value) : laidOut(text, node.offset, value);
  return splice(text, node.offset, endOf(node), shown);
}

function insert(text: string, container: Node, index: number, value: unknown, prefix: string): string {
  const children = container.children ?? [];
  const next = children[index];
  const last = children.at(-1);
  if (last === undefined) return fill(text, container, value, prefix);
  if (isOneLine(text, container)) {
    const shown = `${prefix}${inLine(value)}`;
    return next
      ? splice(text, next.offset, next.offset, `${shown}, `)
      : splice(text, endOf(last), endOf(last), `, ${shown}`);
  }
  const place = next ?? last;
  const indent = indentAt(text, place.offset);
  const shown = `${prefix}${laidOut(text, place.offset, value)}`;
  if (next) return splice(text, next.offset, next.offset, `${shown},${lineEndOf(text)}${indent}`);
  // After the comment that may follow the last one on its line; the comma stays with what it ends.
  const bare = withoutComments(text);
  const hasComma = commaAfter(bare, endOf(last), endOf(container) - 1) !== undefined;
  const lineEnd = /\r?\n/.exec(text.slice(endOf(last)));
  const at = Math.min(endOf(last) + (lineEnd?.index ?? 0), endOf(container) - 1);
  const line = `${lineEndOf(text)}${indent}${shown}${hasComma ? ',' : ''}`;
  const extended = splice(text, at, at, line);
  return hasComma ? extended : splice(extended, endOf(last), endOf(last), ',');
}

/** The first member of an empty object or list. */
function fill(text: string, container: Node, value: unknown, prefix: string): string {
  const at = container.offset + 1;
  if (container.type === 'array') return splice(text, at, at, `${prefix}${inLine(value)}`);
  const outer = indentAt(text, container.offset);
  const inner = `${outer}${unitOf(text)}`;
  const end = lineEndOf(text);
  const shown = JSON.stringify(value, undefined, unitOf(text)).replaceAll('\n', `${end}${inner}`);
  const rest = text.slice(at, endOf(container) - 1).trim() === '' ? endOf(container) - 1 : at;
  return splice(text, at, rest, `${end}${inner}${prefix}${shown}${end}${outer}`);
}

/** Deletes stretches, and the rest of the line at `place` where nothing is left of it, or the blanks where something is. */
function cut(text: string, stretches: readonly (readonly [start: number, end: number])[], place: number): string {
  let result = text;
  let at = place;
  for (const [start, end] of [...stretches].sort(([a], [b]) => b - a)) {
    result = splice(result, start, end, '');
    if (start < place) at -= end - start;
  }
  const lineStart = result.lastIndexOf('\n', at - 1) + 1;
  const lineEnd = result.indexOf('\n', at);
  const isBlank = result.slice(lineStart, lineEnd < 0 ? undefined : lineEnd).trim() === '';
  if (isBlank && lineStart > 0 && lineEnd >= 0) return splice(result, lineStart, lineEnd + 1, '');
  const blanks = /^[ \t]+(?=\S)/.exec(result.slice(at))?.[0].length ?? 0;
  const isAfterBlank = /[ \t]/.test(result[at - 1] ?? '');
  return isAfterBlank ? splice(result, at, at + blanks, '') : result;
}

function commaAfter(bare: string, from: number, to: number): number | undefined {
  const found = bare.indexOf(',', from);
  return found >= 0 && found < to ? found : undefined;
}

function isOneLine(text: string, node: Node): boolean {
  return !text.slice(node.offset, endOf(node)).includes('\n');
}

/** As it is written among others on one line: `{ "a": [1, 2] }`. */
function inLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inLine).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}: ${inLine(member)}`);
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`;
}

/** As it is written over lines of its own, at the depth of the place. */
function laidOut(text: string, offset: number, value: unknown): string {
  return JSON.stringify(value, undefined, unitOf(text)).replaceAll('\n', `${lineEndOf(text)}${indentAt(text, offset)}`);
}

function indentAt(text: string, offset: number): string {
  return /^[ \t]*/.exec(text.slice(text.lastIndexOf('\n', offset - 1) + 1))?.[0] ?? '';
}

function unitOf(text: string): string {
  return /\n([ \t]+)\S/.exec(text)?.[1] ?? '  ';
}

function lineEndOf(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n';
}

function endOf(node: Node | undefined): number {
  return node === undefined ? 0 : node.offset + node.length;
}

function splice(text: string, start: number, end: number, replacement: string): string {
  return text.slice(0, start) + replacement + text.slice(end);
}
