import { pino, type Logger, type DestinationStream } from "pino";

export type { Logger };

interface LogOptions {
  readonly level: string;
  readonly destination?: DestinationStream;
}

/** Most bytes buffered for a slow or stopped reader of stdout; further lines are dropped. */
const maxWaitingBytes = 4 * 1024 * 1024;

/** JSON lines on stdout. Fields used across the agent: `component`, `vm`, `operation`, `caller`, `err`. */
export const createLog = (options: LogOptions): Logger =>
  pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: ["*.password", "*.token", "*.secret", "password", "token", "secret"],
        censor: "[redacted]",
      },
    },
    options.destination ?? pino.destination({ fd: 1, sync: false, maxLength: maxWaitingBytes }),
  );

/** A log without output, for tests and for the CLI. */
export const silentLog: Logger = pino({ level: "silent" });
