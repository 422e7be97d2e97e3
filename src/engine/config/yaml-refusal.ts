export class YamlRefusal extends Error {
  readonly line: number;
  /** A tab as white space: the one refusal after which the same file usually still is good JSON. */
  readonly isTab: boolean;
  constructor(message: string, line: number, isTab = false) {
    super(message);
    this.line = line;
    this.isTab = isTab;
  }
}
