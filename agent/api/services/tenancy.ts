import { SocleError } from "../../kernel/errors.ts";
import type { Operation } from "../../state/operations/operation.ts";
import { notFound } from "../../state/operations/refusals.ts";
import { mayOverrule } from "../../trust/index.ts";
import { ASK_PROVIDER, hasNoSpec, requireReadable } from "../../vm/model/unreadable.ts";
import type { Vm, VmView } from "../../vm/model/vm.ts";
import { requireComplete } from "../../vm/operations/vm-state.ts";
import type { ServiceDependencies } from "./dependencies.ts";
import type { Caller } from "../auth/identity.ts";

type Reachable = Pick<ServiceDependencies, "vmView" | "vms" | "operations">;

/** The dependencies as a caller may use them: restricted to one tenant's VMs, if the caller is. */
export function forCaller(dependencies: Reachable): (caller: Pick<Caller, "tenant" | "name">) => Reachable {
  return ({ tenant, name }) => (tenant === undefined ? dependencies : forTenant(dependencies, tenant, name));
}

/**
 * Other tenants' VMs appear absent. A new VM belongs to the tenant; vm/storage/volume-users.ts restricts the volumes that
 * it may write to.
 */
function forTenant(dependencies: Reachable, tenant: string, caller: string): Reachable {
  const { vmView, vms, operations } = dependencies;
  const isOwn = (vm: Vm | undefined): vm is Vm => vm?.managed === true && vm.tenant === tenant;
  const view: VmView = {
    get complete() {
      return vmView.complete;
    },
    get observedAtMs() {
      return vmView.observedAtMs;
    },
    get specUnreadable() {
      return vmView.all().filter((vm) => isClaimed(vm, vm.claimedTenant === undefined)).length;
    },
    get lastSample() {
      return vmView.lastSample;
    },
    get lastReadings() {
      return vmView.lastReadings;
    },
    get: (idOrName) => own(vmView.get(idOrName)),
    hidden,
    all: () => vmView.all().filter(isOwn),
    subscribe: (signal) => vmView.subscribe(signal),
  };
  function own(vm: Vm | undefined): Vm | undefined {
    return isOwn(vm) ? vm : undefined;
  }
  /** A VM with an unreadable spec, which may belong to the tenant: neither shown nor reported as absent. */
  function isClaimed(vm: Vm, otherwise = false): boolean {
    return hasNoSpec(vm) && (vm.claimedTenant === tenant || otherwise);
  }
  function hidden(idOrName: string, wasOwn = false): Vm | undefined {
    const vm = vmView.get(idOrName);
    return vm !== undefined && isClaimed(vm, wasOwn && vm.claimedTenant === undefined) ? vm : undefined;
  }
  /** Throws for a VM whose tenant is not known. Others' VMs do not exist for the caller, in any answer. */
  function isVisible(vm: Vm): boolean {
    if (isOwn(vm)) return true;
    if (isClaimed(vm)) requireReadable(vm, ASK_PROVIDER);
    return false;
  }
  const requireOwn = (idOrName: string): string => {
    const vm = vmView.get(idOrName);
    if (vm === undefined || isVisible(vm)) return idOrName;
    requireComplete(vmView);
    throw new SocleError("not_found", "VM_NOT_FOUND", `there is no VM ${idOrName} on this host`);
  };
  const isMine = (operation: Operation): boolean =>
    operation.caller === caller ||
    (operation.tenant === undefined ? isOwn(vmView.get(operation.vmId)) : operation.tenant === tenant);
  const requireMine = (id: string): string => {
    if (isMine(operations.get(id))) return id;
    return notFound(id, operations.failure);
  };
  /** A tenant sees the provider's operations on its VMs, and cannot cancel them. */
  const requireOwnAct = (id: string): string => {
    const { caller: other } = operations.get(requireMine(id));
    if (mayOverrule(caller, other)) return id;
    const message = `operation ${id} was begun by the provider; your certificate may only cancel those of the tenant ${tenant}`;
    throw new SocleError("denied", "OPERATION_DENIED", message);
  };
  return {
    vmView: view,
    vms: {
      create: async (request, by) => {
        requireTenant(request.spec["tenant"], tenant);
        return await vms.create({ ...request, spec: { ...request.spec, tenant }, tenantOnly: true }, by);
      },
      begin: async (kind, request, by) => await vms.begin(kind, request, by, isVisible),
      settle: (id) => new Promise(() => notFound(id, operations.failure)),
      openConsole: async (vm, options, signal) => await vms.openConsole(requireOwn(vm), options, signal),
      guest: (vm) => vms.guest(requireOwn(vm)),
    },
    operations: {
      get: (id) => operations.get(requireMine(id)),
      list: (options) => operations.list({ ...options, tenant }),
      wait: async (id, timeoutMs, signal) => await operations.wait(requireMine(id), timeoutMs, signal),
      cancel: (id, by) => operations.cancel(requireOwnAct(id), by),
      watch: (signal) => filtered(operations.watch(signal), isMine),
      get failure() {
        return operations.failure;
      },
    },
  };
}

/** Throws `denied` TENANT_DENIED. */
export function requireTenant(asked: unknown, tenant: string): void {
  if (asked === undefined || asked === "" || asked === tenant) return;
  throw new SocleError("denied", "TENANT_DENIED", `your certificate is restricted to the tenant ${tenant}`);
}

async function* filtered<Item extends { readonly kind: string }>(
  items: AsyncIterable<Item>,
  isMine: (operation: Operation) => boolean,
): AsyncGenerator<Item, void, undefined> {
  for await (const item of items) {
    if ("value" in item && !isMine(item.value as Operation)) continue;
    yield item;
  }
}
