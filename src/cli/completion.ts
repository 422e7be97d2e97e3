import { type Command, command } from './command.ts';
import { choice } from './option.ts';

export const SHELLS = ['bash', 'zsh', 'fish', 'pwsh'] as const;

export const COMPLETION_COMMANDS: readonly Command[] = [
  command({
    name: '',
    summary: 'Set up completion in your shell',
    description: 'Prints a script that your shell reads at its start.',
    options: { shell: choice(SHELLS, { positional: true, required: true, placeholder: 'SHELL', help: 'Your shell.' }) },
    examples: [
      { line: 'source <(aksml completion bash)', what: 'In ~/.bashrc' },
      { line: 'source <(aksml completion zsh)', what: 'In ~/.zshrc, after compinit' },
      { line: 'aksml completion fish > ~/.config/fish/completions/aksml.fish', what: 'Once, for fish' },
      { line: 'aksml completion pwsh | Out-String | Invoke-Expression', what: 'In $PROFILE' },
    ],
    run: async (_context, { shell }) => {
      const { completionScript } = await import('./completion-scripts.ts');
      return { kind: 'text', text: completionScript(shell) };
    },
  }),
];
