import { SocleError } from "../../kernel/errors.ts";
import { ASK_PROVIDER, requireReadable } from "../../vm/model/unreadable.ts";
import type { Vm, VmView } from "../../vm/model/vm.ts";

/** Throws `not_found` VM_NOT_FOUND, `conflict` SPEC_UNREADABLE and `unavailable` LIBVIRT_UNAVAILABLE. */
export function readable(view: VmView, idOrName: string): Vm {
  const vm = view.get(idOrName) ?? view.hidden?.(idOrName);
  if (vm !== undefined) {
    requireReadable(vm, ASK_PROVIDER);
    return vm;
  }
  if (view.complete)
    throw new SocleError("not_found", "VM_NOT_FOUND", `there is no VM ${idOrName} on this host`);
  const message = `libvirt has not reported all VMs, so it is unknown whether ${idOrName} exists; retry`;
  throw new SocleError("unavailable", "LIBVIRT_UNAVAILABLE", message, { details: { retryAfterMs: 2000 } });
}
