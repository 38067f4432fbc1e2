/** Work that takes a domain a while. */
import { procedure } from "../rpc/procedure.ts";
import { int, typedParameters, uhyper, uint } from "../rpc/xdr.ts";
import { domain } from "./objects.ts";

const read = { idempotent: true } as const;

export const domainGetJobInfo = procedure(
  "DOMAIN_GET_JOB_INFO",
  163,
  { dom: domain },
  {
    type: int,
    timeElapsed: uhyper,
    timeRemaining: uhyper,
    dataTotal: uhyper,
    dataProcessed: uhyper,
    dataRemaining: uhyper,
    memTotal: uhyper,
    memProcessed: uhyper,
    memRemaining: uhyper,
    fileTotal: uhyper,
    fileProcessed: uhyper,
    fileRemaining: uhyper,
  },
  read,
);
/**
 * `type` is one of `JobType`; without a job it is NONE and `params` is empty. With the flag COMPLETED it is the last job
 * that ended, which libvirt then forgets unless KEEP_COMPLETED is there too.
 */
export const domainGetJobStats = procedure(
  "DOMAIN_GET_JOB_STATS",
  298,
  { dom: domain, flags: uint },
  { type: int, params: typedParameters(64) },
  read,
);
export const domainAbortJob = procedure("DOMAIN_ABORT_JOB", 164, { dom: domain }, {});
export const domainAbortJobFlags = procedure("DOMAIN_ABORT_JOB_FLAGS", 442, { dom: domain, flags: uint }, {});
/** Whether the monitor answers: `state` is one of `DomainControlState`, `stateTime` milliseconds. */
export const domainGetControlInfo = procedure(
  "DOMAIN_GET_CONTROL_INFO",
  229,
  { dom: domain, flags: uint },
  { state: uint, details: uint, stateTime: uhyper },
  read,
);
/** The outcome comes with the DIRTYRATE group of the bulk stats. */
export const domainStartDirtyRateCalc = procedure(
  "DOMAIN_START_DIRTY_RATE_CALC",
  427,
  { dom: domain, seconds: int, flags: uint },
  {},
);
