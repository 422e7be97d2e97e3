import { type ParseError, parse } from 'jsonc-parser';

/** Quoted text, or a comment as YAML has them. */
const TEXT_OR_COMMENT = /"(?:[^"\\\n]|\\.)*"|(?<=^|[\s,{[])#.*/gm;

/**
 * Which of VS Code's languages a configuration file is written in, whatever its name: v1 read these files as YAML first, so that JSON with `#`
 * comments, and YAML altogether, work in a `.json` file. Undefined for what is neither, such as JSON that is being typed.
 */
export function notationOf(text: string): 'json' | 'yaml' | undefined {
  if (text.trim() === '') return undefined;
  if (isJson(text)) return 'json';
  const bare = text.replace(TEXT_OR_COMMENT, (found) => (found.startsWith('#') ? '' : found));
  if (!/^\s*[{[]/.test(bare)) return 'yaml';
  const errors: ParseError[] = [];
  parse(bare, errors, { allowTrailingComma: true, disallowComments: true });
  return errors.length === 0 ? 'yaml' : undefined;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
