import { createHash } from "node:crypto";
import type { Condition, HostInventory, HostSnapshot, HostUsage } from "../host/host.ts";
import type { Vm } from "../vm/vm.ts";
import type { Compatibility } from "../gen/socle/v1/Compatibility.ts";
import type { Condition as ProtoCondition } from "../gen/socle/v1/Condition.ts";
import type { Host } from "../gen/socle/v1/Host.ts";
import type { Inventory } from "../gen/socle/v1/Inventory.ts";
import type { Position } from "../gen/socle/v1/Position.ts";
import type { VmCounts } from "../gen/socle/v1/VmCounts.ts";
import { enumWords } from "./convert-enum.ts";
import { toTimestamp } from "./convert-time.ts";
import { presences } from "./convert-vm.ts";

const truths = enumWords("TRUTH_UNSPECIFIED", {
  true: "TRUTH_TRUE",
  false: "TRUTH_FALSE",
  unknown: "TRUTH_UNKNOWN",
});

export const effects = enumWords("EFFECT_UNSPECIFIED", {
  none: "EFFECT_NONE",
  degraded: "EFFECT_DEGRADED",
  no_schedule: "EFFECT_NO_SCHEDULE",
  evacuate: "EFFECT_EVACUATE",
  fence_requested: "EFFECT_FENCE_REQUESTED",
});

const deviceKinds = enumWords("PCI_DEVICE_KIND_UNSPECIFIED", {
  network: "PCI_DEVICE_KIND_NETWORK",
  storage: "PCI_DEVICE_KIND_STORAGE",
  gpu: "PCI_DEVICE_KIND_GPU",
  accelerator: "PCI_DEVICE_KIND_ACCELERATOR",
  usb: "PCI_DEVICE_KIND_USB",
  other: "PCI_DEVICE_KIND_OTHER",
});

export const schedulingStates = enumWords("LIFECYCLE_STATE_UNSPECIFIED", {
  active: "LIFECYCLE_STATE_ACTIVE",
  cordoned: "LIFECYCLE_STATE_CORDONED",
});

const deviceStates = enumWords("DEVICE_STATE_UNSPECIFIED", {
  free: "DEVICE_STATE_FREE",
  allocated: "DEVICE_STATE_ALLOCATED",
  claimed: "DEVICE_STATE_CLAIMED",
  unhealthy: "DEVICE_STATE_UNHEALTHY",
  unknown: "DEVICE_STATE_UNKNOWN",
});

/** Pools' bytes count in the etag in steps of this size: they move with every write of a thin volume. */
const etagStepBytes = 2 ** 30;

/** The host as the contract shows it, without its position, which is nobody's but the asker's. */
export function hostToProto(snapshot: HostSnapshot, vms: readonly Vm[], complete: boolean): Host {
  const { identity, inventory, capacity, health, scheduling } = snapshot;
  const { id, bootId: _, bootedAtMs, agentStartedAtMs, ...names } = identity;
  const counts = countVms(vms, complete);
  return {
    identity: {
      ...names,
      hostId: id,
      bootedAt: bootedAtMs === undefined ? null : toTimestamp(bootedAtMs),
      agentStartedAt: toTimestamp(agentStartedAtMs),
    },
    inventory: inventoryToProto(inventory),
    capacity: {
      generation: capacity.generation,
      complete: capacity.complete,
      incompleteReasons: [...capacity.incompleteReasons],
      cells: capacity.cells.map((cell) => ({ cell: cell.id, resources: [...cell.resources] })),
      dedicatedCpus: [...capacity.dedicatedCpus],
      devices: capacity.devices.map(({ state, ...device }) => ({
        ...device,
        state: deviceStates.toProto(state),
      })),
    },
    health: {
      state: effects.toProto(health.state),
      conditions: health.conditions.map(conditionToProto),
      alive: truths.toProto(health.alive),
      schedulable: truths.toProto(health.schedulable),
      safeToFence: truths.toProto(health.safeToFence),
      notSchedulableBy: [...health.notSchedulableBy],
    },
    vms: counts,
    schedulingState: schedulingStates.toProto(scheduling.state),
    schedulingReason: scheduling.reason,
    etag: etagOf(snapshot, counts),
  };
}

