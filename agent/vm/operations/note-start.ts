import { isActive } from "../hypervisor/domain-state.ts";
import { requireRestored, unstartedOf } from "../model/unstarted.ts";
import { readSpec } from "./spec-change.ts";
import type { WorkContext } from "./work.ts";

/** Before a guest writes to the disks: from now on none of them is restored. Throws `conflict` VM_RESTORE_INCOMPLETE. */
export async function noteStart(context: WorkContext, vmId: string): Promise<void> {
  const { domains, table } = context;
  if (table.get(vmId)?.unstarted === undefined) return;
  const { spec, socle } = await readSpec(context, vmId);
  const { unstarted, ...rest } = socle;
  if (unstarted === undefined) return;
  requireRestored({ name: spec.name, unstarted: unstartedOf(unstarted) });
  await domains.setMetadata(vmId, rest, isActive(await domains.state(vmId)));
}
