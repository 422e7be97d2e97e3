import { COMMANDS } from './commands.ts';
import {
  type CommandContribution,
  type Contributions,
  type SettingContribution,
  type Text,
  text,
} from './contribution.ts';
import { ENDPOINT_CONTRIBUTIONS } from './endpoint-commands.ts';
import { FORM_CONTRIBUTIONS } from './forms.ts';
import { LOG_CONTRIBUTIONS } from './log-commands.ts';
import { PROJECT_FILES } from './project-files.ts';
import { SETTINGS } from './settings.ts';
import { VIEWS } from './views.ts';
import { WALKTHROUGH } from './walkthrough.ts';

/** Everything that the extension adds to VS Code; a new part is a file beside this one, and a line here. */
const PARTS: readonly Contributions[] = [
  COMMANDS,
  ENDPOINT_CONTRIBUTIONS,
  LOG_CONTRIBUTIONS,
  FORM_CONTRIBUTIONS,
  PROJECT_FILES,
  VIEWS,
  SETTINGS,
  WALKTHROUGH,
];

const CATEGORY: Text = { key: 'category', english: 'AKS ML' };

export const COMMAND_IDS: readonly string[] = PARTS.flatMap(({ commands = [] }) => commands.map(({ id }) => id));

/** What of the extension works where. */
const CAPABILITIES = {
  untrustedWorkspaces: {
    supported: 'limited',
    description: text(
      'capability.untrusted',
      'Until the folder is trusted its files can be edited; nothing is deployed, and no process of the engine runs.',
    ),
    // A folder must not choose where what it holds is sent.
    restrictedConfigurations: ['aksml.workspace', 'aksml.target'],
  },
  virtualWorkspaces: {
    supported: false,
    description: text('capability.virtual', 'Deploying reads the files of the folder from the disk.'),
  },
};

export interface Manifest {
  readonly capabilities: unknown;
  readonly contributes: Readonly<Record<string, unknown>>;
  readonly activationEvents: readonly string[];
  /** `package.nls.json` */
  readonly texts: Readonly<Record<string, string>>;
}

/** What `package.json` and `package.nls.json` say, made from {@link PARTS}. */
export function manifest(parts: readonly Contributions[] = PARTS): Manifest {
  const commands = parts.flatMap((part) => part.commands ?? []);
  const points: Record<string, unknown> = {
    commands: commands.map(commandPoint),
    menus: menusOf(commands),
    configuration: {
      title: CATEGORY,
      properties: Object.fromEntries(parts.flatMap((part) => part.settings ?? []).map(settingPoint)),
    },
  };
  for (const part of parts)
    for (const [point, value] of Object.entries(part.points ?? {})) points[point] = joined(points[point], value);
  const texts = new Map<string, string>();
  const contributes = withKeys(points, texts) as Record<string, unknown>;
  const capabilities = withKeys(CAPABILITIES, texts);
  return {
    capabilities,
    contributes,
    activationEvents: parts.flatMap((part) => part.activationEvents ?? []).sort(),
    texts: Object.fromEntries([...texts].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

function commandPoint({ id, title, icon, enablement }: CommandContribution): object {
  return {
    command: id,
    title: { key: id, english: title } satisfies Text,
    category: CATEGORY,
    ...(icon === undefined ? {} : { icon: `$(${icon})` }),
    ...(enablement === undefined ? {} : { enablement }),
  };
}

function menusOf(commands: readonly CommandContribution[]): Readonly<Record<string, readonly object[]>> {
  const menus: Record<string, object[]> = {};
  for (const { id: command, palette, menus: places = [] } of commands) {
    for (const { menu, when, group } of places) {
      menus[menu] = [...(menus[menu] ?? []), { command, ...(when === undefined ? {} : { when }), group }];
    }
    if (palette === undefined) continue;
    const when = palette === false ? 'false' : palette;
    menus['commandPalette'] = [...(menus['commandPalette'] ?? []), { command, when }];
  }
  return menus;
}

function settingPoint({ id, description, scope, schema }: SettingContribution): readonly [string, object] {
  return [id, { ...schema, scope, markdownDescription: { key: `setting.${id}`, english: description } satisfies Text }];
}

/** Lists of several parts become one, and so do objects, member by member. */
function joined(present: unknown, added: unknown): unknown {
  if (present === undefined) return added;
  if (Array.isArray(present) && Array.isArray(added)) return [...present, ...added];
  if (!isObject(present) || !isObject(added)) throw new Error('two parts contribute to one point in different forms');
  const keys = new Set([...Object.keys(present), ...Object.keys(added)]);
  return Object.fromEntries(
    [...keys].map((key) => [key, key in added ? joined(present[key], added[key]) : present[key]]),
  );
}

function withKeys(value: unknown, texts: Map<string, string>): unknown {
  if (Array.isArray(value)) return value.map((item) => withKeys(item, texts));
  if (!isObject(value)) return value;
  if (isText(value)) {
    const known = texts.get(value.key);
    if (known !== undefined && known !== value.english) throw new Error(`the text ${value.key} has two meanings`);
    texts.set(value.key, value.english);
    return `%${value.key}%`;
  }
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, withKeys(member, texts)]));
}

function isText(value: object): value is Text {
  return 'key' in value && 'english' in value && Object.keys(value).length === 2;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
