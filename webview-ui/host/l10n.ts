/** Message in English -> in the user's language, as `vscode.l10n.bundle` has them. */
export type L10nBundle = Readonly<Record<string, string | { readonly message: string }>>;

let bundle: L10nBundle = {};

export function useBundle(messages: L10nBundle): void {
  bundle = messages;
}

export const l10n = {
  /** As `vscode.l10n.t`: `{0}` and on are the arguments. */
  t(message: string, ...args: readonly (string | number)[]): string {
    const found = bundle[message];
    const text = found === undefined ? message : typeof found === 'string' ? found : found.message;
    return text.replace(/\{(\d+)\}/g, (place, index) => String(args[Number(index)] ?? place));
  },
};
