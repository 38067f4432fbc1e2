export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** FIRST-LAST, as the configuration has it. Undefined: it is none, or not in ascending order. */
export function portRange(text: string): PortRange | undefined {
  const [, first = 0, last = 0] = (/^([1-9]\d{0,4})-([1-9]\d{0,4})$/.exec(text) ?? []).map(Number);
  return first > 0 && first <= last && last <= 65535 ? { first, last } : undefined;
}
