import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../agent/kernel/clock.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import type { NewEvent } from "../../agent/state/events/event.ts";
import { isDone, type Operation } from "../../agent/state/operations/operation.ts";
import { Operations } from "../../agent/state/operations/operations.ts";
import { Domains } from "../../agent/vm/hypervisor/domains.ts";
import { GuestKeys } from "../../agent/vm/keys/guest-keys.ts";
import { KeyWrap } from "../../agent/vm/keys/key-wrap.ts";
import { Networks } from "../../agent/vm/hypervisor/networks.ts";
import { Observer } from "../../agent/vm/observation/observer.ts";
import { Settler } from "../../agent/vm/operations/recovery.ts";
import { VmTable } from "../../agent/vm/observation/vm-table.ts";
import { unbound } from "../../agent/state/reservations/placement.ts";
import { hasDynamicMemslots } from "../../agent/vm/model/memory-growth.ts";
import { nothingPermitted } from "../../agent/vm/model/tenant-policy.ts";
import type { GrowthClaim, RoomClaim, VmHost } from "../../agent/vm/model/vm-host.ts";
import { Vms, type CreateRequest } from "../../agent/vm/operations/vms.ts";
import { Volumes } from "../../agent/vm/storage/volumes.ts";
import { type GuestFiles, guestFilesIn, linuxCommandLine } from "../support/guest.ts";
import { Libvirtd } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";
import { imagePartsOf } from "../support/vm/image-parts.ts";

export const MIB = 1024 * 1024;

const room: RoomClaim = {
  placement: unbound,
  begun: () => Promise.resolve(),
  consume: () => undefined,
  release: () => undefined,
};

const growth: GrowthClaim = { made: () => undefined, released: () => undefined };

/** A host with room for everything. */
const roomyHost: VmHost = {
  claim: () => room,
  reclaim: () => room,
  placeDevice: ({ device }) => device,
  grow: () => growth,
  regrow: () => growth,
  storageRead: () => Promise.resolve(),
  deleted: () => undefined,
  trait: () => true,
  kvm: () => ({ kind: "usable" }),
};

/** The VM layer, composed as in agent.ts, over a libvirtd. */
export class Rig {
  readonly events: NewEvent[] = [];
  readonly kvmFailures: string[] = [];
  readonly libvirt: Libvirt;
  readonly operations: Operations;
  readonly vms: Vms;
  readonly table: VmTable;
  readonly #end = new AbortController();
  readonly #runs: Promise<void>[] = [];

  private constructor(libvirt: Libvirt, operations: Operations, vms: Vms, table: VmTable) {
    this.libvirt = libvirt;
    this.operations = operations;
    this.vms = vms;
    this.table = table;
  }

  static async start(uri: string, directory: string, host = roomyHost): Promise<Rig> {
    const log = silentLog;
    const clock = systemClock;
    const libvirt = await Libvirt.connect({ uri, log });
    const operations = await Operations.open({ directory, clock, log, retentionMs: 86_400_000 });
    const table = new VmTable();
    const volumes = new Volumes(libvirt, clock);
    const domains = new Domains(libvirt, clock);
    const vms = new Vms({
      domains,
      volumes,
      images: imagePartsOf(libvirt, volumes, table, clock),
      networks: new Networks(libvirt),
      keys: new GuestKeys(libvirt, clock, new KeyWrap({ file: null, environment: {} })),
      attest: () => ({ text: "{}", signature: "" }),
      table,
      clock,
      log,
      architecture: "x86_64",
      socketDirectory: "/run/socle-guests",
      kvmProbe: { suspect: () => Promise.resolve() },
      operations,
      host,
      hasDynamicMemslots: () => hasDynamicMemslots(libvirt.status),
      policy: {
        bridges: [],
        allowSpoofing: false,
        maxMemoryBytes: totalmem(),
        accelerator: "tcg",
        gracefulStopMs: 30_000,
        permissionsOf: () => nothingPermitted,
      },
    });
    const rig = new Rig(libvirt, operations, vms, table);
    rig.#end.signal.addEventListener("abort", () => domains.freezes.close(), { once: true });
    const kvm = {
      reportKvmFailure: ({ evidence }: { evidence: string }): void => void rig.kvmFailures.push(evidence),
      reportKvmStartFailure: ({ evidence }: { evidence: string }): void =>
        void rig.kvmFailures.push(evidence),
      reportKvmSuccess: (): void => undefined,
    };
    const publish = (event: NewEvent): void => void rig.events.push(event);
    for (const service of [
      new Observer({ libvirt, table, publish, kvm, clock, log, sampleIntervalMs: 1000 }),
      new Settler({ operations, vms, table, clock, log }),
    ]) {
      await new Promise<void>((ready) => rig.#runs.push(service.run(rig.#end.signal, ready)));
    }
    return rig;
  }

  /** The operation's end; throws its error if it should succeed. */
  async done(operation: Operation): Promise<Operation> {
    const end = await this.operations.wait(operation.id, 60_000, AbortSignal.timeout(60_000));
    assert.ok(isDone(end), `${end.kind} is still ${end.state}: ${JSON.stringify(end.steps)}`);
    return end;
  }

  async succeeds(operation: Promise<Operation>): Promise<Operation> {
    const end = await this.done(await operation);
    assert.equal(end.state, "succeeded", `${end.kind}: ${JSON.stringify(end.error)}`);
    return end;
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#runs);
    await this.operations.drain(1000);
    await this.libvirt.close();
  }
}

/** A libvirtd with a pool of guest files, and the VM layer over it. */
export class VmStage {
  readonly libvirtd: Libvirtd;
  readonly files: GuestFiles;
  readonly state: string;
  readonly rig: Rig;

  private constructor(libvirtd: Libvirtd, files: GuestFiles, state: string, rig: Rig) {
    this.libvirtd = libvirtd;
    this.files = files;
    this.state = state;
    this.rig = rig;
  }

  static async start(): Promise<VmStage> {
    const libvirtd = await Libvirtd.start();
    const files = await guestFilesIn(libvirtd.imagesDirectory);
    await virsh(libvirtd.uri, ["pool-create-as", "images", "dir", "--target", libvirtd.imagesDirectory]);
    const state = await mkdtemp(join(tmpdir(), "socle-vms-"));
    return new VmStage(libvirtd, files, state, await Rig.start(libvirtd.uri, state));
  }

  async stop(): Promise<void> {
    await this.rig.stop();
    await this.libvirtd.stop();
    await rm(this.state, { recursive: true });
  }

  async domains(): Promise<string[]> {
    const names = await virsh(this.libvirtd.uri, ["list", "--all", "--name"]);
    return names.split("\n").filter((name) => name !== "");
  }

  async volumes(): Promise<string> {
    return await virsh(this.libvirtd.uri, ["vol-list", "images"]);
  }
}

let count = 0;
export const requestId = (): string => `request-${++count}`;

/** The spec of a Linux guest that prints a marker after its boot. */
export const linux = (name: string, changes: Record<string, unknown> = {}): CreateRequest => ({
  requestId: requestId(),
  spec: {
    name,
    vcpus: 1,
    memoryBytes: 128 * MIB,
    kernelBoot: {
      kernel: { pool: "images", volume: "vmlinuz" },
      initrd: { pool: "images", volume: "initrd" },
      commandLine: linuxCommandLine,
    },
    ...changes,
  },
  leaveStopped: false,
  validateOnly: false,
  placementEpoch: 0,
});
