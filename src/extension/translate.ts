/** VS Code's `l10n.t`: the English with `{0}` for its arguments. */
export type Translate = (message: string, ...args: (string | number)[]) => string;
