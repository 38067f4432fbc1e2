/** The last position read in a log, kept across restarts of the agent. */
export interface LogMark<T> {
  readonly seen: () => T | undefined;
  readonly keep: (seen: T) => void;
}
