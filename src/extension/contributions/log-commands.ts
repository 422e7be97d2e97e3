import { type CommandContribution, type Contributions, type MenuContribution, onNode } from './contribution.ts';

/** A log that is streamed: lines are shown, or only kept. One that has ended stays to be read. */
type State = 'running' | 'paused' | 'ended';

/** Wherever a log in one of these states is seen: on the node that it is of, above the Output view and above a terminal. */
function onLog(order: number, place: 'icon' | 'entry', ...states: readonly State[]): readonly MenuContribution[] {
  const isAny = (key: string) => states.map((state) => `${key} == ${state}`).join(' || ');
  const group = place === 'icon' ? `navigation@${20 + order}` : `1_log@${order}`;
  const flag = states.length === 1 ? states : ['streamed'];
  return [
    ...['endpoint', 'version', 'replica'].map((kind) => onNode(kind, `4_log@${order}`, ...flag)),
    { menu: 'view/title', when: `view == workbench.panel.output && (${isAny('aksml.log.output')})`, group },
    { menu: 'view/title', when: `view == terminal && (${isAny('aksml.log.terminal')})`, group },
    { menu: 'terminal/context', when: isAny('aksml.log.terminal'), group: `1_log@${order}` },
    { menu: 'terminal/title/context', when: isAny('aksml.log.terminal'), group: `1_log@${order}` },
  ];
}

/** Also one that has ended can still be searched and kept. */
const IS_SHOWN = 'aksml.logging || aksml.log.output == ended || aksml.log.terminal == ended';

const LOG_COMMANDS: readonly CommandContribution[] = [
  {
    id: 'aksml.log.pause',
    title: 'Pause Log',
    icon: 'debug-pause',
    palette: 'aksml.logging',
    menus: onLog(1, 'icon', 'running'),
  },
  {
    id: 'aksml.log.resume',
    title: 'Resume Log',
    icon: 'debug-continue',
    palette: 'aksml.logging',
    menus: onLog(1, 'icon', 'paused'),
  },
  {
    id: 'aksml.log.stop',
    title: 'Stop Streaming Log',
    icon: 'debug-stop',
    palette: 'aksml.logging',
    menus: onLog(2, 'icon', 'running', 'paused'),
  },
  {
    id: 'aksml.log.filter',
    title: 'Filter Log…',
    icon: 'filter',
    palette: IS_SHOWN,
    menus: onLog(3, 'entry', 'running', 'paused', 'ended'),
  },
  {
    id: 'aksml.log.save',
    title: 'Save Log As…',
    icon: 'save-as',
    palette: IS_SHOWN,
    menus: onLog(4, 'entry', 'running', 'paused', 'ended'),
  },
  { id: 'aksml.log.manage', title: 'Manage Streamed Logs…', icon: 'output', palette: 'aksml.logging' },
];

export const LOG_CONTRIBUTIONS: Contributions = { commands: LOG_COMMANDS };
