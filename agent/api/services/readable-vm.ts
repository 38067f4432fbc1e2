import { SocleError } from "../../kernel/errors.ts";
import { ASK_PROVIDER, requireReadable } from "../../vm/model/unreadable.ts";
import type { Vm, VmView } from "../../vm/model/vm.ts";

/** Throws `not_found` VM_NOT_FOUND, `unavailable` LIBVIRT_UNAVAILABLE and `conflict` SPEC_UNREADABLE. */
export function readableVm(view: VmView, idOrName: string): Vm {
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
