import * as z from "../../kernel/zod.ts";
import type { Immutable } from "../../kernel/immutable.ts";
import { vmSpec, type VmSpec } from "../../contract/spec.ts";
import { bootBytesOf, growthTowards } from "../model/memory-growth.ts";
import type { VmDomain } from "../model/vm-domain.ts";
import { definedFields, type DefinedField } from "../observation/domain-document.ts";

const { shape } = vmSpec;

/** The fields that UpdateVm changes, absent where they stay; null: without a value. */
export const changes = z.strictObject({
  labels: shape.labels.unwrap().exactOptional(),
  autostart: shape.autostart.unwrap().exactOptional(),
  startPriority: shape.startPriority.unwrap().nullable().exactOptional(),
  startDelaySeconds: shape.startDelaySeconds.unwrap().nullable().exactOptional(),
  crashPolicy: shape.crashPolicy.unwrap().nullable().exactOptional(),
  vcpus: shape.vcpus.exactOptional(),
  maxVcpus: shape.maxVcpus.unwrap().nullable().exactOptional(),
  cpuTopology: shape.cpuTopology.unwrap().nullable().exactOptional(),
  cpuMode: shape.cpuMode.unwrap().nullable().exactOptional(),
  cpuModel: shape.cpuModel.unwrap().nullable().exactOptional(),
  memoryBytes: shape.memoryBytes.exactOptional(),
  maxMemoryBytes: shape.maxMemoryBytes.unwrap().nullable().exactOptional(),
  bootOrder: shape.bootOrder.unwrap().nullable().exactOptional(),
  graphics: shape.graphics.unwrap().nullable().exactOptional(),
  watchdog: shape.watchdog.unwrap().nullable().exactOptional(),
});
export type Changes = Immutable<z.output<typeof changes>>;
type Field = keyof typeof changes.shape;

const snake = (field: string): string => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
/** By the name on the wire. */
const byName = new Map((Object.keys(changes.shape) as Field[]).map((field) => [snake(field), field]));

export const updatable = [...byName.keys()];
export const fieldNamed = (name: string): Field | undefined => byName.get(name);

/** The names on the wire. */
export const namesOf = (fields: readonly string[]): string => fields.map(snake).join(",");

/** The changed fields that are parts of the definition. */
export const definedIn = (changed: Changes): DefinedField[] =>
  definedFields.filter((field) => changed[field] !== undefined);

/** Unchecked. */
export function withChanges(spec: VmSpec, changed: Changes): VmSpec {
  const all = Object.entries({ ...spec, ...changed }).filter(([, value]) => value !== null);
  // The cast is of what the schema checks next: only optional fields can be null.
  return Object.fromEntries(all) as VmSpec;
}

/** What a running guest is given of a spec; an absent value stays. */
export interface LiveSize {
  readonly vcpus?: number;
  /** What the balloon leaves of the memory that it was started with. */
  readonly balloonBytes?: number;
  /** What it is given beyond that. */
  readonly grownBytes?: number;
}

/**
 * How far a running guest can follow a spec. Its vCPUs: within its maximum, without those that it cannot release. Its memory:
 * down by the balloon, up by devices that are added to it; neither works on huge pages, which are not reserved for it, and on
 * pinned memory, as for host devices.
 */
export function liveSizeOf(running: VmDomain, spec: VmSpec, fields: readonly DefinedField[]): LiveSize {
  const { vcpus, memoryBacking, launchSecurity, devices } = running;
  const least = vcpus.current - (vcpus.removable ?? 0);
  const canPlug = spec.vcpus <= vcpus.max && spec.vcpus >= least;
  const canResize =
    fields.includes("memoryBytes") &&
    memoryBacking?.hugePages === undefined &&
    launchSecurity === undefined &&
    !devices.hostDevices.some(({ type }) => type === "pci");
  const hasBalloon = devices.memoryBalloon?.model === "virtio";
  return {
    ...(fields.includes("vcpus") && canPlug ? { vcpus: spec.vcpus } : {}),
    ...(canResize && hasBalloon ? { balloonBytes: Math.min(spec.memoryBytes, bootBytesOf(running)) } : {}),
    ...(canResize ? { grownBytes: growthTowards(running, spec.memoryBytes) } : {}),
  };
}

/** The changed fields that wait for the next start. `running`: the guest before or after the change; undefined: none runs. */
export function waiting(
  running: VmDomain | undefined,
  spec: VmSpec,
  fields: readonly DefinedField[],
): DefinedField[] {
  if (running === undefined) return [...fields];
  const { vcpus, balloonBytes = bootBytesOf(running), grownBytes } = liveSizeOf(running, spec, fields);
  const memoryBytes = grownBytes === undefined ? undefined : balloonBytes + grownBytes;
  return fields.filter((field) => {
    if (field === "vcpus") return vcpus !== spec.vcpus;
    return field !== "memoryBytes" || memoryBytes !== spec.memoryBytes;
  });
}
