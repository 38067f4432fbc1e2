import type { Vm__Output } from "../gen/socle/v1/Vm.ts";
import type { VmCounts__Output } from "../gen/socle/v1/VmCounts.ts";

/** A list that is incomplete while libvirt answers: it is being read, or one VM is unreadable. */
export const othersText =
  "libvirt has not reported all VMs: there may be others (the agent's log names an unreadable one)";

export const isSeen = ({ observation }: Vm__Output): boolean => observation?.presence === "PRESENCE_PRESENT";

/** "2 managed, 1 unmanaged, 2 running, 1 unresponsive"; unknown counts are not shown as zero. */
export function vmCountsText(counts: VmCounts__Output | null | undefined): string {
  const { managed = 0, unmanaged = 0, running = 0, unresponsive = 0, unknown = 0 } = counts ?? {};
  const { unreadable = 0 } = counts ?? {};
  const isWhole = counts?.complete === true;
  if (!isWhole && managed + unmanaged === 0) return "unknown: libvirt has not reported its VMs yet";
  const text = [
    `${managed} managed, ${unmanaged} unmanaged`,
    ...(isWhole || running > 0 ? [`${running - unresponsive} running`] : []),
    ...(unresponsive > 0 ? [`${unresponsive} unresponsive`] : []),
    ...(unreadable > 0 ? [`${unreadable} unreadable`] : []),
    ...(unknown > 0 ? [`${unknown} unknown`] : []),
  ].join(", ");
  if (isWhole) return text;
  return `${text}: ${unknown < managed + unmanaged ? othersText : "as last seen, libvirt does not answer"}`;
}
