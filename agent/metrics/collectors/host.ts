import { NOT_PRESENT, NOT_WATCHED } from "../../host/health/health.ts";
import { effects, truths, type Condition, type DeviceCapacity } from "../../host/host.ts";
import { collector } from "../collector.ts";
import { gauge } from "../family.ts";

export const hostInfo = collector(
  "host_info",
  {
    info: gauge("socle_host_info", "Identity of this host; always 1.", [
      "host",
      "hostname",
      "vendor",
      "model",
      "os",
      "kernel",
      "libvirt",
      "hypervisor",
    ]),
    booted: gauge("socle_host_boot_timestamp_seconds", "When the host booted."),
    complete: gauge("socle_host_inventory_complete", "0 while a part of the inventory could not be read."),
  },
  ({ host }, emit) => {
    const { identity, inventory, inventoryReadAtMs } = host.snapshot();
    emit.info(
      1,
      identity.id,
      identity.hostname,
      identity.vendor,
      identity.model,
      identity.os,
      identity.kernel,
      identity.libvirtVersion ?? "",
      identity.hypervisorVersion ?? "",
    );
    if (identity.bootedAtMs !== undefined) emit.booted(identity.bootedAtMs / 1000);
    emit.complete(inventory.complete ? 1 : 0);
    return inventoryReadAtMs;
  },
);

const cellResource = ["cell", "resource"] as const;
const deviceStates: readonly DeviceCapacity["state"][] = [
  "free",
  "allocated",
  "claimed",
  "unhealthy",
  "unknown",
];

export const hostCapacity = collector(
  "host_capacity",
  {
    all: gauge(
      "socle_host_capacity",
      "Total of the cell, in vCPUs or bytes. A gauge: _total would make it a counter.",
      cellResource,
    ),
    reserved: gauge("socle_host_capacity_reserved", "Kept for the host itself.", cellResource),
    allocated: gauge("socle_host_capacity_allocated", "Taken by VMs.", cellResource),
    claimed: gauge("socle_host_capacity_claimed", "Claimed for VMs that do not exist yet.", cellResource),
    unhealthy: gauge(
      "socle_host_capacity_unhealthy",
      "Unusable: offline CPUs and poisoned memory.",
      cellResource,
    ),
    available: gauge(
      "socle_host_capacity_available",
      "Free for new VMs; negative when overcommitted.",
      cellResource,
    ),
    overcommit: gauge("socle_host_capacity_overcommit_ratio", "Overcommit ratio.", cellResource),
    devices: gauge("socle_host_capacity_devices", "Devices for VMs, by state; cell and alias may be empty.", [
      "cell",
      "kind",
      "alias",
      "state",
    ]),
    complete: gauge("socle_host_capacity_complete", "0 while the VMs' use is unknown, or only as last seen."),
  },
  ({ host }, emit) => {
    const { capacity, inventory, inventoryReadAtMs } = host.snapshot();
    emit.complete(capacity.complete ? 1 : 0);
    const kinds = new Map(inventory.devices.map(({ address, kind }) => [address, kind]));
    const alike = new Map<string, DeviceCapacity[]>();
    for (const device of capacity.devices) {
      const key = JSON.stringify([device.cell, kinds.get(device.address), device.alias]);
      alike.set(key, [...(alike.get(key) ?? []), device]);
    }
    for (const devices of alike.values()) {
      const [{ address, cell = "", alias = "" } = { address: "" }] = devices;
      for (const state of deviceStates)
        emit.devices(
          devices.filter((device) => device.state === state).length,
          cell,
          kinds.get(address) ?? "other",
          alias,
          state,
        );
    }
    for (const { id, resources } of capacity.cells) {
      for (const of of resources) {
        emit.all(of.total, id, of.resource);
        emit.reserved(of.reserved, id, of.resource);
        emit.unhealthy(of.unhealthy, id, of.resource);
        emit.allocated(of.allocated, id, of.resource);
        emit.claimed(of.claimed, id, of.resource);
        emit.available(of.available, id, of.resource);
        emit.overcommit(of.overcommitRatio, id, of.resource);
      }
    }
    return inventoryReadAtMs;
  },
);

