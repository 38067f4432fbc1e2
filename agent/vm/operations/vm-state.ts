import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { requireReadable } from "../model/unreadable.ts";
import { requireRestored } from "../model/unstarted.ts";
import type { Vm, VmState } from "../model/vm.ts";
import type { OperationDefinition } from "./definition.ts";
import type { WorkContext } from "./work.ts";

// A VM's state from libvirt. Each function throws `not_found` VM_NOT_FOUND if the VM is gone.

/** Its state once all calls of an earlier run have taken effect. */
export const settled = async ({ domains }: WorkContext, vmId: string): Promise<{ state: VmState }> =>
  present(vmId, await domains.settledState(vmId));

export const known = async ({ domains }: WorkContext, vmId: string): Promise<{ state: VmState }> =>
  present(vmId, await domains.steadyState(vmId));

export function present(vmId: string, state: { state: VmState } | undefined): { state: VmState } {
  if (state !== undefined) return state;
  throw new SocleError("not_found", "VM_NOT_FOUND", `there is no VM ${vmId} on this host any more`);
}

/** Throws `unavailable` LIBVIRT_UNAVAILABLE before the VMs are known: a VM that is not listed may exist. */
export function requireComplete({ complete }: { readonly complete: boolean }): void {
  if (complete) return;
  const message =
    "VM list unavailable: libvirt has not listed all VMs yet. Retry, and if it persists check the agent's log";
  throw new SocleError("unavailable", "LIBVIRT_UNAVAILABLE", message, { details: { retryAfterMs: 2000 } });
}

/** Throws `conflict` SPEC_UNREADABLE, VM_RESCUED and VM_RESTORE_INCOMPLETE, unless the operation is also for such VMs. */
export function requireChangeable(
  vm: Vm,
  accepts: Pick<
    OperationDefinition<string, object, object>,
    "acceptsUnreadable" | "acceptsRescued" | "acceptsUnrestored"
  >,
): void {
  if (accepts.acceptsUnreadable !== true) requireReadable(vm);
  if (accepts.acceptsRescued !== true) requireNotRescued(vm);
  if (accepts.acceptsUnrestored !== true) requireRestored(vm);
}

export function requireState(state: VmState, needed: readonly VmState[], participle: string): void {
  if (needed.includes(state)) return;
  const message = `the VM is ${state}; only one that is ${needed.join(" or ")} can be ${participle}`;
  throw new SocleError("conflict", "VM_STATE_CONFLICT", message, { details: { metadata: { state } } });
}

/**
 * Writes the metadata of the persistent definition again, also to the live definition: that of a restored guest is as old
 * as its image. A failure is only logged, since the operation's effect holds without it.
 */
export async function renewMetadata(
  { domains, log }: WorkContext,
  vmId: string,
  isActive: boolean,
): Promise<void> {
  try {
    const socle = (await domains.document(vmId))?.metadata?.socle;
    if (socle !== undefined) await domains.setMetadata(vmId, socle, isActive);
  } catch (thrown) {
    log.warn({ vm: vmId, err: toSocleError(thrown) }, "the VM's metadata could not be written again");
  }
}

/** For a change of devices, which a guest that continues does not expect. Throws `conflict` VM_HAS_SAVED_STATE. */
export function requireNotSaved({ name, savedState }: Pick<Vm, "name" | "savedState">): void {
  if (savedState === true) throw hasSavedState(name);
}

/** As `requireNotSaved`, from libvirt: a suspension may have run between the admission and the run. */
export async function requireNotSavedNow(
  { domains, table }: Pick<WorkContext, "domains" | "table">,
  vmId: string,
): Promise<void> {
  const state = await domains.state(vmId);
  if (state === undefined || isActive(state) || !(await domains.savedStates.exists(vmId))) return;
  throw hasSavedState(table.get(vmId)?.name ?? vmId);
}

function hasSavedState(name: string): SocleError {
  const message = `VM ${name} has a saved state, which needs its devices as they are: start the VM first, or discard that state (socle vm discard-saved-state ${name})`;
  return new SocleError("conflict", "VM_HAS_SAVED_STATE", message);
}

/** Throws `conflict` VM_RESCUED. */
export function requireNotRescued({
  name,
  rescue,
}: {
  readonly name: string;
  readonly rescue?: Vm["rescue"] | undefined;
}): void {
  if (rescue === undefined) return;
  const message = `VM ${name} has a rescue system, beside which its own stays as it is: end it first (socle vm unrescue ${name})`;
  throw new SocleError("conflict", "VM_RESCUED", message);
}
