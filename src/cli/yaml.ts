import { Document, Scalar, visit } from 'yaml';
import { printableJson, printableLines } from './printable.ts';

/**
 * A value as YAML that a terminal can show. A module of its own, to be imported on demand: bundled, a CommonJS package that is imported
 * dynamically has no named exports.
 */
export function toYaml(value: unknown): string {
  const document = new Document(JSON.parse(JSON.stringify(value ?? null)), { aliasDuplicateObjects: false });
  visit(document, {
    Scalar(_key, node) {
      // Only double-quoted scalars can escape what a terminal would obey.
      if (typeof node.value === 'string' && printableLines(node.value) !== node.value) node.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return printableJson(document.toString({ lineWidth: 0 }));
}
