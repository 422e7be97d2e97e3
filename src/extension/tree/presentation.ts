/** How a node looks; what VS Code needs of it and nothing that only VS Code has. */
export interface Presentation {
  readonly label: string;
  readonly description?: string;
  readonly icon?: { readonly id: string; readonly color?: string };
  /** Its kind, then what commands depend on, each followed by ";". */
  readonly contextValue: string;
  readonly expands: 'never' | 'collapsed' | 'expanded';
  /** Read by screen readers instead of label and description. */
  readonly spoken?: string;
  readonly command?: { readonly id: string; readonly title: string; readonly arguments?: readonly unknown[] };
}

/** What menus look at: the kind, then what commands depend on. */
export function context(kind: string, ...flags: readonly (string | false)[]): string {
  return [kind, ...flags]
    .filter((word) => word !== false)
    .map((word) => `${word};`)
    .join('');
}

/** What there is of the parts, in one line. */
export function joined(...parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== '').join(' · ');
}
