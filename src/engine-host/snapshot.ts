import { readIgnoreRules } from '../engine/snapshot/ignore.ts';
import type { HandlersOf } from './handler.ts';

export const SNAPSHOT: HandlersOf<'snapshot'> = {
  'snapshot.ignored': async ({ directory, paths }) => {
    const rules = await readIgnoreRules(directory);
    // A rule such as `data/` is about what is in the folder; the folder is then left out as well.
    return paths.map((path) => rules.ignores(path) || rules.ignoresAllBelow(path));
  },
};
