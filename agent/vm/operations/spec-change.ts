import { isDeepStrictEqual } from "node:util";
import * as z from "../../kernel/zod.ts";
import { defined } from "../../kernel/defined.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { VmSpec } from "../../contract/spec.ts";
import { unbound, type Placement } from "../../state/reservations/placement.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { instanceOf } from "../model/instance.ts";
import { ownFacts, storedPlacement } from "../model/own-facts.ts";
import type { Rescue } from "../model/rescue.ts";
import type { SeedNote } from "../model/seed-note.ts";
import type { SealedKeys } from "../model/sealed-keys.ts";
import { backupsText, noBackups, type Backups } from "../model/backups.ts";
import { noSnapshots, snapshotsText, type Snapshots } from "../model/snapshots.ts";
import { checkRules } from "../model/spec-check.ts";
import { storedText } from "../model/stored-spec.ts";
import type { VmState } from "../model/vm.ts";
import type { VmDomain, VmMetadata } from "../model/vm-domain.ts";
import { requireSpecOf } from "./request.ts";
import { requireNotRescued, requireNotSavedNow, settled } from "./vm-state.ts";
import { seen, type WorkContext, type WorkRun } from "./work.ts";

// A change of an existing VM writes its spec before a device is added and after a device is removed: at any moment the spec
// has at least the devices of the domain, so nothing that the VM owns is without an owner.

/** A part of the intent of every change. */
export const changeIntent = {
  /** The VM as the caller read it. */
  etag: z.string().exactOptional(),
};

/**
 * The checks before the first effect of a change, and its stamp; returns what is stored. `hasBegun`: an earlier run had an
 * effect on the devices. Throws `not_found` VM_NOT_FOUND, `conflict` SPEC_UNREADABLE, ETAG_MISMATCH if another change came
 * first, and for devices VM_HAS_SAVED_STATE and `unavailable` GUEST_UNRESPONSIVE.
 */
export async function beginChange(
  context: WorkContext,
  run: WorkRun,
  {
    etag,
    of,
    hasBegun = false,
  }: { etag?: string | undefined; of: "devices" | "metadata"; hasBegun?: boolean },
): Promise<Stored> {
  const { domains, table } = context;
  const { vmId, operationId, step, resumed } = run;
  if (resumed) await settled(context, vmId);
  step.requireOpen();
  if (of === "devices")
    await Promise.all([
      hasBegun ? undefined : requireNotSavedNow(context, vmId),
      domains.devices.requireResponsive(vmId),
    ]);
  const stored = await readSpec(context, vmId);
  requireNotRescued({ name: stored.spec.name, rescue: stored.rescue });
  const vm = table.get(vmId);
  if (!resumed && vm !== undefined) requireSpecOf(etag, vm);
  await domains.stamps.begin(vmId, operationId);
  return stored;
}

interface Stored {
  readonly spec: VmSpec;
  readonly socle: VmMetadata;
  readonly placement: Placement;
  readonly snapshots: Snapshots;
  readonly rescue: Rescue | undefined;
  readonly seed: SeedNote | undefined;
  readonly backups: Backups;
}

/** The spec in the domain's metadata. Throws `not_found` VM_NOT_FOUND, `conflict` SPEC_UNREADABLE. */
export async function readSpec({ domains }: WorkContext, vmId: string): Promise<Stored> {
  return storedIn(await domains.document(vmId), vmId);
}

/** As `readSpec`, of a definition that was read. */
export function storedIn(document: VmDomain | undefined, vmId: string): Stored {
  if (document === undefined)
    throw new SocleError("not_found", "VM_NOT_FOUND", `there is no VM ${vmId} on this host any more`);
  const { name, metadata } = document;
  const facts = ownFacts(metadata, vmId);
  const { spec, snapshots = noSnapshots, backups = noBackups, rescue, seed } = facts;
  if (spec !== undefined && metadata?.socle !== undefined) {
    const placement = storedPlacement(metadata) ?? unbound;
    return { spec, socle: metadata.socle, placement, snapshots, backups, rescue, seed };
  }
  const { unreadable = "it is not in the domain" } = facts;
  const message = `the spec of VM ${name} cannot be read (${unreadable}); repair its metadata (virsh metadata)`;
  throw new SocleError("conflict", "SPEC_UNREADABLE", message);
}