/** What only answers to somebody who asks about this host hold. */
export const withUsage = (host: Host, { readAtMs, cells: _, ...usage }: HostUsage): Host => ({
  ...host,
  usage: { ...usage, readAt: readAtMs === 0 ? null : toTimestamp(readAtMs) },
});

export const withPosition = (host: Host, position: Position): Host => ({ ...host, position });

/** `complete`: there are no others. */
export function countVms(vms: readonly Vm[], complete: boolean): VmCounts {
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

function inventoryToProto(inventory: HostInventory): Inventory {
  const { complete, incompleteReasons, cpu, cells, storagePools, networks, traits, devices } = inventory;
  const { compatibility } = inventory;
  return {
    complete,
    incompleteReasons: [...incompleteReasons],
    cpu: cpu ?? null,
    cells: cells.map(
      ({ id, cpus, offlineCpus = [], memoryBytes, pages, distances, siblings = [], caches = [] }) => ({
        cell: id,
        cpus: [...cpus],
        offlineCpus: [...offlineCpus],
        memoryBytes,
        pages: [...pages],
        distances: [...distances],
        siblings: siblings.map((core) => ({ cpus: [...core] })),
        caches: caches.map((cache) => ({ ...cache, cpus: [...cache.cpus] })),
      }),
    ),
    storagePools: storagePools.map(({ presence, observedAtMs, path: _, ...pool }) => ({
      ...pool,
      observation: { presence: presences.toProto(presence), observedAt: toTimestamp(observedAtMs) },
    })),
    networks: networks.map(({ presence, observedAtMs, ...network }) => ({
      ...network,
      observation: { presence: presences.toProto(presence), observedAt: toTimestamp(observedAtMs) },
    })),
    traits: [...traits],
    devices: devices.map(({ kind, ...device }) => ({ ...device, kind: deviceKinds.toProto(kind) })),
    compatibility: compatibility === undefined ? null : compatibilityToProto(compatibility),
  };
}

function compatibilityToProto(of: NonNullable<HostInventory["compatibility"]>): Compatibility {
  return {
    ...of,
    cpuFeatures: [...of.cpuFeatures],
    hostCpuFeatures: [...of.hostCpuFeatures],
    machineTypes: [...of.machineTypes],
  };
}

function conditionToProto(condition: Condition): ProtoCondition {
  const { sinceMs, lastProbeMs, status, effect, subjects, ...same } = condition;
  return {
    ...same,
    subjects: [...subjects],
    status: truths.toProto(status),
    effect: effects.toProto(effect),
    since: toTimestamp(sinceMs),
    lastProbe: lastProbeMs === 0 ? null : toTimestamp(lastProbeMs),
  };
}

function etagOf({ identity, inventory, capacity, health, scheduling }: HostSnapshot, vms: VmCounts): string {
  const steps = (bytes: number | undefined): number | undefined =>
    bytes === undefined ? undefined : Math.floor(bytes / etagStepBytes);
  const stable = {
    identity,
    inventory: {
      ...inventory,
      cells: inventory.cells.map((cell) => ({
        ...cell,
        pages: cell.pages.map((page) => ({ ...page, free: page.free === undefined })),
      })),
      storagePools: inventory.storagePools.map((pool) => ({
        ...pool,
        observedAtMs: undefined,
        allocatedBytes: steps(pool.allocatedBytes),
        availableBytes: steps(pool.availableBytes),
      })),
      networks: inventory.networks.map((network) => ({ ...network, observedAtMs: undefined })),
    },
    capacity: { ...capacity, generation: undefined },
    health: {
      ...health,
      conditions: health.conditions.map((condition) => ({
        ...condition,
        evidence: undefined,
        lastProbeMs: undefined,
      })),
    },
    scheduling,
    vms,
  };
  return createHash("sha256").update(JSON.stringify(stable)).digest("base64url").slice(0, 22);
}
