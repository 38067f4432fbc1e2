import { randomUUID } from "node:crypto";
import { SocleError } from "../../kernel/errors.ts";
import type { LibvirtStream } from "../../libvirt/index.ts";
import type { Operation, Outcome } from "../../state/operations/operation.ts";
import { unsettled } from "../../state/operations/refusals.ts";
import type { BeginRequest, Operations } from "../../state/operations/operations.ts";
import { tenantOfCaller } from "../../trust/index.ts";
import { chooseAccelerator } from "../model/accelerator.ts";
import { Consoles } from "../hypervisor/consoles.ts";
import { resolve, type CreateIntent } from "./create.ts";
import { requireNoBackup } from "./backup-refusals.ts";
import { Changes } from "./changes.ts";
import { importEnded, withImage } from "./images.ts";
import { noPlan, type OnSubject, type SubjectWork } from "./begin-on.ts";
import { imagesOf, requireImagesUsable, withImages } from "../images/image-disks.ts";
import { holdSeed } from "./first-boot.ts";
import { Creations, releasing, sized, sizeOf, type Taken } from "./creations.ts";
import type { VmHost } from "../model/vm-host.ts";
import type { KvmProbe } from "../hypervisor/kvm-probe.ts";
import { Guest } from "./guest.ts";
import { requireNicsFree } from "./nic-users.ts";
import type { Asker, CreateRequest, Mutation } from "./request.ts";
import { chargedTo, fingerprintOf, noIdentity, requireNameable, validated, requesterOf } from "./request.ts";
import { requireAbilities } from "../model/requirements.ts";
import { checkSeed, checkSpec, type SpecPolicy } from "../model/spec-check.ts";
import type { Accelerator, VmSpec } from "../../contract/spec.ts";
import { requirePermitted, type TenantPolicy } from "../model/tenant-policy.ts";
import type { Vm } from "../model/vm.ts";
import { outdatedOutcome } from "./outdated.ts";
import { requireReadable } from "../model/unreadable.ts";
import { requireUsable } from "../storage/volume-users.ts";
import type { Admission } from "./definition.ts";
import type { DeviceSpec } from "../model/volume-names.ts";
import {
  definitionOf,
  intentOf,
  nameIn,
  newIntent,
  readIntent,
  storedIntent,
  type Intent,
  type OperationKind,
  type RequestOf,
} from "./registry.ts";
import { OperationRunner } from "./runner.ts";
import { requireChangeable, requireComplete } from "./vm-state.ts";
import { ownVolumes } from "../model/volume-names.ts";
import type { WorkContext } from "./work.ts";
import { defined } from "../../kernel/defined.ts";

export type { CreateRequest, Mutation } from "./request.ts";

interface VmsOptions extends WorkContext {
  readonly operations: Operations;
  readonly host: VmHost;
  readonly kvmProbe: Pick<KvmProbe, "suspect">;
  readonly policy: SpecPolicy &
    TenantPolicy & { readonly accelerator: "auto" | Accelerator; readonly gracefulStopMs: number };
}

/**
 * Mutations of VMs. Each is an operation: refused at once with a SocleError, or durable when it resolves. Its work then
 * runs in the background, one operation at a time per VM.
 */
export class Vms {
  readonly #options: VmsOptions;
  readonly #creations: Creations;
  readonly #changes: Changes;
  readonly #runner: OperationRunner;
  readonly #consoles: Consoles;

  constructor(options: VmsOptions) {
    this.#options = options;
    this.#consoles = new Consoles(options.domains);
    this.#creations = new Creations(options);
    this.#changes = new Changes(options, this.#creations.seedRoom);
    this.#runner = new OperationRunner(options, () => this.#pending());
    // An interrupted operation keeps its claims until it is settled.
    for (const operation of options.operations.interrupted) {
      const intent = readIntent(operation);
      if (intent !== undefined) this.#reclaim(operation, intent);
    }
  }

