import type { VmState } from "../model/vm.ts";
import type { WorkContext } from "./work.ts";

/**
 * Ends a paused QEMU that runs no guest. A person may have resumed it, and then it is a guest that runs, or that an event has
 * paused.
 */
export async function endQemu({ domains }: Pick<WorkContext, "domains">, vmId: string): Promise<void> {
  if (isIdle(await domains.state(vmId))) await domains.destroy(vmId);
}

/** Whether a paused QEMU runs no guest, if it was started so. */
export const isIdle = (now: { readonly state: VmState; readonly stateReason: string } | undefined): boolean =>
  now?.state === "paused" && !PAUSED_GUEST.has(now.stateReason);

const PAUSED_GUEST: ReadonlySet<string> = new Set(["IOERROR", "WATCHDOG", "CRASHED"]);
