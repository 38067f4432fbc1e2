import type * as z from "zod";
import type { Accelerator, VmSpec, VolumeRef } from "../model/spec.ts";
import type { TenantPolicy } from "../model/tenant-policy.ts";
import type { Vm, VmState } from "../model/vm.ts";
import type { VmTable } from "../observation/vm-table.ts";
import type { RunContext, WorkRun } from "./work.ts";

/**
 * Where the work waits for its turn. `command`: nowhere. `heavy`: for one of a few places, since it occupies libvirt for
 * long. `erasure`: for the one place in which disks are overwritten.
 */
export type Lane = "command" | "heavy" | "erasure";

export type Result = Record<string, string>;

/** What the admission of a request to change a VM may look at. */
export interface Admission {
  /** The caller may act on the VMs of one tenant only. */
  readonly byTenant: boolean;
  readonly policy: TenantPolicy & { readonly gracefulStopMs: number };
  readonly table: VmTable;
  readonly creations: () => Iterable<VmSpec>;
}

/** A kind of operation: all that the agent knows about it. registry.ts lists them. */
export interface OperationDefinition<Kind extends string, Intent extends object, Request extends object> {
  readonly kind: Kind;
  /** The intent as the journal stores it, beside its kind. It must go on to read what released versions wrote. */
  readonly intent: z.ZodType<Intent>;
  readonly lane: Lane | ((intent: Intent) => Lane);
  /** Relieves the host or its tenant: some room for operations is kept for it. */
  readonly urgent?: true;
  /** Also for a VM whose spec cannot be read. */
  readonly acceptsUnreadable?: true;
  /** An interrupted run may have left half of its work: the next run finds that out before it can be cancelled. */
  readonly mayLeaveHalf?: true;
  /** Its runs check by themselves that the domain is the instance that the operation was admitted for. */
  readonly checksInstance?: "always" | "in its first run";
  /** The VM's state once the operation has succeeded; absent: the stamp in the domain does not show it. */
  readonly endState?: VmState;
  /** The name that the operation gives to, or takes from, a VM. */
  readonly nameIn?: (intent: Intent) => string | undefined;
  /** The volumes that go with the VM: meanwhile no new VM may use them. */
  readonly removes?: (intent: Intent) => readonly VolumeRef[];
  /** When the VM's stop under way is to stop waiting for the guest, in milliseconds from the admission of this one. */
  readonly cutsStopAfterMs?: (intent: Intent) => number | undefined;
  /** The accelerator under which it starts a guest. */
  readonly startsUnder?: (intent: Intent, vm: Vm | undefined) => Accelerator | undefined;
  /** What is to be done, from a checked request. Throws a SocleError that refuses it. Absent: it is not about a VM that exists. */
  readonly admit?: (request: Request, vm: Vm, admission: Admission) => Intent;
  /** Does the work. Running it again after any interruption is safe. */
  readonly run: (context: RunContext, intent: Intent, run: WorkRun) => Promise<Result>;
}

export const defineOperation = <Kind extends string, Intent extends object, Request extends object = object>(
  definition: OperationDefinition<Kind, Intent, Request>,
): OperationDefinition<Kind, Intent, Request> => definition;
