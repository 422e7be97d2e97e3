/** What a command answers. Only this goes to standard output. */
export type Result =
  | { readonly kind: 'nothing'; readonly exitCode?: number }
  | {
      readonly kind: 'value';
      /** In v1's shape: what `-o json` prints. */
      readonly value: unknown;
      /** For people; without one, it is made of the value. */
      readonly view?: View;
      /** What `-o yaml` prints instead, where there is a resource that can be applied elsewhere. */
      readonly resource?: unknown;
      readonly exitCode?: number;
    }
  /** A text of its own, such as a script; `-o json` makes a string of it. */
  | { readonly kind: 'text'; readonly text: string };

/** A value as people read it. */
export type View =
  | {
      readonly kind: 'rows';
      readonly columns: readonly string[];
      readonly rows: readonly (readonly Cell[])[];
      /** Columns that are left out, the first one first, when the terminal is too narrow for all. */
      readonly expendable?: readonly string[];
      /** Said instead of an empty table. */
      readonly empty: string;
    }
  | {
      readonly kind: 'facts';
      readonly facts: readonly (readonly [label: string, value: Cell])[];
      readonly note?: string;
    }
  /** Lines in the manner of `diff -u`. */
  | { readonly kind: 'patch'; readonly lines: readonly string[] }
  | { readonly kind: 'json' };

export type Cell = string | number | boolean | null | undefined;

export const NOTHING: Result = { kind: 'nothing' };

export function valueResult(value: unknown, view?: View): Result {
  return view === undefined ? { kind: 'value', value } : { kind: 'value', value, view };
}
