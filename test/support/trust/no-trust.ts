import { systemClock } from "../../../agent/kernel/clock.ts";
import { createLog } from "../../../agent/kernel/log.ts";
import { replaceFile } from "../../../agent/state/journal/durable-file.ts";
import { Trust } from "../../../agent/trust/index.ts";

/** No TLS: loopback and the unix socket need none. */
export const noTrust = new Trust({
  replaceFile,
  directory: "/nowhere",
  domain: null,
  clock: systemClock,
  log: createLog({ level: "error" }),
});
