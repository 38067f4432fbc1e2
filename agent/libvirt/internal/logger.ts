interface LogMethod {
  (fields: Readonly<Record<string, unknown>>, message: string): void;
  (message: string): void;
}

/** Where the client logs; pino's Logger is one. */
export interface Logger {
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
  /** A logger that adds these fields to each line. */
  child(fields: Record<string, unknown>): Logger;
}

const nothing = (): void => undefined;

/** Discards all lines. */
export const silent: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silent,
};