export const hostHealth = collector(
  "host_health",
  {
    condition: gauge("socle_host_health_condition", "1 for the status the condition has, 0 for the others.", [
      "condition",
      "status",
    ]),
    since: gauge("socle_host_health_condition_since_timestamp_seconds", "When its status last changed.", [
      "condition",
    ]),
    probed: gauge("socle_host_health_condition_probe_timestamp_seconds", "When it was last probed.", [
      "condition",
    ]),
    unwatched: gauge(
      "socle_host_health_condition_unwatched",
      "1 while it is unknown because the agent lacks permission, tool or hardware.",
      ["condition"],
    ),
    latched: gauge(
      "socle_host_health_condition_latched",
      "1 while it waits for an operator's acknowledgement.",
      ["condition"],
    ),
    state: gauge(
      "socle_host_health_state",
      "1 for the worst effect of all conditions, 0 for the others; none on a healthy host.",
      ["state"],
    ),
    alive: gauge("socle_host_alive", "1 for the verdict: whether the agent's own probes run.", ["status"]),
    schedulable: gauge("socle_host_schedulable", "1 for the verdict: whether the host accepts new VMs.", [
      "status",
    ]),
    safeToFence: gauge(
      "socle_host_safe_to_fence",
      "1 for the verdict: whether a power cut loses no guest; the agent never requests one.",
      ["status"],
    ),
    cordoned: gauge("socle_host_cordoned", "1 while an operator refuses new VMs."),
  },
  ({ host }, emit) => {
    const { health, scheduling } = host.snapshot();
    for (const condition of health.conditions) emitCondition(condition);
    for (const effect of effects) emit.state(effect === health.state ? 1 : 0, effect);
    for (const truth of truths) {
      emit.alive(truth === health.alive ? 1 : 0, truth);
      emit.schedulable(truth === health.schedulable ? 1 : 0, truth);
      emit.safeToFence(truth === health.safeToFence ? 1 : 0, truth);
    }
    emit.cordoned(scheduling.state === "cordoned" ? 1 : 0);

    function emitCondition({
      type,
      status,
      reason,
      sinceMs,
      lastProbeMs,
      latched,
      acknowledged,
    }: Condition): void {
      for (const truth of truths) emit.condition(truth === status ? 1 : 0, type, truth);
      emit.since(sinceMs / 1000, type);
      emit.unwatched([NOT_WATCHED, NOT_PRESENT].includes(reason) ? 1 : 0, type);
      emit.latched(latched && !acknowledged ? 1 : 0, type);
      if (lastProbeMs > 0) emit.probed(lastProbeMs / 1000, type);
    }
  },
);

export const hostStorage = collector(
  "host_storage",
  {
    up: gauge("socle_host_storage_pool_up", "1 while the pool is active.", ["pool"]),
    capacity: gauge("socle_host_storage_pool_capacity_bytes", "The pool's size.", ["pool"]),
    allocated: gauge("socle_host_storage_pool_allocated_bytes", "Taken by volumes.", ["pool"]),
    available: gauge("socle_host_storage_pool_available_bytes", "Left for volumes.", ["pool"]),
    suspicious: gauge(
      "socle_host_storage_pool_suspicious_volumes",
      "Files of the pool that begin as another format than their name means.",
      ["pool"],
    ),
    provisioned: gauge("socle_host_storage_pool_provisioned_bytes", "Maximum size of its volumes in total.", [
      "pool",
    ]),
  },
  ({ host }, emit) => {
    const { inventory, inventoryReadAtMs } = host.snapshot();
    const pools = inventory.storagePools.filter(({ presence }) => presence === "present");
    for (const pool of pools) {
      emit.up(pool.active ? 1 : 0, pool.name);
      if (!pool.active) continue;
      emit.capacity(pool.capacityBytes, pool.name);
      emit.allocated(pool.allocatedBytes, pool.name);
      emit.available(pool.availableBytes, pool.name);
      emit.provisioned(pool.provisionedBytes, pool.name);
      emit.suspicious(pool.suspiciousVolumes, pool.name);
    }
    return pools.length === 0 ? inventoryReadAtMs : Math.min(...pools.map((pool) => pool.observedAtMs));
  },
);

export const hostNetworks = collector(
  "host_networks",
  { up: gauge("socle_host_network_up", "1 while libvirt's network is active.", ["network"]) },
  ({ host }, emit) => {
    const { inventory, inventoryReadAtMs } = host.snapshot();
    const networks = inventory.networks.filter(({ presence }) => presence === "present");
    for (const { name, active } of networks) emit.up(active ? 1 : 0, name);
    return networks.length === 0
      ? inventoryReadAtMs
      : Math.min(...networks.map(({ observedAtMs }) => observedAtMs));
  },
);
