import type { Vm__Output } from "../gen/socle/v1/Vm.ts";
import type { VmCounts__Output } from "../gen/socle/v1/VmCounts.ts";

/** Of a list that is not whole though libvirt answers: it is being read, or one of them cannot be. */
export const othersText =
  "libvirt has not told of all VMs: there may be others (the agent's log names one that it cannot read)";

export const isSeen = ({ observation }: Vm__Output): boolean => observation?.presence === "PRESENCE_PRESENT";

/** "2 managed, 1 unmanaged, 2 running, 1 unresponsive"; what is not known of them is not told as none. */
export function vmCountsText(counts: VmCounts__Output | null | undefined): string {
  const { managed = 0, unmanaged = 0, running = 0, unresponsive = 0, unknown = 0 } = counts ?? {};
  const { unreadable = 0 } = counts ?? {};
  const isWhole = counts?.complete === true;
  if (!isWhole && managed + unmanaged === 0) return "unknown: libvirt has not told of them yet";
  const told = [
    `${managed} managed, ${unmanaged} unmanaged`,
    ...(isWhole || running > 0 ? [`${running - unresponsive} running`] : []),
    ...(unresponsive > 0 ? [`${unresponsive} unresponsive`] : []),
    ...(unreadable > 0 ? [`${unreadable} unreadable`] : []),
    ...(unknown > 0 ? [`${unknown} unknown`] : []),
  ].join(", ");
  if (isWhole) return told;
  return `${told}: ${unknown < managed + unmanaged ? othersText : "as last seen, libvirt does not answer"}`;
}
