import type { HostSnapshot, HostUsage, ResourceCapacity } from "../host/host.ts";
import type { HostEvent } from "../state/events/event.ts";
import { isDone, type Operation } from "../state/operations/operation.ts";
import { subjectOf } from "../state/operations/subject.ts";
import type { Vm } from "../vm/model/vm.ts";
import { publicEvidence, publicHealth, type ShownHealth } from "./public-health.ts";
import { rangesOf } from "../kernel/text/cpu-list.ts";
import type { PageLinks, PageSources } from "./sources.ts";
import { defined } from "../kernel/defined.ts";

// The page is public, without a login. It shows what /metrics exposes already (names and tenants of VMs, the machine, its
// health), the host's layout, and current activity. It never contains: labels, disks, paths, MAC addresses, serial numbers,
// command lines and consoles of VMs; the serial number and the labels of the host; callers, their requests, and the results
// or messages; texts of libvirt, QEMU or the kernel in events or in the evidence of a condition.

export interface ShownHost {
  readonly name: string;
  readonly machine: string;
  readonly os: string;
  readonly kernel: string;
  readonly libvirt?: string;
  readonly hypervisor?: string;
  readonly agentVersion: string;
  readonly agentStartedAtMs: number;
  readonly bootedAtMs?: number;
  readonly health: ShownHealth;
  readonly scheduling: HostSnapshot["scheduling"];
  /** Number of parts of the machine that could not be read. */
  readonly incomplete: number;
  readonly cpu?: HostSnapshot["inventory"]["cpu"];
  readonly cells: readonly ShownCell[];
  /** CPUs that are given to one VM each, in the kernel's list format. */
  readonly dedicatedCpus: string;
  readonly devices: readonly ShownDevice[];
  readonly pools: readonly ShownPool[];
  readonly networks: HostSnapshot["inventory"]["networks"];
  readonly usage: HostUsage;
  readonly links: PageLinks;
  /** Whether the VM list is complete, and when libvirt last reported it; 0: never yet. */
  readonly vms: { readonly complete: boolean; readonly atMs: number };
}

export interface ShownCell {
  readonly id: number;
  /** In the kernel's list format: 0-3,8-11. */
  readonly cpus: string;
  /** Offline CPUs, in the same format; "": none. */
  readonly offlineCpus: string;
  /** Its CPUs by core; absent when the topology is unknown. */
  readonly cores?: readonly (readonly number[])[];
  readonly memoryBytes: number;
  readonly distances: readonly number[];
  readonly resources: readonly ResourceCapacity[];
}

/** A PCI function; virtual ones are part of their physical one. */
interface ShownDevice {
  readonly address: string;
  readonly kind: string;
  /** The device's name, if known: "Intel Corporation Ethernet Controller X710". */
  readonly name: string;
  readonly driver: string;
  readonly cell?: number;
  /** For a device that VMs can be given: whether it is in use. */
  readonly state?: HostSnapshot["capacity"]["devices"][number]["state"];
  readonly virtualFunctions?: { readonly max: number; readonly enabled: number };
}

type ShownPool = Omit<HostSnapshot["inventory"]["storagePools"][number], "path">;

export interface ShownVm {
  /** A small number instead of its id, for readings. */
  readonly key: number;
  readonly id: string;
  readonly name: string;
  readonly state: Vm["state"];
  readonly reason: string;
  /** False: not observed since `atMs`, with its last known state. */
  readonly known: boolean;
  readonly atMs: number;
  readonly unresponsive: boolean;
  readonly managed: boolean;
  readonly tenant: string;
  readonly accelerator: string;
  readonly vcpus: number;
  readonly memoryBytes: number;
  readonly hugepageBytes: number;
  /** Empty: any. */
  readonly cells: readonly number[];
  /** The host's CPUs that its vCPUs are bound to; "": none. */
  readonly pins: string;
  readonly createdAtMs: number;
}

export interface ShownOperation {
  readonly id: string;
  readonly kind: string;
  /** Its name, or its id once it was deleted. */
  readonly vm: string;
  readonly state: Operation["state"];
  readonly progress: number;
  /** Of the present step, if it copies bytes. */
  readonly transfer?: Operation["transfer"];
  readonly createdAtMs: number;
  readonly endedAtMs?: number;
  readonly steps: Operation["steps"];
  /** The stable reason of a failure. */
  readonly failure?: string;
}

/** An open backup: what the guest overwrites meanwhile is kept until its reader has finished. */
export interface ShownBackup {
  readonly vm: string;
  readonly openedAtMs: number;
  /** Kept so far. */
  readonly scratchUsedBytes: number;
  /** Without a reader it is abandoned then; absent while that is unknown. */
  readonly leaseUntilMs?: number;
}

export interface ShownEvent {
  readonly sequence: number;
  readonly atMs: number;
  readonly kind: string;
  readonly vm: string;
  readonly state: string;
  readonly reason: string;
  readonly details: Readonly<Record<string, string>>;
}

