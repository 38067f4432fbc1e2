import { randomUUID } from "node:crypto";
import { FairPlaces } from "../kernel/fair-places.ts";
import { KeyedLock } from "../kernel/keyed-lock.ts";
import { isUncertain, SocleError, toSocleError } from "../kernel/errors.ts";
import type { LibvirtStream } from "../libvirt/index.ts";
import type { Behalf, Operation } from "../state/operation.ts";
import type { BeginRequest, Operations, Step } from "../state/operations.ts";
import { tenantOfCaller } from "../trust/index.ts";
import { chooseAccelerator } from "./accelerator.ts";
import { Consoles } from "./consoles.ts";
import { createWork, resolve } from "./create-work.ts";
import { Creations, nothingTaken, sized, sizeOf, type Taken } from "./creations.ts";
import { inTurn, overwrites } from "./erasure.ts";
import { deleteWork, keptAndErased, keptWithoutKey, requireDeletable, requireEtag } from "./delete-work.ts";
import { keyedParts, TPM_PART } from "./guest-keys.ts";
import type { HostDoor } from "./host-door.ts";
import type { KvmProbe } from "./kvm-probe.ts";
import {
  forceRequired,
  graceOf,
  pauseWork,
  rebootWork,
  resumeWork,
  startWork,
  stopWork,
} from "./power-works.ts";
import { requireNicsFree } from "./nic-users.ts";
import { chargedTo, fingerprintOf, notAsked, validated, whoAsks } from "./request.ts";
import { requireAbilities } from "./abilities.ts";
import { checkSpec, type SpecPolicy } from "./spec-check.ts";
import type { Accelerator, VmSpec } from "./spec.ts";
import { StopEscalation } from "./stop-escalation.ts";
import { requirePermitted, type TenantPolicy } from "./tenant-policy.ts";
import type { Vm } from "./vm.ts";
import { KEEP_DISKS, requireReadable } from "./unreadable.ts";
import { going, requireUnused, requireUsable, volumeKey } from "./volume-users.ts";
import {
  erasureOf,
  ofSilence,
  ownVolumes,
  undecided,
  volumesNamedBy,
  type Intent,
  type WorkContext,
  type WorkRun,
} from "./work.ts";

export interface VmsOptions extends WorkContext {
  readonly operations: Operations;
  readonly host: HostDoor;
  readonly kvmProbe: Pick<KvmProbe, "suspect">;
  readonly policy: SpecPolicy &
    TenantPolicy & { readonly accelerator: "auto" | Accelerator; readonly gracefulStopMs: number };
}

/** Every mutation carries these. `vm` is an id or a name. */
export interface Mutation {
  readonly requestId: string;
  /** No part of what makes a request the same. */
  readonly behalf?: Behalf | undefined;
  readonly vm: string;
}

export interface CreateRequest {
  readonly requestId: string;
  readonly behalf?: Behalf | undefined;
  /** Anything: it is checked here. Without `id` one is chosen. */
  readonly spec: Readonly<Record<string, unknown>>;
  readonly leaveStopped: boolean;
  readonly validateOnly: boolean;
  readonly placementEpoch: number;
  /** Its room was reserved before. */
  readonly reservationId?: string | undefined;
  /** Who asks may know and have the VMs of the spec's tenant alone. */
  readonly tenantOnly?: boolean;
}

/** What is left to do with a VM that cannot be read. */
const RELIEVING: ReadonlySet<Intent["kind"]> = new Set<Intent["kind"]>(["STOP_VM", "DELETE_VM"]);

/** More would only wait for each other in libvirt. */
const MADE_AT_ONCE = 8;

/**
 * What may be done to VMs. Every mutation is an operation: refused at once with a SocleError, or durable when it
 * resolves, its work going on by itself, one at a time per VM.
 */
export class Vms {
  readonly #options: VmsOptions;
  /** As many wait as operations of one VM may be under way. */
  readonly #lock = new KeyedLock({ maxWaiting: 64 });
  /** What makes VMs run takes libvirt's time: a few at once, so that what stops them finds it free. */
  readonly #places = new FairPlaces({ places: MADE_AT_ONCE, maxWaiting: 20_000 });
  /** Overwriting takes hours, and what a disk can write: one at a time, in nobody else's place. */
  readonly #overwriting = new FairPlaces({ places: 1, maxWaiting: 1000 });
  readonly #creations: Creations;
  /** Volumes that are being deleted with their VM. */
  readonly #going = new Set<string>();
  readonly #escalation: StopEscalation;
  readonly #consoles: Consoles;

