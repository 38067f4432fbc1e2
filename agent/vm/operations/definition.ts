import type * as z from "../../kernel/zod.ts";
import type { Accelerator, VolumeRef } from "../../contract/spec.ts";
import type { SpecPolicy } from "../model/spec-check.ts";
import type { TenantPolicy } from "../model/tenant-policy.ts";
import type { Vm, VmState } from "../model/vm.ts";
import type { VmHost } from "../model/vm-host.ts";
import type { DeviceSpec } from "../model/volume-names.ts";
import type { Growth } from "../../state/reservations/footprint.ts";
import type { VmTable } from "../observation/vm-table.ts";
import type { RunContext, WorkContext, WorkRun } from "./work.ts";

/**
 * The queue in which the work waits. `command`: none. `heavy`: a few permits, since the work occupies libvirt for long.
 * `erasure`: one permit, for overwriting disks. `transfer`: a few permits, for bytes that come over the network. `conversion`: as
 * many of its own, for such bytes that wait for the one conversion.
 */
export type Lane = "command" | "heavy" | "erasure" | "transfer" | "conversion";

export type Result = Record<string, string>;

/** Inputs for the admission of a request to change a VM. */
export interface Admission {
  /** The caller may act on the VMs of one tenant only. */
  readonly byTenant: boolean;
  readonly policy: SpecPolicy & TenantPolicy & { readonly gracefulStopMs: number };
  readonly table: VmTable;
  readonly creations: () => Iterable<DeviceSpec>;
  readonly placeDevice: VmHost["placeDevice"];
}

/** A kind of operation: all that the agent knows about it. registry.ts lists them. */
export interface OperationDefinition<Kind extends string, Intent extends object, Request extends object> {
  readonly kind: Kind;
  /** The intent as the journal stores it, beside its kind. It must accept what released versions wrote. */
  readonly intent: z.ZodType<Intent>;
  readonly lane: Lane | ((intent: Intent) => Lane);
  /** Relieves the host or its tenant: some capacity for operations is kept for it. */
  readonly urgent?: true;
  /** Also allowed for a VM whose spec cannot be read. */
  readonly acceptsUnreadable?: true;
  /** Also allowed for a VM that boots a rescue system, or has not ended one: it changes nothing of the VM's own system. */
  readonly acceptsRescued?: true;
  /** Also allowed while the restoration of a disk is not complete. */
  readonly acceptsUnrestored?: true;
  /** An interrupted run may have left half of its work: the next run checks that before it can be cancelled. */
  readonly mayLeaveHalf?: true;
  /** Its runs check themselves that the domain is the instance that the operation was admitted for. */
  readonly checksInstance?: "always" | "in its first run";
  /** Refused while a backup of the VM is open, or of the disk that it changes. */
  readonly notDuringBackup?: "any" | ((intent: Intent) => { readonly disk: string });
  /**
   * The VM's state once the operation has succeeded, or `unchanged`; absent: the stamp in the domain does not show its
   * success.
   */
  readonly endState?: VmState | "unchanged";
  /** The VM name that the operation gives or frees. */
  readonly nameIn?: (intent: Intent) => string | undefined;
  /** The volumes deleted with the VM: meanwhile no new VM may use them. */
  readonly removes?: (intent: Intent) => readonly VolumeRef[];
  /** The devices that it adds to the VM: meanwhile no other VM may have their volumes and addresses. */
  readonly adds?: (intent: Intent) => Partial<Pick<DeviceSpec, "disks" | "nics">>;
  /** The storage that it needs for volumes of the VM. */
  readonly grows?: (intent: Intent, vmId: string) => Omit<Growth, "tenant">;
  /** The bytes of user data in its intent, which count among those of all unfinished operations. Only with `grows` or `adds`. */
  readonly holdsBytes?: (intent: Intent) => number;
  /** Until when the VM's running stop may wait for the guest, in milliseconds from the admission of this operation. */
  readonly cutsStopAfterMs?: (request: Request, policy: Admission["policy"]) => number | undefined;
  /** The accelerator under which it starts a guest. */
  readonly startsUnder?: (intent: Intent, vm: Vm | undefined) => Accelerator | undefined;
  /**
   * Completes a request with what libvirt knows, before its admission. Throws a SocleError. `requireFree` throws for devices
   * that the caller may not have: it comes before any look at their volumes, which would show whether those exist.
   */
  readonly prepare?: (
    request: Request,
    vm: Vm,
    context: WorkContext,
    requireFree: (devices: DeviceSpec) => void,
  ) => Promise<Request>;
  /** Makes the intent from a checked request, or throws a SocleError. Absent: the operation needs no existing VM. */
  readonly admit?: (request: Request, vm: Vm, admission: Admission) => Intent;
  /** For a request that only validates: checks what `run` would, and returns what it would do. It changes nothing. */
  readonly plan?: (context: RunContext, intent: Intent, vm: Vm) => Promise<Result>;
  /** Does the work. It may be run again after any interruption. */
  readonly run: (context: RunContext, intent: Intent, run: WorkRun) => Promise<Result>;
}

/** The result of an operation whose success the stamp in the domain shows. */
export const resultOf = (endState: VmState | "unchanged"): Result =>
  endState === "unchanged" ? {} : { state: endState };

export const defineOperation = <Kind extends string, Intent extends object, Request extends object = object>(
  definition: OperationDefinition<Kind, Intent, Request>,
): OperationDefinition<Kind, Intent, Request> => definition;