  /**
   * Throws `invalid` SPEC_INVALID, `already_exists` VM_EXISTS, what requirePermitted (tenant-policy.ts), requireUsable
   * (volume-users.ts), withImages (image-disks.ts), requireNicsFree (nic-users.ts), holdSeed (first-boot.ts),
   * SeedRoom.require, VmHost.claim and Operations.begin throw, what Volumes.resolve throws for the base of a
   * disk without a capacity, `conflict` KVM_UNAVAILABLE, and `unavailable` LIBVIRT_UNAVAILABLE.
   */
  async create(request: CreateRequest, caller: string): Promise<Operation> {
    const { operations, host, policy, clock } = this.#options;
    const fingerprint = fingerprintOf("CREATE_VM", { ...request, ...noIdentity });
    const find = (): Promise<Operation> | undefined =>
      operations.find({ ...request, caller, kind: "CREATE_VM", fingerprint });
    const held = find();
    if (held !== undefined) return await held;
    const given = withImages(request.spec, this.#options.images.store);
    const checked = checkSpec({ ...given, id: given["id"] ?? randomUUID() }, policy);
    const secrets = checkSeed(request.seed ?? {});
    const { tenantOnly = false } = request;
    if (tenantOnly) requirePermitted(checked, policy.permissionsOf(checked.tenant));
    this.#requireSettled(checked);
    requireComplete(this.#options.table);
    this.#requireFree(checked, tenantOnly);
    await requireAbilities(checked, this.#options);
    const seed = await holdSeed(this.#options.keys, checked.id, secrets);
    if (ownVolumes(checked).length > 0) await host.storageRead();
    // Again, since a base volume may have a capacity that no spec may have.
    const asked = checkSpec(await sized(checked, this.#options.volumes), policy);
    // No await from here until everything is claimed: a concurrent request may have come meanwhile, even this one again.
    const meanwhile = find();
    if (meanwhile !== undefined) return await meanwhile;
    this.#requireFree(asked, tenantOnly);
    const needed = asked.launchSecurity === undefined ? undefined : "kvm";
    const accelerator = asked.accelerator ?? needed ?? this.defaultAccelerator();
    const { reservationId, leaveStopped, placementEpoch } = request;
    const reservation = reservationId === undefined ? undefined : { id: reservationId, caller };
    const seedBytes = seed?.text.length ?? 0;
    this.#creations.seedRoom.require(asked.tenant, seedBytes);
    const room = host.claim(defined({ ...sizeOf(asked, accelerator), reservation }));
    const spec = room.placementRequest === undefined ? asked : { ...asked, placement: room.placementRequest };
    const taken = this.#creations.take(spec, room, seedBytes);
    return await releasing(taken, async () => {
      if (request.validateOnly) {
        await this.#runner.permits.run(caller, () => this.#lookOver(spec, request));
        taken.ended("not made");
        const { requestId } = request;
        return validated({ requestId, kind: "CREATE_VM", vmId: spec.id, caller }, clock.now());
      }
      const admitted = defined<CreateIntent>({
        spec,
        accelerator,
        leaveStopped,
        placement: room.placement,
        reservationId,
        tenantOnly: tenantOnly || undefined,
        placementEpoch,
        createdAtMs: clock.now(),
        seed,
      });
      for (const image of imagesOf(spec)) this.#options.images.store.used(image);
      const intent = newIntent("CREATE_VM", admitted);
      const of = { vmId: spec.id, instance: randomUUID(), ...chargedTo(spec) };
      return await this.#begin({ ...requesterOf(request, caller), fingerprint, ...of, intent }, taken);
    });
  }

  /**
   * Begins an operation on a VM that exists and is visible to the caller. Throws what the admission of its definition throws,
   * `not_found` VM_NOT_FOUND, `denied` VM_UNMANAGED, `conflict` SPEC_UNREADABLE and VM_RESTORE_INCOMPLETE, `unavailable`
   * LIBVIRT_UNAVAILABLE, and what Operations.begin throws.
   */
  async begin<Kind extends Exclude<OperationKind, "CREATE_VM">>(
    kind: Kind,
    request: Mutation & RequestOf<Kind>,
    caller: string,
    isVisible: (vm: Vm) => boolean = () => true,
  ): Promise<Operation> {
    requireNameable(request.vm);
    const fingerprint = fingerprintOf(kind, { ...request, ...noIdentity });
    const find = (): Promise<Operation> | undefined =>
      this.#options.operations.find({ ...request, caller, kind, fingerprint });
    const operation = await (find() ?? this.#admit(kind, request, { caller, fingerprint, find, isVisible }));
    // Only a durable operation may cut short a stop that waits for the guest.
    const graceMs = definitionOf(kind).cutsStopAfterMs?.(request, this.#options.policy);
    if (graceMs !== undefined) this.#runner.escalate(operation, caller, graceMs);
    return operation;
  }

  async #admit(
    kind: OperationKind,
    request: Mutation,
    { caller, fingerprint, find, isVisible }: Asker,
  ): Promise<Operation> {
    const { admit, prepare, grows } = definitionOf(kind);
    const asked = this.#changeable(kind, request.vm, isVisible);
    const requireFree = (devices: DeviceSpec): void =>
      this.#requireDevicesFree(devices, tenantOfCaller(caller) !== undefined);
    const prepared = (await prepare?.(request, asked, this.#options, requireFree)) ?? request;
    if (grows !== undefined) await this.#options.host.storageRead();
    // No await from here until everything is claimed: this request may have come again meanwhile.
    const meanwhile = find();
    if (meanwhile !== undefined) return await meanwhile;
    // By id: the name may be another tenant's VM by now.
    const vm = this.#changeable(kind, asked.id, isVisible);
    const intent = newIntent(kind, admit?.(prepared, vm, this.#admission(caller)) ?? {});
    requireNoBackup(vm.name, vm.backups, definitionOf(kind), intent);
    const taken = this.#changes.take(intent, vm, requireFree);
    return await releasing(taken, async () => {
      if (request.validateOnly === true) {
        const planned = await this.#plan(intent, vm, request, caller);
        taken.ended("not made");
        return planned;
      }
      const { newestOperation } = vm;
      const of = { vmId: vm.id, instance: vm.instance, newestOperation, ...chargedTo(vm) };
      return await this.#begin({ ...requesterOf(request, caller), fingerprint, ...of, intent }, taken);
    });
  }

  #changeable(kind: OperationKind, idOrName: string, isVisible?: (vm: Vm) => boolean): Vm {
    const vm = this.#managed(idOrName, isVisible);
    requireChangeable(vm, definitionOf(kind));
    return vm;
  }

  #reclaim(operation: Operation, intent: Intent): Taken {
    if (intent.kind === "CREATE_VM") return this.#creations.reclaim(intent);
    return withImage(this.#options.images.store, intent, this.#changes.reclaim(intent, operation));
  }

  async #plan(intent: Intent, vm: Vm, { requestId }: Mutation, caller: string): Promise<Operation> {
    const { kind } = intent;
    const plan = await this.#runner.plan(intent, vm, caller);
    return validated({ requestId, kind, vmId: vm.id, caller }, this.#options.clock.now(), plan);
  }

  /** The VMs that are being created, and the devices that are being added to VMs. */
  *#pending(): Generator<DeviceSpec> {
    yield* this.#creations.specs();
    yield* this.#changes.devices();
  }

  /** Begins an operation on an image or a volume. Throws what `prepare`, `admit` and Operations.begin throw. */
  async beginOn(kind: OperationKind, request: OnSubject, caller: string, { prepare, admit }: SubjectWork) {
    const { operations, table, images, clock } = this.#options;
    const fingerprint = fingerprintOf(kind, { ...request, ...noIdentity, onlyTenant: undefined });
    const find = () => operations.find({ ...request, caller, kind, fingerprint });
    if (find() === undefined) await prepare?.();
    const earlier = find();
    if (earlier !== undefined) return await earlier;
    const {
      key: vmId,
      tenant,
      intent,
      plan = noPlan,
    } = admit({ vms: table.all(), creations: [...this.#pending()] });
    const requireKept = (devices: DeviceSpec) => this.#runner.requireKept(devices);
    const held = this.#changes.take(intent, { id: vmId, name: vmId, tenant }, requireKept);
    const taken = withImage(images.store, intent, held);
    const of = { vmId, ...chargedTo({ tenant }) };
    return await releasing(taken, async () => {
      if (request.validateOnly === true) {
        const planned = await this.#runner.permits.run(caller, plan);
        taken.ended("not made");
        const { requestId } = request;
        return validated({ requestId, kind, vmId, caller }, clock.now(), planned);
      }
      return await this.#begin({ ...requesterOf(request, caller), fingerprint, ...of, intent }, taken);
    });
  }

  #admission(caller: string): Admission {
    const { policy, table, host } = this.#options;
    const creations = () => this.#pending();
    const placeDevice: Admission["placeDevice"] = (request) => host.placeDevice(request);
    return { byTenant: tenantOfCaller(caller) !== undefined, policy, table, creations, placeDevice };
  }

  /** The guest's serial console; ends with the signal. Throws `conflict` if another client holds it, without force. */
  async openConsole(
    vm: string,
    options: { readonly force: boolean },
    signal: AbortSignal,
  ): Promise<LibvirtStream> {
    const managed = this.#managed(vm);
    requireReadable(managed);
    return await this.#consoles.open(managed.id, options.force, signal);
  }

  /** The inside of a running guest. Throws as openConsole, and as Guest's constructor. */
  readonly guest = (vm: string): Guest => new Guest(this.#managed(vm), this.#options);

  /** Continues an operation that was interrupted, or whose outcome is unknown, until it has ended. */
  resumeOperation(operation: Operation): void {
    const intent = intentOf(operation);
    this.#runner.run(operation, intent, true, this.#reclaim(operation, intent));
  }

  /**
   * Ends an operation of unknown outcome with a person's finding; changes nothing else. Throws as Operations.settle().
   */
  async settle(id: string, as: "done" | "not done", caller: string): Promise<Operation> {
    const { operations } = this.#options;
    const intent = readIntent(operations.get(id));
    const by = { settled_by: caller };
    const error = (): SocleError =>
      new SocleError("conflict", "SETTLED_BY_PERSON", `it was settled as not done by ${caller}`, {
        details: { metadata: by },
      });
    const outcome: Outcome =
      as === "done" ? { state: "succeeded", result: by } : { state: "failed", error: error() };
    const isOutdated = this.#options.watermark?.isOutdated(id) === true;
    const settled = isOutdated ? operations.settleOutdated(id, outcome) : operations.settle(id, outcome);
    return await this.#settled(settled, intent);
  }

  async #settled<T extends Operation | undefined>(
    settled: Promise<T>,
    intent: Intent | undefined,
  ): Promise<T> {
    const operation = await settled;
    if (operation !== undefined && intent !== undefined) {
      if (intent.kind === "IMPORT_IMAGE") importEnded(this.#options.images, intent);
      const how = operation.state === "succeeded" ? "made" : "not made";
      this.#creations.ended(intent, how);
      this.#changes.ended(intent, how);
    }
    return operation;
  }

  /** As Operations.endAgain(). False: its outcome is not known. */
  async endAgain(operation: Operation): Promise<boolean> {
    const ended = this.#options.operations.endAgain(operation.id);
    return (await this.#settled(ended, readIntent(operation))) !== undefined;
  }

  /**
   * As settle(), for an operation whose end a rolled back state directory lacks: libvirt decides. Throws libvirt's
   * errors.
   */
  async endOutdated(operation: Operation): Promise<Operation> {
    const { id, vmId, instance, createdAtMs } = operation;
    const intent = intentOf(operation);
    const of = { operationId: id, vmId, instance, createdAtMs };
    const outcome = await outdatedOutcome(this.#options, of, intent);
    return await this.#settled(this.#options.operations.settleOutdated(id, outcome), intent);
  }

  async #begin(
    request: Omit<BeginRequest, "kind" | "urgent"> & { readonly intent: Intent },
    taken: Taken,
  ): Promise<Operation> {
    const { kind } = request.intent;
    const urgent = definitionOf(kind).urgent === true;
    const intent = storedIntent(request.intent);
    const { operation, fresh } = await this.#options.operations.begin({ ...request, intent, kind, urgent });
    if (fresh) this.#runner.run(operation, request.intent, false, taken);
    else taken.ended("not made");
    return operation;
  }

  /** Permits in use by creations, starts and deletions, and the operations that wait for one. */
  get permits(): { readonly taken: number; readonly waiting: number } {
    return this.#runner.permits;
  }

  /** Reports a VM as absent only over a complete list; otherwise its presence is unknown. */
  #managed(idOrName: string, isVisible: (vm: Vm) => boolean = () => true): Vm {
    const { table } = this.#options;
    const vm = table.get(idOrName);
    if (vm === undefined || !isVisible(vm)) {
      requireComplete(table);
      throw new SocleError("not_found", "VM_NOT_FOUND", `there is no VM ${idOrName} on this host`);
    }
    if (vm.managed) return vm;
    const message = `VM ${vm.name} was not made by Socle, which shows it but never changes it`;
    throw new SocleError("denied", "VM_UNMANAGED", message, { details: { metadata: { vm_id: vm.id } } });
  }

  /** Throws `conflict` OPERATION_UNSETTLED while the outcome of an operation of a VM with this id or name is not known. */
  #requireSettled({ id, name }: Pick<VmSpec, "id" | "name">): void {
    const open = this.#options.operations
      .unsettled()
      .find((operation) => operation.vmId === id || nameIn(operation) === name);
    if (open !== undefined) throw unsettled(open);
  }

  /** Throws `conflict` KVM_UNAVAILABLE. */
  defaultAccelerator(): Accelerator {
    return chooseAccelerator(this.#options.policy.accelerator, this.#options.host.kvm());
  }

  /** Checks without libvirt that the VM's names and its resources are free. */
  #requireFree(spec: VmSpec, tenantOnly: boolean): void {
    this.#creations.requireFree(spec);
    this.#requireDevicesFree(spec, tenantOnly);
  }

  #requireDevicesFree(devices: DeviceSpec, tenantOnly: boolean): void {
    requireImagesUsable(devices, this.#options.images.store);
    this.#runner.requireKept(devices);
    const users = { vms: this.#options.table.all(), creations: [...this.#pending()] };
    requireUsable(devices, users, tenantOnly);
    requireNicsFree(devices, users, tenantOnly);
  }

  async #lookOver(spec: VmSpec, { leaveStopped, tenantOnly }: CreateRequest): Promise<void> {
    const admitted = defined<Parameters<typeof resolve>[1]>({
      spec,
      leaveStopped,
      tenantOnly: tenantOnly || undefined,
    });
    await resolve(this.#options, admitted, () => this.#pending());
    await this.#options.volumes.requireAbsent(ownVolumes(spec));
  }
}