  constructor(options: VmsOptions) {
    this.#options = options;
    this.#consoles = new Consoles(options.domains);
    this.#escalation = new StopEscalation(options.clock);
    this.#creations = new Creations(options);
    // What an interrupted create may have begun is nobody else's to take until it is settled.
    for (const { intent } of options.operations.interrupted) this.#creations.takeAgain(intent as Intent);
  }

  /**
   * Throws `invalid` SPEC_INVALID, `already_exists` VM_EXISTS, what requirePermitted (tenant-policy.ts), requireUsable
   * (volume-users.ts), requireNicsFree (nic-users.ts), HostDoor.claim and Operations.begin throw, what Volumes.resolve throws for the base of a disk that has no capacity of its own, `conflict`
   * KVM_UNAVAILABLE, and `unavailable` LIBVIRT_UNAVAILABLE.
   */
  async create(request: CreateRequest, caller: string): Promise<Operation> {
    const { operations, host, policy, clock } = this.#options;
    const fingerprint = fingerprintOf("CREATE_VM", { ...request, ...notAsked });
    const find = (): Promise<Operation> | undefined =>
      operations.find({ ...request, caller, kind: "CREATE_VM", fingerprint });
    const held = find();
    if (held !== undefined) return await held;
    const checked = checkSpec({ ...request.spec, id: request.spec["id"] ?? randomUUID() }, policy);
    const { tenantOnly = false } = request;
    if (tenantOnly) requirePermitted(checked, policy.permissionsOf(checked.tenant));
    this.#requireSight();
    this.#requireFree(checked, tenantOnly);
    await requireAbilities(checked, this.#options);
    if (checked.disks.some(({ source }) => source.kind === "new")) await host.storageRead();
    const asked = await sized(checked, this.#options.volumes);
    // From here on nothing is waited for until all is taken: another may have come meanwhile, or this very one again.
    const meanwhile = find();
    if (meanwhile !== undefined) return await meanwhile;
    this.#requireFree(asked, tenantOnly);
    const needed = asked.launchSecurity === undefined ? undefined : "kvm";
    const accelerator = asked.accelerator ?? needed ?? this.defaultAccelerator();
    const { reservationId, leaveStopped, placementEpoch } = request;
    const room = host.claim({
      ...sizeOf(asked, accelerator),
      ...(reservationId === undefined
        ? {}
        : { reservation: { id: reservationId, caller, tenant: asked.tenant } }),
    });
    const spec = room.wish === undefined ? asked : { ...asked, placement: room.wish };
    const taken = this.#creations.take(spec, room);
    try {
      if (request.validateOnly) {
        await this.#places.run(caller, () => this.#lookOver(spec, request));
        taken.ended("not made");
        return validated(request.requestId, spec.id, caller, clock.now());
      }
      const intent: Intent = {
        kind: "CREATE_VM",
        spec,
        accelerator,
        leaveStopped,
        placement: room.placement,
        ...(reservationId === undefined ? {} : { reservationId }),
        ...(tenantOnly ? { tenantOnly } : {}),
        placementEpoch,
        createdAtMs: clock.now(),
      };
      const of = { vmId: spec.id, instance: randomUUID(), ...chargedTo(spec) };
      return await this.#begin({ ...whoAsks(request, caller), fingerprint, ...of, intent }, taken);
    } catch (thrown) {
      taken.ended(isUncertain(thrown) ? "unknown" : "not made");
      throw thrown;
    }
  }

  async start(request: Mutation & { readonly placementEpoch: number }, caller: string): Promise<Operation> {
    return await this.#mutate(request, caller, "START_VM", () => ({
      kind: "START_VM",
      placementEpoch: request.placementEpoch,
    }));
  }

  /** `gracefulTimeoutMs` undefined: the host's configuration says. Throws `invalid` FORCE_REQUIRED for 0 without force. */
  async stop(
    request: Mutation & { readonly gracefulTimeoutMs?: number | undefined; readonly force: boolean },
    caller: string,
  ): Promise<Operation> {
    const { gracefulTimeoutMs = this.#options.policy.gracefulStopMs, force } = request;
    if (gracefulTimeoutMs === 0 && !force) throw forceRequired();
    const operation = await this.#mutate(request, caller, "STOP_VM", (vm) => ({
      kind: "STOP_VM",
      gracefulTimeoutMs:
        force && request.gracefulTimeoutMs === undefined ? graceOf(vm, gracefulTimeoutMs) : gracefulTimeoutMs,
      force,
    }));
    // Only now, when it is durable, may it cut short one that still waits for the guest.
    if (force) this.#escalation.forced(operation.vmId, caller, gracefulTimeoutMs);
    return operation;
  }

  async reboot(request: Mutation & { readonly force: boolean }, caller: string): Promise<Operation> {
    return await this.#mutate(request, caller, "REBOOT_VM", () => ({
      kind: "REBOOT_VM",
      force: request.force,
    }));
  }

  async pause(request: Mutation, caller: string): Promise<Operation> {
    return await this.#mutate(request, caller, "PAUSE_VM", () => ({ kind: "PAUSE_VM" }));
  }

  async resume(request: Mutation, caller: string): Promise<Operation> {
    return await this.#mutate(request, caller, "RESUME_VM", () => ({ kind: "RESUME_VM" }));
  }

  /**
   * Throws `conflict` VM_RUNNING without `force`, ETAG_MISMATCH when the VM changed since it was read, VOLUME_IN_USE when
   * its disks are another's too.
   */
  async delete(
    request: Mutation & {
      readonly keepDisks: boolean;
      readonly eraseDisks?: boolean;
      readonly force: boolean;
      readonly etag?: string | undefined;
    },
    caller: string,
  ): Promise<Operation> {
    const { etag, force, keepDisks, eraseDisks = false } = request;
    if (keepDisks && eraseDisks) throw keptAndErased();
    return await this.#mutate(request, caller, "DELETE_VM", (vm) => {
      requireEtag(etag, vm);
      requireDeletable(vm.name, vm, force);
      const { spec } = vm;
      if (spec === undefined && !keepDisks) requireReadable(vm, KEEP_DISKS);
      const parts = spec === undefined ? [] : keyedParts(spec);
      if (keepDisks && parts.some((part) => part !== TPM_PART)) throw keptWithoutKey(vm.name);
      const volumes = keepDisks || spec === undefined ? [] : ownVolumes(spec);
      // Overlays that no spec names are looked for by the work.
      const users = { vms: this.#options.table.all(), creations: this.#creations.specs() };
      requireUnused(vm.id, volumes, users, { paths: [], overlays: [] });
      return {
        kind: "DELETE_VM",
        volumes,
        force,
        ...(parts.length === 0 ? {} : { keyedParts: parts }),
        ...(eraseDisks && spec !== undefined ? { erase: erasureOf(spec) } : {}),
        ...(etag === undefined ? {} : { etag }),
      };
    });
  }

  /** The guest's serial console; ends with the signal. Throws `conflict` when it is held by another and not forced. */
  async openConsole(
    vm: string,
    options: { readonly force: boolean },
    signal: AbortSignal,
  ): Promise<LibvirtStream> {
    const managed = this.#managed(vm);
    requireReadable(managed);
    return await this.#consoles.open(managed.id, options.force, signal);
  }

  /** Works on an operation that was interrupted, or whose outcome is unknown, until it has an end. */
  resumeOperation(operation: Operation): void {
    const intent = operation.intent as Intent;
    this.#work(operation, intent, true, this.#creations.takeAgain(intent));
  }

  async #mutate(
    request: Mutation,
    caller: string,
    kind: Intent["kind"],
    decide: (vm: Vm) => Intent,
  ): Promise<Operation> {
    const fingerprint = fingerprintOf(kind, { ...request, ...notAsked });
    const held = this.#options.operations.find({ ...request, caller, kind, fingerprint });
    if (held !== undefined) return await held;
    const vm = this.#managed(request.vm);
    if (!RELIEVING.has(kind)) requireReadable(vm);
    const intent = decide(vm);
    const of = { vmId: vm.id, instance: vm.instance, ...chargedTo(vm) };
    return await this.#begin({ ...whoAsks(request, caller), fingerprint, ...of, intent }, nothingTaken);
  }

  async #begin(
    request: ReturnType<typeof whoAsks> &
      Pick<BeginRequest, "fingerprint" | "vmId" | "instance" | "tenant"> & {
        intent: Intent;
      },
    taken: Taken,
  ): Promise<Operation> {
    const { kind } = request.intent;
    const urgent = kind === "STOP_VM";
    const { operation, fresh } = await this.#options.operations.begin({ ...request, kind, urgent });
    if (fresh) this.#work(operation, request.intent, false, taken);
    else taken.ended("not made");
    return operation;
  }

  #work(operation: Operation, intent: Intent, resumed: boolean, taken: Taken): void {
    const { operations, kvmProbe } = this.#options;
    const { vmId, steps } = operation;
    const done = new Set(steps.filter(({ outcome }) => outcome === "done").map(({ name }) => name));
    const isHalfMade = resumed && intent.kind === "CREATE_VM";
    operations.run(operation, async (step, signal) => {
      // What an earlier run made is taken back by the work alone: it has its turn before it is cancelled.
      const untilCancelled = isHalfMade ? undefined : signal;
      try {
        await taken.begun();
        const result = await this.#lock.run(
          vmId,
          () =>
            this.#inPlace(operation, intent, step, untilCancelled, () =>
              this.#do(intent, operation.caller, {
                operationId: operation.id,
                vmId,
                instance: operation.instance,
                step,
                signal,
                resumed,
                done,
              }),
            ),
          untilCancelled,
          // However much a tenant has queued for its VM, the provider's operation is the next.
          { ahead: tenantOfCaller(operation.caller) === undefined },
        );
        taken.ended("made");
        return result;
      } catch (thrown) {
        const error = ofSilence(undecided(toSocleError(thrown), resumed));
        taken.ended(error.kind === "outcome_unknown" ? "unknown" : "not made");
        if (this.#startsUnderKvm(vmId, intent)) await kvmProbe.suspect(vmId, error);
        throw error;
      }
    });
  }

  /** How many have a place in which VMs are made, started or deleted, and how many wait for one. */
  get places(): { readonly taken: number; readonly waiting: number } {
    return this.#places;
  }

  async #inPlace<T>(
    { kind, caller }: Pick<Operation, "kind" | "caller">,
    intent: Intent,
    step: Step,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    if (overwrites(intent)) return await inTurn(this.#overwriting, caller, step, signal, work);
    const isHeavy = kind === "CREATE_VM" || kind === "START_VM" || kind === "DELETE_VM";
    return isHeavy ? await this.#places.run(caller, work, signal) : await work();
  }

  #startsUnderKvm(vmId: string, intent: Intent): boolean {
    if (intent.kind === "CREATE_VM") return intent.accelerator === "kvm";
    return intent.kind === "START_VM" && this.#options.table.get(vmId)?.accelerator === "kvm";
  }

  async #do(intent: Intent, caller: string, run: WorkRun): Promise<Record<string, string>> {
    const context = this.#options;
    switch (intent.kind) {
      case "CREATE_VM":
        return await createWork(() => this.#creations.specs())(context, intent, run);
      case "START_VM":
        return await startWork(context, intent, run);
      case "STOP_VM":
        return await this.#escalation.during(run.vmId, caller, (cut) => stopWork(cut)(context, intent, run));
      case "REBOOT_VM":
        return await rebootWork(context, intent, run);
      case "PAUSE_VM":
        return await pauseWork(context, intent, run);
      case "RESUME_VM":
        return await resumeWork(context, intent, run);
      case "DELETE_VM": {
        // From here on they are refused to new VMs; those in the making by now are seen by the work.
        const volumes = intent.volumes.map(volumeKey);
        for (const volume of volumes) this.#going.add(volume);
        try {
          const result = await deleteWork(() => this.#creations.specs())(context, intent, run);
          context.host.deleted(intent.volumes);
          return result;
        } finally {
          for (const volume of volumes) this.#going.delete(volume);
        }
      }
    }
  }

  /** Absent is only said over a complete list; otherwise it is not known. */
  #managed(idOrName: string): Vm {
    const { table } = this.#options;
    const vm = table.get(idOrName);
    if (vm === undefined) {
      this.#requireSight();
      throw new SocleError("not_found", "VM_NOT_FOUND", `there is no VM ${idOrName} on this host`);
    }
    if (vm.managed) return vm;
    const message = `VM ${vm.name} was not made by Socle; it is shown, never touched`;
    throw new SocleError("denied", "VM_UNMANAGED", message, { details: { metadata: { vm_id: vm.id } } });
  }

  #requireSight(): void {
    if (this.#options.table.complete) return;
    const message =
      "libvirt does not tell which VMs are here now, and none is made before it does; try again, and where that lasts see the agent's log";
    throw new SocleError("unavailable", "LIBVIRT_UNAVAILABLE", message, { details: { retryAfterMs: 2000 } });
  }

  /** Throws `conflict` KVM_UNAVAILABLE. */
  defaultAccelerator(): Accelerator {
    return chooseAccelerator(this.#options.policy.accelerator, this.#options.host.kvm());
  }

  /** Its names are free, and so is what it names, for all that is known without asking libvirt. */
  #requireFree(spec: VmSpec, tenantOnly: boolean): void {
    this.#creations.requireFree(spec);
    for (const named of volumesNamedBy(spec)) if (this.#going.has(volumeKey(named))) throw going(named);
    const users = { vms: this.#options.table.all(), creations: this.#creations.specs() };
    requireUsable(spec, users, tenantOnly);
    requireNicsFree(spec, users, tenantOnly);
  }

  async #lookOver(spec: VmSpec, { leaveStopped, tenantOnly }: CreateRequest): Promise<void> {
    const asked = { spec, leaveStopped, ...(tenantOnly === true ? { tenantOnly } : {}) };
    await resolve(this.#options, asked, () => this.#creations.specs());
    await this.#options.volumes.requireAbsent(ownVolumes(spec));
  }
}
