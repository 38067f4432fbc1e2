import { createHash, type Hash } from "node:crypto";
import {
  effects,
  truths,
  type Condition,
  type HostCapacity,
  type HostHealth,
  type HostIdentity,
  type HostInventory,
  type HostNetwork,
  type NumaCell,
  type PciDevice,
  type StoragePool,
} from "../../host/host.ts";
import type { Capacity } from "../../gen/socle/v1/Capacity.ts";
import type { Compatibility } from "../../gen/socle/v1/Compatibility.ts";
import type { Condition as ProtoCondition } from "../../gen/socle/v1/Condition.ts";
import type { Health } from "../../gen/socle/v1/Health.ts";
import type { HostIdentity as ProtoIdentity } from "../../gen/socle/v1/HostIdentity.ts";
import type { Inventory } from "../../gen/socle/v1/Inventory.ts";
import { ByteCut, cutText } from "../limits/byte-cut.ts";
import { enumWords } from "../../contract/enum.ts";
import { toTimestamp } from "./time.ts";
import { presences } from "./vm.ts";

const truthWords = enumWords("TRUTH", truths);
const effectWords = enumWords("EFFECT", effects);

const deviceKinds = enumWords("PCI_DEVICE_KIND", [
  "network",
  "storage",
  "gpu",
  "accelerator",
  "usb",
  "other",
]);

const deviceStates = enumWords("DEVICE_STATE", ["free", "allocated", "claimed", "unhealthy", "unknown"]);

/** Pools' bytes count in the etag in steps of this size: they move with every write of a thin volume. */
const etagStepBytes = 2 ** 30;

const KIB = 1024;
/** Bounds of each list in a host's document, which is 1 MiB at most. */
const most = {
  cells: 72 * KIB,
  storagePools: 56 * KIB,
  networks: 24 * KIB,
  devices: 340 * KIB,
  texts: 10 * KIB,
  cellCapacities: 48 * KIB,
  deviceCapacities: 200 * KIB,
  /** Per condition. */
  subjects: 2 * KIB,
};
/** In characters. */
const maxName = 256;
const maxEvidence = 1024;

/** A part of the host's document in the contract's form, and a digest for the etag. */
interface Part<Message> {
  readonly message: Message;
  readonly digest: string;
}

/** The parts of a host's document, by field. A snapshot reuses an object until it changes: each is converted once. */
export const hostParts = {
  identity: onceForEach(convertIdentity),
  inventory: onceForEach(convertInventory),
  capacity: onceForEach(convertCapacity),
  health: onceForEach(convertHealth),
};

/** Yields to the event loop: a large host takes longer than one turn. */
type Converting<Message> = Generator<
  undefined,
  { readonly message: Message; readonly stable: object },
  undefined
>;

function onceForEach<Source extends object, Message>(
  convert: (source: Source) => Converting<Message>,
): (source: Source) => Generator<undefined, Part<Message>, undefined> {
  const known = new WeakMap<Source, Part<Message>>();
  return function* (source) {
    let part = known.get(source);
    if (part === undefined) {
      const { message, stable } = yield* convert(source);
      yield;
      part = { message, digest: yield* digestInSteps(stable) };
      known.set(source, part);
    }
    return part;
  };
}

function* digestInSteps(stable: object): Generator<undefined, string, undefined> {
  const hash = createHash("sha256");
  for (const [name, value] of Object.entries(stable) as [string, unknown][]) {
    const items: readonly unknown[] = Array.isArray(value) ? value : [value];
    hash.update(`${name} ${items.length}\n`);
    for (const item of items) {
      hash.update(`${JSON.stringify(item)}\n`);
      yield;
    }
  }
  return shortened(hash);
}

export const digestOf = (value: unknown): string =>
  shortened(createHash("sha256").update(JSON.stringify(value)));

const shortened = (hash: Hash): string => hash.digest("base64url").slice(0, 22);

function* convertIdentity(identity: HostIdentity): Converting<ProtoIdentity> {
  const { id, bootId: _, bootedAtMs, agentStartedAtMs, labels, ...names } = identity;
  const shortNames = Object.entries(names).map(([name, text]) => [name, cutText(text, maxName)] as const);
  const message = {
    ...Object.fromEntries(shortNames),
    hostId: id,
    bootedAt: bootedAtMs === undefined ? null : toTimestamp(bootedAtMs),
    agentStartedAt: toTimestamp(agentStartedAtMs),
    labels,
  };
  yield;
  return { message, stable: identity };
}

