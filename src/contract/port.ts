/** Whether a whole number can be the port of a server. */
export function isPort(number: number): boolean {
  return number >= 1 && number <= 65535;
}
