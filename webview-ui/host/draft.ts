import { useLayoutEffect } from 'preact/hooks';

/**
 * Keeps what a form holds in the moment in which it shows it, for a window may be reloaded in the next one. `draft` is undefined as long as what
 * was kept before is not replaced by anything; it is asked for anew when one of the `parts` changes that it is made of.
 */
export function useDraft<S>(
  host: { readonly save: (draft: S) => void },
  draft: () => S | undefined,
  parts: readonly unknown[],
): void {
  useLayoutEffect(() => {
    const kept = draft();
    if (kept !== undefined) host.save(kept);
  }, parts);
}