/** What is written with a spec. */
interface WithSpec {
  readonly keys?: (keys: SealedKeys) => SealedKeys;
  readonly snapshots?: (snapshots: Snapshots, before: VmSpec) => Snapshots;
  readonly placement?: (placement: Placement, before: VmSpec) => Placement;
}

const same = <Value>(value: Value): Value => value;

/**
 * Writes the changed spec, and what else is changed with it, into the domain's metadata, unless it is there already. Throws
 * what `change` and `checkRules` throw.
 */
export async function rewriteSpec(
  context: WorkContext,
  vmId: string,
  change: (spec: VmSpec, placement: Placement) => VmSpec,
  { keys: changeKeys = same, snapshots: changeSnapshots = same, placement: place = same }: WithSpec = {},
): Promise<VmSpec> {
  const { domains } = context;
  const { spec: before, socle, placement: placed, snapshots: noted } = await readSpec(context, vmId);
  const spec = checkRules(change(before, placed));
  const keys = changeKeys(socle.keys ?? {});
  const snapshots = changeSnapshots(noted, before);
  const placement = place(placed, before);
  if (
    isDeepStrictEqual(spec, before) &&
    isDeepStrictEqual(keys, socle.keys ?? {}) &&
    isDeepStrictEqual(snapshots, noted) &&
    isDeepStrictEqual(placement, placed)
  )
    return spec;
  const metadata = defined<VmMetadata>({
    ...socle,
    ...storedText(spec),
    labels: spec.labels,
    // Of a VM of version 0.1.0, whose instance derives from the text that is replaced here.
    instance: instanceOf(vmId, socle),
    keys: Object.keys(keys).length === 0 ? undefined : keys,
    snapshots: isDeepStrictEqual(snapshots, noted) ? socle.snapshots : snapshotsText(snapshots),
    placement: isDeepStrictEqual(placement, placed) ? socle.placement : JSON.stringify(placement),
  });
  await domains.setMetadata(vmId, metadata, isActive(await domains.state(vmId)));
  return spec;
}

/** Writes the changed snapshots into the domain's metadata, unless they are there already. */
export async function rewriteSnapshots(
  context: WorkContext,
  vmId: string,
  change: (snapshots: Snapshots) => Snapshots,
): Promise<Snapshots> {
  const kept = await rewriteKept(context, vmId, (now) => ({ ...now, snapshots: change(now.snapshots) }));
  return kept.snapshots;
}

type Kept = Pick<Stored, "snapshots" | "backups">;

/** As `rewriteSnapshots`, and the backups in the same write. */
export async function rewriteKept(
  context: WorkContext,
  vmId: string,
  change: (kept: Kept) => Kept,
): Promise<Kept> {
  const { domains } = context;
  const { socle, snapshots, backups } = await readSpec(context, vmId);
  const before = { snapshots, backups };
  const kept = change(before);
  if (isDeepStrictEqual(kept, before)) return kept;
  const metadata = defined<VmMetadata>({
    ...socle,
    instance: instanceOf(vmId, socle),
    snapshots: snapshotsText(kept.snapshots),
    backups: backupsText(kept.backups),
  });
  await domains.setMetadata(vmId, metadata, isActive(await domains.state(vmId)));
  return kept;
}

/** Waits until readers see the backups. */
export async function seenWithBackups(context: WorkContext, vmId: string, backups: Backups): Promise<void> {
  const stored = backupsText(backups) === undefined ? undefined : backups;
  await seen(context, vmId, (vm) => isDeepStrictEqual(vm?.backups, stored));
}

/** Waits until readers see the snapshots. */
export async function seenWithSnapshots(
  context: WorkContext,
  vmId: string,
  snapshots: Snapshots,
): Promise<void> {
  const stored = snapshotsText(snapshots) === undefined ? undefined : snapshots;
  await seen(context, vmId, (vm) => isDeepStrictEqual(vm?.snapshots, stored));
}

/** Waits until readers see the spec. */
export async function seenWith(context: WorkContext, spec: VmSpec): Promise<void> {
  await seen(context, spec.id, (vm) => isDeepStrictEqual(vm?.spec, spec));
}

/** When a change of the VM's devices has its effect. */
export const appliesTo = (vm: { readonly state: VmState } | undefined): "now" | "at the next start" =>
  isActive(vm) ? "now" : "at the next start";
