import type { SHELLS } from './completion.ts';

/**
 * Every script asks `aksml __complete` with the words before the cursor and the word under it. The answer has one candidate a line,
 * with its description behind a tab; the single line `:files` or `:folders` leaves the choice to the shell.
 */
export function completionScript(shell: (typeof SHELLS)[number]): string {
  return SCRIPTS[shell];
}

const BASH = `# aksml completion for bash
_aksml() {
  local IFS=$'\n' index word glued= current answers
  local -a words=()
  # Bash breaks words at ":" and "=", as in NAME:VERSION; here they are whole again.
  for ((index = 1; index <= COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    if [[ \${#words[@]} -gt 0 && ( -n $glued || $word == [:=] ) ]]; then words[\${#words[@]}-1]+="$word"; else words+=("$word"); fi
    if [[ $word == [:=] ]]; then glued=1; else glued=; fi
  done
  current="\${words[\${#words[@]}-1]}"
  answers="$(aksml __complete -- "\${words[@]}" 2>/dev/null)"
  case "$answers" in
    :files) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current")) ;;
    :folders) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$current")) ;;
    *) COMPREPLY=($(cut -f 1 <<<"$answers")) ;;
  esac
  if [[ $current == *[:=]* ]]; then
    for index in "\${!COMPREPLY[@]}"; do COMPREPLY[index]="\${COMPREPLY[index]#"\${current%"\${current##*[:=]}"}"}"; done
  fi
}
complete -F _aksml aksml
`;

const ZSH = `#compdef aksml
_aksml() {
  local -a answers described
  local line
  answers=("\${(@f)$(aksml __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  case "\${answers[1]-}" in
    :files) _files ;;
    :folders) _files -/ ;;
    '') return 1 ;;
    *)
      for line in "\${answers[@]}"; do described+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}"); done
      _describe aksml described ;;
  esac
}
compdef _aksml aksml
`;

const FISH = `# aksml completion for fish
function __aksml_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l answers (aksml __complete -- $words[2..] 2>/dev/null)
    switch "$answers[1]"
        case :files
            __fish_complete_path (commandline -ct)
        case :folders
            __fish_complete_directories (commandline -ct)
        case '*'
            printf '%s\\n' $answers
    end
end
complete -c aksml -f -a '(__aksml_complete)'
`;

const PWSH = `# aksml completion for PowerShell
Register-ArgumentCompleter -Native -CommandName aksml -ScriptBlock {
  param($current, $line, $cursor)
  $words = @($line.CommandElements | Select-Object -Skip 1 | Where-Object { $_.Extent.EndOffset -lt $cursor } | ForEach-Object { $_.ToString() })
  # An empty argument does not reach a program in every PowerShell.
  $answers = @(aksml __complete "--current=$current" -- @words 2>$null)
  if ($answers.Count -eq 0 -or $answers[0] -like ':*') { return }
  foreach ($answer in $answers) {
    $candidate, $description = $answer -split "\`t", 2
    if (-not $description) { $description = $candidate }
    [System.Management.Automation.CompletionResult]::new($candidate, $candidate, 'ParameterValue', $description)
  }
}
`;

const SCRIPTS: Readonly<Record<(typeof SHELLS)[number], string>> = { bash: BASH, zsh: ZSH, fish: FISH, pwsh: PWSH };
