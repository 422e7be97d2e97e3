import { useEffect, useRef, useState } from 'preact/hooks';

const TYPING_PAUSE_MS = 250;

/** What is typed shows at once, goes to the file when the typing pauses, and never jumps back under the cursor. */
export function useTyping(present: string, commit: (text: string) => void) {
  const [draft, setDraft] = useState<string | undefined>(undefined);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const latest = useRef(commit);
  latest.current = commit;
  useEffect(() => () => clearTimeout(timer.current), []);
  return {
    text: draft ?? present,
    type: (text: string) => {
      setDraft(text);
      clearTimeout(timer.current);
      timer.current = setTimeout(() => latest.current(text), TYPING_PAUSE_MS);
    },
    leave: () => {
      clearTimeout(timer.current);
      if (draft !== undefined && draft !== present) latest.current(draft);
      setDraft(undefined);
    },
  };
}