export function showHost({ host, links, vms }: PageSources): ShownHost {
  const { identity, inventory, capacity, health, scheduling } = host.snapshot();
  const { libvirtVersion, hypervisorVersion, bootedAtMs } = identity;
  return defined({
    name: identity.hostname,
    machine: [identity.vendor, identity.model].filter((word) => word !== "").join(" "),
    os: identity.os,
    kernel: identity.kernel,
    libvirt: libvirtVersion,
    hypervisor: hypervisorVersion,
    agentVersion: identity.agentVersion,
    agentStartedAtMs: identity.agentStartedAtMs,
    bootedAtMs,
    health: publicHealth(health),
    scheduling,
    incomplete: inventory.complete ? 0 : inventory.incompleteReasons.length,
    cpu: inventory.cpu,
    cells: inventory.cells.map(({ id, cpus, offlineCpus = [], siblings, memoryBytes, distances }) =>
      defined({
        id,
        cpus: rangesOf(cpus),
        offlineCpus: rangesOf(offlineCpus),
        cores: siblings,
        memoryBytes,
        distances,
        resources: capacity.cells.find((cell) => cell.id === id)?.resources ?? [],
      }),
    ),
    dedicatedCpus: rangesOf(capacity.dedicatedCpus),
    devices: inventory.devices
      .filter(({ parent }) => parent === undefined)
      .map((device) => showDevice(device, capacity.devices)),
    pools: inventory.storagePools.map(({ path: _, ...pool }) => pool),
    networks: inventory.networks,
    usage: host.usage(),
    links: links(),
    vms: { complete: vms.complete, atMs: vms.observedAtMs },
  });
}

function showDevice(
  device: HostSnapshot["inventory"]["devices"][number],
  offered: HostSnapshot["capacity"]["devices"],
): ShownDevice {
  const state = offered.find(({ address }) => address === device.address)?.state;
  const { address, kind, vendor, product, driver = "", cell, virtualFunctions } = device;
  return defined({
    address,
    kind,
    name: [vendor, product].filter((word) => word !== undefined).join(" "),
    driver,
    cell,
    state,
    virtualFunctions,
  });
}

export function showVm(vm: Vm, key: number): ShownVm {
  const deaf = vm.stats?.unresponsive === true ? vm.stats : undefined;
  return {
    key,
    id: vm.id,
    name: vm.name,
    state: vm.state,
    reason: vm.stateReason,
    known: vm.presence === "present",
    atMs: deaf?.sampledAtMs ?? vm.observedAtMs,
    unresponsive: deaf !== undefined,
    managed: vm.managed,
    tenant: vm.tenant,
    accelerator: vm.accelerator ?? "",
    vcpus: vm.vcpus,
    memoryBytes: vm.memoryBytes,
    hugepageBytes: vm.hugepageBytes ?? 0,
    cells: vm.cells,
    pins: rangesOf((vm.vcpuPins ?? []).flat()),
    createdAtMs: vm.createdAtMs ?? 0,
  };
}

export function showOperation(operation: Operation, nameOf: (vmId: string) => string): ShownOperation {
  const { id, kind, vmId, state, progress, transfer, createdAtMs, endedAtMs, steps, error } = operation;
  return defined({
    id,
    kind,
    // The page shows no names of images and volumes.
    vm: subjectOf(operation).vmId === undefined ? "" : nameOf(vmId),
    state,
    progress,
    transfer,
    createdAtMs,
    endedAtMs: isDone(operation) && endedAtMs !== undefined ? endedAtMs : undefined,
    steps,
    failure: error?.reason,
  });
}

/** Undefined for a VM without an open backup. */
export function showBackup(
  { id, name, backups }: Vm,
  reads: PageSources["backups"],
): ShownBackup | undefined {
  const open = backups?.open;
  if (open === undefined) return undefined;
  return defined({
    vm: name,
    openedAtMs: open.createdAtMs,
    scratchUsedBytes: reads.scratchUsedBytes(id),
    leaseUntilMs: reads.leaseUntilMs(id, open.id),
  });
}

/** For these kinds the details are Socle's own words. */
const publicDetails: Readonly<Record<string, readonly string[]>> = {
  condition_changed: ["condition", "status", "evidence"],
  operation_ended: ["operation_kind", "state", "error"],
  scheduling_changed: ["state"],
};

export function showEvent(event: HostEvent, nameOf: (vmId: string) => string): ShownEvent {
  const { sequence, timeMs, kind, vmId = "", vmName, vmState = "", reason = "", details = {} } = event;
  const shown = (publicDetails[kind] ?? []).flatMap((name) => {
    const value = details[name];
    if (value === undefined) return [];
    const shownValue = name === "evidence" ? publicEvidence(details["condition"] ?? "", value) : value;
    return shownValue === "" ? [] : [[name, shownValue] as const];
  });
  return {
    sequence,
    atMs: timeMs,
    kind,
    vm: vmName ?? (vmId === "" ? "" : nameOf(vmId)),
    state: vmState,
    reason,
    details: Object.fromEntries(shown),
  };
}
