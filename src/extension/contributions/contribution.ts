/** A text that VS Code shows in the user's language: in `package.json` stands its key, in `package.nls.json` the English. */
export interface Text {
  readonly key: string;
  readonly english: string;
}

export function text(key: string, english: string): Text {
  return { key, english };
}

export type CommandId = `aksml.${string}.${string}`;

export interface CommandContribution {
  /** `aksml.<noun>.<verb>` */
  readonly id: CommandId;
  readonly title: string;
  /** Of VS Code's codicons. */
  readonly icon?: string;
  readonly enablement?: string;
  /** When the palette offers it; default always, `false` for what needs a node. */
  readonly palette?: string | false;
  readonly menus?: readonly MenuContribution[];
}

export interface MenuContribution {
  readonly menu: string;
  readonly when?: string;
  /** `inline@1` puts the icon on the node. */
  readonly group: string;
}

export interface SettingContribution {
  readonly id: `aksml.${string}`;
  readonly description: string;
  /** `machine`: what is run or read with the user's rights must not come from a folder. */
  readonly scope: 'machine' | 'window' | 'resource';
  readonly schema: Readonly<Record<string, unknown>>;
}

export interface Contributions {
  readonly commands?: readonly CommandContribution[];
  readonly settings?: readonly SettingContribution[];
  readonly activationEvents?: readonly string[];
  /** Every other contribution point as VS Code documents it, with {@link Text} where people read. Lists are joined. */
  readonly points?: Readonly<Record<string, unknown>>;
}

export const TREE_VIEW = 'aksml.tree';

/** On the nodes of a kind; `flags` are further words of the node's context value. */
export function onNode(kind: string, group: string, ...flags: readonly string[]): MenuContribution {
  const conditions = [`/^${kind.replace('.', '\\.')};/`, ...flags.map((flag) => `/;${flag};/`)];
  return {
    menu: 'view/item/context',
    when: [`view == ${TREE_VIEW}`, ...conditions.map((condition) => `viewItem =~ ${condition}`)].join(' && '),
    group,
  };
}
