import { isDeepStrictEqual } from "node:util";
import { toSocleError } from "../../kernel/errors.ts";
import type { DomainMetadata, VmMetadata } from "./vm-domain.ts";
import { placementSchema, type Placement } from "../../state/reservations/placement.ts";
import { instanceOf } from "./instance.ts";
import { sealerOf } from "./sealed-keys.ts";
import { fieldPath } from "./spec-check.ts";
import { rescueOf, type Rescue } from "./rescue.ts";
import { seedOf, type SeedNote } from "./seed-note.ts";
import { backupsOf, type Backups } from "./backups.ts";
import { snapshotsOf, type Snapshots } from "./snapshots.ts";
import { digestOf, storedSpec } from "./stored-spec.ts";
import { unstartedOf, type Unstarted } from "./unstarted.ts";
import type { VmSpec } from "../../contract/spec.ts";
import type { Vm } from "./vm.ts";
import { defined } from "../../kernel/defined.ts";
import { parseJson } from "../../kernel/text/json.ts";

/** The part of a VM that comes from its domain's metadata. */
export type OwnFacts = Pick<
  Vm,
  | "managed"
  | "tenant"
  | "labels"
  | "createdAtMs"
  | "placementEpoch"
  | "instance"
  | "spec"
  | "placedDevices"
  | "snapshots"
  | "rescue"
  | "backups"
  | "unstarted"
  | "seed"
  | "sealedBy"
  | "unreadable"
  | "claimedTenant"
>;

const MAX_REASON_CHARACTERS = 200;

/**
 * The facts in a domain's metadata, validated by the schema of the spec. A domain without Socle's element, or with a
 * copy of another domain's, is unmanaged. If the element is not valid, the VM is managed and `unreadable`: it has no
 * spec, tenant or labels, since none of them can be trusted.
 */
export function ownFacts(metadata: DomainMetadata | undefined, uuid: string): OwnFacts {
  const socle = metadata?.socle;
  if (metadata?.problem !== undefined)
    return defined({ ...unreadable(`metadata: ${metadata.problem}`), instance: metadata.instance });
  if (socle === undefined) return unmanaged;
  const json = parseJson(socle.spec);
  const instance = instanceOf(uuid, socle);
  if (isOfAnother(json, uuid)) return { ...unmanaged, ...rest(socle) };
  try {
    return { managed: true, instance, ...validated(socle, json), ...rest(socle) };
  } catch (thrown) {
    return {
      ...unreadable(`spec: ${toSocleError(thrown).message}`),
      instance,
      claimedTenant: socle.tenant,
      ...rest(socle),
    };
  }
}

/** The placement in the metadata; undefined if it is missing or not valid. */
export function storedPlacement(metadata: DomainMetadata | undefined): Placement | undefined {
  const json = metadata?.socle?.placement;
  return json === undefined ? undefined : placementSchema.safeParse(parseJson(json)).data;
}

/** A reason for people: one line, without control characters, short enough for a condition. */
export function shortReason(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]+/gu, " ");
  return line.length > MAX_REASON_CHARACTERS ? `${line.slice(0, MAX_REASON_CHARACTERS)}...` : line;
}

const unmanaged: OwnFacts = { managed: false, tenant: "", labels: {}, placementEpoch: 0 };

const unreadable = (reason: string): OwnFacts => ({
  ...unmanaged,
  managed: true,
  unreadable: shortReason(reason),
});

function validated(
  socle: VmMetadata,
  json: unknown,
): Pick<Vm, "spec" | "tenant" | "labels"> &
  Partial<Pick<Vm, "placedDevices" | "snapshots" | "rescue" | "backups" | "unstarted" | "seed">> {
  const spec = specOf(socle, json);
  if (socle.tenant !== spec.tenant) throw new Error("the metadata names another tenant than the spec");
  if (!isDeepStrictEqual({ ...socle.labels }, { ...spec.labels }))
    throw new Error("the metadata has other labels than the spec");
  const placement = storedPlacement({ socle });
  if (socle.placement !== undefined && placement === undefined)
    throw new Error("the placement in the metadata is not valid");
  const { devices = [] } = placement ?? {};
  const { snapshots, rescue, backups, unstarted, seed } = socle;
  return {
    spec,
    tenant: spec.tenant,
    labels: spec.labels,
    ...(devices.length === 0 ? {} : { placedDevices: devices }),
    ...(snapshots === undefined ? {} : { snapshots: storedSnapshots(spec.id, snapshots) }),
    ...(rescue === undefined ? {} : { rescue: storedRescue(spec.id, rescue) }),
    ...(backups === undefined ? {} : { backups: storedBackups(spec.id, backups) }),
    ...(unstarted === undefined ? {} : { unstarted: storedUnstarted(unstarted) }),
    ...(seed === undefined ? {} : { seed: storedSeed(spec.id, seed) }),
  };
}

function storedRescue(vmId: string, text: string): Rescue {
  try {
    return rescueOf(vmId, text);
  } catch {
    throw new Error("the rescue system in the metadata is not valid");
  }
}

function storedBackups(vmId: string, text: string): Backups {
  try {
    return backupsOf(vmId, text);
  } catch {
    throw new Error("the backups in the metadata are not valid");
  }
}

function storedSnapshots(vmId: string, text: string): Snapshots {
  try {
    return snapshotsOf(vmId, text);
  } catch {
    throw new Error("the snapshots in the metadata are not valid");
  }
}

function storedSeed(vmId: string, text: string): SeedNote {
  try {
    return seedOf(vmId, text);
  } catch {
    throw new Error("the seeds in the metadata are not valid");
  }
}

function storedUnstarted(text: string): Unstarted {
  try {
    return unstartedOf(text);
  } catch {
    throw new Error("the note of a restoration in the metadata is not valid");
  }
}

function specOf({ spec: text, specDigest }: VmMetadata, json: unknown): VmSpec {
  if (json === undefined) throw new Error("it is not JSON");
  const checked = storedSpec.safeParse(json);
  if (!checked.success) {
    const [issue] = checked.error.issues;
    throw new Error(`${fieldPath(issue?.path ?? [], "spec")} is not valid: ${issue?.message ?? ""}`);
  }
  if (digestOf(text) !== specDigest)
    throw new Error("its SHA-256 does not match the stored one: it was changed");
  return checked.data;
}

function rest({ createdAt, placementEpoch, keys = {} }: VmMetadata): Partial<OwnFacts> & {
  placementEpoch: number;
} {
  const createdAtMs = Date.parse(createdAt);
  const sealedBy = [...new Set(Object.values(keys).map(sealerOf))];
  return defined({
    placementEpoch,
    createdAtMs: Number.isNaN(createdAtMs) ? undefined : createdAtMs,
    sealedBy: sealedBy.length === 0 ? undefined : sealedBy,
  });
}

/** A domain copied with its metadata (virt-clone) is not the VM that Socle made. */
function isOfAnother(json: unknown, uuid: string): boolean {
  const id = typeof json === "object" && json !== null && "id" in json ? json.id : undefined;
  return typeof id === "string" && id !== uuid;
}
