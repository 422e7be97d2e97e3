import { readIgnoreRules } from '../engine/snapshot/ignore.ts';
import type { HandlersOf } from './handler.ts';

export const SNAPSHOT: HandlersOf<'snapshot'> = {
  'snapshot.ignored': async ({ directory, paths }) => {
    const rules = await readIgnoreRules(directory);
    return paths.map((path) => rules.ignores(path));
  },
};
