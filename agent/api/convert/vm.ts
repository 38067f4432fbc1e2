import { withoutUndefined } from "../../kernel/defined.ts";
import { toSocleError } from "../../kernel/errors.ts";
import type { NicLease, Vm, VmNic, VmStats } from "../../vm/model/vm.ts";
import type { Vm as ProtoVm } from "../../gen/socle/v1/Vm.ts";
import type { NicStatus } from "../../gen/socle/v1/NicStatus.ts";
import type { VmStats as ProtoStats } from "../../gen/socle/v1/VmStats.ts";
import { isActive } from "../../vm/hypervisor/domains.ts";
import { enumWords } from "../../contract/enum.ts";
import { specEnums } from "../../contract/spec-enums.ts";
import { specToProto } from "./spec.ts";
import { toTimestamp } from "./time.ts";
import { defined } from "../../kernel/defined.ts";

export const vmStates = enumWords("VM_STATE", [
  "running",
  "paused",
  "stopping",
  "stopped",
  "crashed",
  "suspended",
  "unknown",
]);

export const presences = enumWords("PRESENCE", ["present", "absent", "unknown"]);

const made = new WeakMap<Vm, ProtoVm>();

/**
 * A VM in the contract's form. Records are immutable, so each is converted once. Never throws: a VM that cannot be
 * converted is shown as unreadable, so that lists, watches and reports still work.
 */
export function vmToProto(vm: Vm): ProtoVm {
  let proto = made.get(vm);
  if (proto === undefined) {
    proto = converted(vm);
    made.set(vm, proto);
  }
  return proto;
}

function converted(vm: Vm): ProtoVm {
  try {
    return convert(vm);
  } catch (thrown) {
    const { spec: _, stats: __, ...rest } = vm;
    const reason = `it cannot be converted: ${toSocleError(thrown).message}`;
    return convert({ ...rest, tenant: "", labels: {}, unreadable: vm.unreadable ?? reason });
  }
}

const convert = (vm: Vm): ProtoVm =>
  defined({
    vmId: vm.id,
    name: vm.name,
    state: vmStates.toProto(vm.state),
    stateReason: vm.stateReason,
    managed: vm.managed,
    observation: { presence: presences.toProto(vm.presence), observedAt: toTimestamp(vm.observedAtMs) },
    spec: vm.spec === undefined ? null : specToProto(vm.spec),
    stats: vm.stats === undefined ? null : statsToProto(vm.stats),
    vcpus: vm.vcpus,
    memoryBytes: vm.memoryBytes,
    accelerator: vm.accelerator === undefined ? undefined : specEnums.accelerator.toProto(vm.accelerator),
    tenant: vm.tenant,
    labels: vm.labels,
    createdAt: vm.createdAtMs === undefined ? null : toTimestamp(vm.createdAtMs),
    placementEpoch: vm.placementEpoch,
    etag: vm.etag,
    instance: vm.instance ?? "",
    unreadable: vm.unreadable ?? "",
    nics: vm.nics.map((nic) => nicToProto(nic, vm.leases ?? [])),
    watchdogExpirations: vm.watchdog?.expirations ?? 0,
    watchdogExpiredAt: vm.watchdog === undefined ? null : toTimestamp(vm.watchdog.lastAtMs),
    rescue: rescueToProto(vm),
    savedState: isActive(vm) ? false : vm.savedState,
  });

const rescueToProto = ({ rescue, isRescued }: Vm): ProtoVm["rescue"] =>
  rescue === undefined
    ? null
    : {
        running: isRescued === true,
        baseVolume: { pool: rescue.pool, volume: rescue.baseVolume },
        startsAfter: rescue.startsAfter,
      };

const addressSources = enumWords("NIC_ADDRESS_SOURCE", ["lease"]);

function nicToProto({ name = "", mac, device = "", network }: VmNic, leases: readonly NicLease[]): NicStatus {
  const own = leases.filter((lease) => lease.mac === mac && lease.network === network);
  const source = addressSources.toProto("lease");
  return {
    name,
    mac,
    device,
    addresses: own.map(({ address, prefixLength }) => ({ address, prefixLength, source })),
  };
}

function statsToProto(stats: VmStats): ProtoStats {
  const { cpuSeconds, balloonBytes, rssBytes, rates } = stats;
  return {
    sampledAt: toTimestamp(stats.sampledAtMs),
    ...withoutUndefined({ cpuSeconds, memoryBalloonBytes: balloonBytes, memoryRssBytes: rssBytes }),
    unresponsive: stats.unresponsive,
    rates: rates === undefined ? null : withoutUndefined(rates),
  };
}
