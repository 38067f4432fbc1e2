import { systemClock } from "../../../agent/kernel/clock.ts";
import { createLog } from "../../../agent/kernel/log.ts";
import { Trust } from "../../../agent/trust/index.ts";

/** No TLS: what loopback and the unix socket are without. */
export const noTrust = new Trust({
  directory: "/nowhere",
  domain: null,
  clock: systemClock,
  log: createLog({ level: "error" }),
});
