import type { Vm__Output } from "../gen/socle/v1/Vm.ts";
import type { VmCounts__Output } from "../gen/socle/v1/VmCounts.ts";
import type { VmFilter } from "../gen/socle/v1/VmFilter.ts";
import type { Agent } from "./client.ts";
import type { Paint } from "./io.ts";
import { allPages } from "./pages.ts";

/** A list that is incomplete while libvirt answers: it is being read, or one VM is unreadable. */
export const othersText =
  "libvirt has not reported all VMs: there may be others (the agent's log names an unreadable one)";

/** The VMs that match, by id: the agent sorts so, since VMs that come and go must not disturb pages. */
export async function allVms(agent: Agent, filter: VmFilter | null = null) {
  const pages = await allPages((pageToken) =>
    agent.ask(agent.contract.vms.ListVms, { pageSize: 1000, pageToken, filter }),
  );
  const { presence, observedAt = null } = pages.at(-1)?.observation ?? {};
  return { vms: pages.flatMap(({ vms }) => vms), complete: presence === "PRESENCE_PRESENT", observedAt };
}

export const byName = (a: Vm__Output, b: Vm__Output): number =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : 0;

/** "running" green, a fault red, any other state yellow. */
export function paintState(text: string, paint: Paint): string {
  const state = text.trim();
  if (state === "running") return paint("green", text);
  return paint(/crashed|error|unresp|\?$/.test(state) ? "red" : "yellow", text);
}

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
