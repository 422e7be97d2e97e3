/** POSIX (and PowerShell): nothing is special between single quotes but the quote itself. */
export function shellWord(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A command as people would write it, to be copied into a shell. */
export function shellLine(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+,./:=-]+$/.test(word) ? word : shellWord(word))).join(' ');
}
