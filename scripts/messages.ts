import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GROUPS } from '../webview-ui/configuration/fields.ts';

const root = join(import.meta.dirname, '..');

/** Where VS Code looks for the messages; a translation lies beside it as `bundle.l10n.LANGUAGE.json`. */
export const MESSAGES_FILE = 'l10n/bundle.l10n.json';

const SOURCES = ['src/extension/**/*.ts', 'webview-ui/**/*.{ts,tsx}'];
/** Defines `t` itself. */
const DEFINITION = 'webview-ui/host/l10n.ts';
/** A call of `l10n.t`, under any of its names, with the beginning of its first argument. */
const CALL =
  /(?<![\w.])(?:(?:vscode\.)?l10n\.t|(?:this\.#)?t)\(\s*(?<argument>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|[\w.`]+)/g;
/** What the forms say of a key: the only messages that are looked up by a variable. */
const OF_KEYS = 'spec.help';

/**
 * Every message that extension and forms look up with `l10n.t`, for {@link MESSAGES_FILE}.
 * @throws Error for a message that is not written where it is looked up, because no translation could have it
 */
export async function messages(): Promise<Readonly<Record<string, string>>> {
  const found = new Set(
    Object.values(GROUPS).flatMap((groups) => groups.flatMap(({ fields }) => fields.map(({ help }) => help))),
  );
  for await (const file of glob(SOURCES, { cwd: root })) {
    if (file === DEFINITION) continue;
    for (const message of messagesIn(await readFile(join(root, file), 'utf8'), file)) found.add(message);
  }
  return Object.fromEntries([...found].sort().map((message) => [message, message]));
}

/** `file`: named when it is refused. */
export function messagesIn(code: string, file: string): readonly string[] {
  return [...code.matchAll(CALL)].flatMap(({ groups }) => {
    const argument = groups?.['argument'] ?? '';
    if (argument === OF_KEYS) return [];
    if (!/^['"]/.test(argument)) throw new Error(`${file} looks up ${argument}, which is not the text of a message`);
    return [argument.slice(1, -1).replaceAll(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))];
  });
}
