import type { HostSnapshot, HostUsage } from "../../host/host.ts";
import type { Vm } from "../../vm/model/vm.ts";
import type { Host } from "../../gen/socle/v1/Host.ts";
import type { HostUsage as ProtoUsage } from "../../gen/socle/v1/HostUsage.ts";
import type { VmCounts } from "../../gen/socle/v1/VmCounts.ts";
import { enumWords } from "../../contract/enum.ts";
import { digestOf, hostParts } from "./host-parts.ts";
import { toTimestamp } from "./time.ts";

export const schedulingStates = enumWords("LIFECYCLE_STATE", ["active", "cordoned"]);

/** The host in the contract's form, without its position, which depends on the caller. */
export function hostToProto(...host: Parameters<typeof convertHost>): Host {
  const steps = convertHost(...host);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** The same in steps. */
export function* convertHost(
  snapshot: HostSnapshot,
  vms: readonly Vm[],
  complete: boolean,
): Generator<undefined, Host, undefined> {
  const { scheduling } = snapshot;
  const identity = yield* hostParts.identity(snapshot.identity);
  const inventory = yield* hostParts.inventory(snapshot.inventory);
  const capacity = yield* hostParts.capacity(snapshot.capacity);
  const health = yield* hostParts.health(snapshot.health);
  const counts = countVms(vms, complete);
  const digests = [identity, inventory, capacity, health].map(({ digest }) => digest);
  return {
    identity: identity.message,
    inventory: inventory.message,
    capacity: capacity.message,
    health: health.message,
    vms: counts,
    schedulingState: schedulingStates.toProto(scheduling.state),
    schedulingReason: scheduling.reason,
    etag: digestOf([digests, scheduling, counts]),
  };
}

/** Fields only of answers about this host. */
export const usageToProto = ({ readAtMs, cells: _, ...usage }: HostUsage): ProtoUsage => ({
  ...usage,
  readAt: readAtMs === 0 ? null : toTimestamp(readAtMs),
});

/** `complete`: the list has all VMs. */
function countVms(vms: readonly Vm[], complete: boolean): VmCounts {
  const count = (is: (vm: Vm) => boolean): number => vms.reduce((sum, vm) => (is(vm) ? sum + 1 : sum), 0);
  const isRunning = (vm: Vm): boolean => vm.presence === "present" && vm.state === "running";
  return {
    managed: count((vm) => vm.managed),
    unmanaged: count((vm) => !vm.managed),
    running: count(isRunning),
    unresponsive: count((vm) => isRunning(vm) && vm.stats?.unresponsive === true),
    unknown: count((vm) => vm.presence === "unknown"),
    unreadable: count((vm) => vm.unreadable !== undefined),
    complete,
  };
}
