/** How far a log was seen, kept for the next agent. */
export interface LogMark<T> {
  readonly seen: () => T | undefined;
  readonly keep: (seen: T) => void;
}
