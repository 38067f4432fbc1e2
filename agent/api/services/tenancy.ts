import { SocleError } from "../../kernel/errors.ts";
import type { Operation } from "../../state/operations/operation.ts";
import { mayOverrule } from "../../trust/index.ts";
import { ASK_PROVIDER, hasNoSpec, requireReadable } from "../../vm/model/unreadable.ts";
import type { Vm, VmView } from "../../vm/model/vm.ts";
import type { ServiceDependencies } from "./dependencies.ts";
import type { Caller } from "../auth/identity.ts";

type Reachable = Pick<ServiceDependencies, "vmView" | "vms" | "operations">;

/** The dependencies as a caller may use them: restricted to one tenant's VMs, if the caller is. */
export function forCaller(dependencies: ServiceDependencies): (caller: Caller) => Reachable {
  return ({ tenant, name }) => (tenant === undefined ? dependencies : forTenant(dependencies, tenant, name));
}

/**
 * Other tenants' VMs appear absent. A new VM belongs to the tenant; vm/storage/volume-users.ts restricts the volumes that
 * it may write to.
 */
function forTenant(dependencies: ServiceDependencies, tenant: string, caller: string): Reachable {
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
  /** A VM that is gone passes: the request may repeat one that was done. */
  const requireOwn = <Request extends { readonly vm: string }>(request: Request): Request => {
    const vm = vmView.get(request.vm);
    if (vm === undefined || isOwn(vm)) return request;
    if (isClaimed(vm)) requireReadable(vm, ASK_PROVIDER);
    throw new SocleError("not_found", "VM_NOT_FOUND", `there is no VM ${request.vm} on this host`);
  };
  const isMine = (operation: Operation): boolean =>
    operation.caller === caller ||
    (operation.tenant === undefined ? isOwn(vmView.get(operation.vmId)) : operation.tenant === tenant);
  const requireMine = (id: string): string => {
    if (isMine(operations.get(id))) return id;
    throw noOperation(id);
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
      begin: async (kind, request, by) => await vms.begin(kind, requireOwn(request), by),
      settle: (id) => Promise.reject(noOperation(id)),
      openConsole: async (vm, options, signal) =>
        await vms.openConsole(requireOwn({ vm }).vm, options, signal),
      guest: (vm) => vms.guest(requireOwn({ vm }).vm),
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

const noOperation = (id: string): SocleError =>
  new SocleError("not_found", "OPERATION_NOT_FOUND", `there is no operation ${id}`);

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