function* convertInventory(inventory: HostInventory): Converting<Inventory> {
  const { cpu, traits, compatibility } = inventory;
  const cut = new ByteCut();
  const incompleteReasons = cut.texts("reasons", inventory.incompleteReasons, most.texts);
  const cells = yield* cut.list("NUMA cells", inventory.cells, most.cells, convertCell);
  const pools = yield* cut.list("storage pools", inventory.storagePools, most.storagePools, convertPool);
  const networks = yield* cut.list("networks", inventory.networks, most.networks, convertNetwork);
  const devices = yield* cut.list("PCI devices", inventory.devices, most.devices, convertDevice);
  const message = {
    cpu: cpu ?? null,
    cells,
    storagePools: pools,
    networks,
    traits: [...traits],
    devices,
    compatibility: compatibility === undefined ? null : convertCompatibility(compatibility, cut),
    complete: inventory.complete && cut.leftOut.length === 0,
    incompleteReasons: [...incompleteReasons, ...cut.leftOut],
  };
  yield;
  const stable = {
    ...inventory,
    cells: inventory.cells.slice(0, cells.length).map((cell) => ({
      ...cell,
      pages: cell.pages.map((page) => ({ ...page, free: page.free === undefined })),
    })),
    storagePools: inventory.storagePools.slice(0, pools.length).map((pool) => ({
      ...pool,
      observedAtMs: undefined,
      allocatedBytes: stepsOf(pool.allocatedBytes),
      availableBytes: stepsOf(pool.availableBytes),
    })),
    networks: inventory.networks
      .slice(0, networks.length)
      .map((network) => ({ ...network, observedAtMs: undefined })),
    devices: inventory.devices.slice(0, devices.length),
  };
  return { message, stable };
}

const convertCell = ({
  id,
  cpus,
  offlineCpus = [],
  memoryBytes,
  pages,
  distances,
  siblings = [],
  caches = [],
}: NumaCell) => ({
  cell: id,
  cpus: [...cpus],
  offlineCpus: [...offlineCpus],
  memoryBytes,
  pages: [...pages],
  distances: [...distances],
  siblings: siblings.map((core) => ({ cpus: [...core] })),
  caches: caches.map((cache) => ({ ...cache, cpus: [...cache.cpus] })),
});

const convertPool = ({ presence, observedAtMs, path: _, ...pool }: StoragePool) => ({
  ...pool,
  observation: { presence: presences.toProto(presence), observedAt: toTimestamp(observedAtMs) },
});

const convertNetwork = ({ name, bridge, active, presence, observedAtMs }: HostNetwork) => ({
  name,
  bridge,
  active,
  observation: { presence: presences.toProto(presence), observedAt: toTimestamp(observedAtMs) },
});

const convertDevice = ({ kind, ...device }: PciDevice) => ({ ...device, kind: deviceKinds.toProto(kind) });

const stepsOf = (bytes: number | undefined): number | undefined =>
  bytes === undefined ? undefined : Math.floor(bytes / etagStepBytes);

function convertCompatibility(of: NonNullable<HostInventory["compatibility"]>, cut: ByteCut): Compatibility {
  return {
    ...of,
    cpuFeatures: cut.texts("CPU features", of.cpuFeatures, most.texts),
    hostCpuFeatures: cut.texts("features of the host's CPU", of.hostCpuFeatures, most.texts),
    machineTypes: cut.texts("machine types", of.machineTypes, most.texts),
  };
}

function* convertCapacity(capacity: HostCapacity): Converting<Capacity> {
  const cut = new ByteCut();
  const cells = yield* cut.list("NUMA cells", capacity.cells, most.cellCapacities, ({ id, resources }) => ({
    cell: id,
    resources: [...resources],
  }));
  const devices = yield* cut.list(
    "devices for guests",
    capacity.devices,
    most.deviceCapacities,
    ({ state, ...device }) => ({ ...device, state: deviceStates.toProto(state) }),
  );
  const message = {
    generation: capacity.generation,
    complete: capacity.complete && cut.leftOut.length === 0,
    incompleteReasons: [...capacity.incompleteReasons, ...cut.leftOut],
    cells,
    dedicatedCpus: [...capacity.dedicatedCpus],
    devices,
  };
  const stable = {
    ...capacity,
    cells: capacity.cells.slice(0, cells.length),
    devices: capacity.devices.slice(0, devices.length),
    generation: undefined,
  };
  return { message, stable };
}

function* convertHealth(health: HostHealth): Converting<Health> {
  const converted: ReturnType<typeof convertCondition>[] = [];
  for (const condition of health.conditions) {
    converted.push(convertCondition(condition));
    yield;
  }
  const message = {
    state: effectWords.toProto(health.state),
    conditions: converted,
    alive: truthWords.toProto(health.alive),
    schedulable: truthWords.toProto(health.schedulable),
    safeToFence: truthWords.toProto(health.safeToFence),
    blockingConditions: [...health.blockingConditions],
  };
  const conditions = health.conditions.map((condition, at) => ({
    ...condition,
    subjects: converted[at]?.subjects,
    evidence: undefined,
    lastProbeMs: undefined,
  }));
  return { message, stable: { ...health, conditions } };
}

function convertCondition(condition: Condition): ProtoCondition & { readonly subjects: string[] } {
  const { sinceMs, lastProbeMs, status, effect, evidence, subjects, ...same } = condition;
  const cut = new ByteCut();
  const shown = cut.texts("subjects", subjects, most.subjects);
  return {
    ...same,
    evidence: [cutText(evidence, maxEvidence), ...cut.leftOut].join("; "),
    subjects: shown,
    status: truthWords.toProto(status),
    effect: effectWords.toProto(effect),
    since: toTimestamp(sinceMs),
    lastProbe: lastProbeMs === 0 ? null : toTimestamp(lastProbeMs),
  };
}
