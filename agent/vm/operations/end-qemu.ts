import type { WorkContext } from "./work.ts";

/**
 * Ends a paused QEMU that runs no guest. A person may have resumed it, and then it is a guest that runs, or that an event has
 * paused.
 */
export async function endQemu({ domains }: Pick<WorkContext, "domains">, vmId: string): Promise<void> {
  const now = await domains.state(vmId);
  if (now?.state === "paused" && !PAUSED_GUEST.has(now.stateReason)) await domains.destroy(vmId);
}

const PAUSED_GUEST: ReadonlySet<string> = new Set(["IOERROR", "WATCHDOG", "CRASHED"]);
