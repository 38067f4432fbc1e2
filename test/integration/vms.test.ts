import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { systemClock } from "../../agent/kernel/clock.ts";
import { SocleError, toSocleError } from "../../agent/kernel/errors.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import type { NewEvent } from "../../agent/state/event-log.ts";
import { isDone, type Operation } from "../../agent/state/operation.ts";
import { Operations } from "../../agent/state/operations.ts";
import { checkSpec } from "../../agent/vm/spec-check.ts";
import { Domains } from "../../agent/vm/domains.ts";
import { GuestKeys } from "../../agent/vm/guest-keys.ts";
import { KeyWrap } from "../../agent/vm/key-wrap.ts";
import { Observer } from "../../agent/vm/observer.ts";
import { Settler } from "../../agent/vm/settler.ts";
import { VmTable } from "../../agent/vm/vm-table.ts";
import { unbound } from "../../agent/state/placement.ts";
import type { RoomClaim } from "../../agent/vm/host-door.ts";
import { Vms, type CreateRequest } from "../../agent/vm/vms.ts";
import { Volumes } from "../../agent/vm/volumes.ts";
import { guestXml, type GuestFiles, bootedMarker, guestFilesIn } from "../lab/guest.ts";
import { Libvirtd, libvirtdUnavailable } from "../lab/libvirtd.ts";
import { eventually, within } from "../lab/wait.ts";
import { virsh } from "../lab/virsh.ts";

const MIB = 1024 * 1024;

const room: RoomClaim = {
  placement: unbound,
  begun: () => Promise.resolve(),
  consume: () => undefined,
  release: () => undefined,
};

/** The VM layer put together as agent.ts does it, over a libvirtd. */
class Rig {
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

  static async start(uri: string, directory: string): Promise<Rig> {
    const log = silentLog;
    const clock = systemClock;
    const libvirt = await Libvirt.connect({ uri, log });
    const operations = await Operations.open({ directory, clock, log, retentionMs: 86_400_000 });
    const table = new VmTable();
    const vms = new Vms({
      domains: new Domains(libvirt, clock),
      volumes: new Volumes(libvirt, clock),
      keys: new GuestKeys(libvirt, clock, new KeyWrap({ file: null, environment: {} })),
      attest: () => ({ text: "{}", signature: "" }),
      table,
      clock,
      log,
      architecture: "x86_64",
      kvmProbe: { suspect: () => Promise.resolve() },
      operations,
      host: {
        claim: () => room,
        reclaim: () => room,
        storageRead: () => Promise.resolve(),
        deleted: () => undefined,
        trait: () => true,
        kvm: () => ({ kind: "usable" }),
      },
      policy: { bridges: [], allowSpoofing: false, accelerator: "tcg", gracefulStopMs: 30_000 },
    });
    const rig = new Rig(libvirt, operations, vms, table);
    const kvm = {
      reportKvmFailure: ({ evidence }: { evidence: string }): void => void rig.kvmFailures.push(evidence),
      reportKvmStartFailure: ({ evidence }: { evidence: string }): void =>
        void rig.kvmFailures.push(evidence),
      reportKvmSuccess: (): void => undefined,
    };
    const tell = (event: NewEvent): void => void rig.events.push(event);
    for (const service of [
      new Observer({ libvirt, table, tell, kvm, clock, log, sampleIntervalMs: 1000 }),
      new Settler({ operations, vms, table, clock, log }),
    ]) {
      await new Promise<void>((ready) => rig.#runs.push(service.run(rig.#end.signal, ready)));
    }
    return rig;
  }

  /** The operation's end; fails with its error where it was to succeed. */
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

suite("VMs over a real libvirtd", { skip: libvirtdUnavailable(), timeout: 240_000 }, () => {
  let libvirtd: Libvirtd;
  let files: GuestFiles;
  let state: string;
  let rig: Rig;
  let count = 0;
  const requestId = (): string => `request-${++count}`;

  before(async () => {
    libvirtd = await Libvirtd.start();
    files = await guestFilesIn(libvirtd.imagesDirectory);
    await virsh(libvirtd.uri, ["pool-create-as", "images", "dir", "--target", libvirtd.imagesDirectory]);
    state = await mkdtemp(join(tmpdir(), "socle-vms-"));
    rig = await Rig.start(libvirtd.uri, state);
  });
  after(async () => {
    await rig.stop();
    await libvirtd.stop();
    await rm(state, { recursive: true });
  });

  const linux = (name: string, changes: Record<string, unknown> = {}): CreateRequest => ({
    requestId: requestId(),
    spec: {
      name,
      vcpus: 1,
      memoryBytes: 128 * MIB,
      kernelBoot: {
        kernel: { pool: "images", volume: "vmlinuz" },
        initrd: { pool: "images", volume: "initrd" },
        commandLine: "console=ttyS0 quiet",
      },
      ...changes,
    },
    leaveStopped: false,
    validateOnly: false,
    placementEpoch: 0,
  });
  const domains = async (): Promise<string[]> =>
    (await virsh(libvirtd.uri, ["list", "--all", "--name"])).split("\n").filter((name) => name !== "");
  const volumes = async (): Promise<string> => await virsh(libvirtd.uri, ["vol-list", "images"]);

  test("a VM is created with a new disk, boots, speaks on its console, stops by itself when asked, and is deleted whole", async () => {
    const disk = { name: "data", source: { kind: "new", pool: "images", capacityBytes: 64 * MIB } };
    const created = await rig.succeeds(
      rig.vms.create(linux("life", { disks: [disk], labels: { note: "a <b> & 'c'" } }), "tester"),
    );
    const vm = rig.table.get("life");
    assert.deepEqual(
      {
        id: vm?.id,
        state: vm?.state,
        managed: vm?.managed,
        accelerator: vm?.accelerator,
        labels: vm?.labels,
      },
      {
        id: created.vmId,
        state: "running",
        managed: true,
        accelerator: "tcg",
        labels: { note: "a <b> & 'c'" },
      },
    );
    assert.equal(await virsh(libvirtd.uri, ["domstate", "life"]), "running");
    assert.match(await volumes(), new RegExp(`socle-${created.vmId}-data\\.qcow2`));

    const signal = AbortSignal.timeout(60_000);
    const console = await rig.vms.openConsole("life", { force: false }, signal);
    let said = "";
    for await (const chunk of console) {
      said += chunk.toString("latin1");
      if (said.includes(bootedMarker)) break;
    }
    assert.match(said, /socle-guest: booted/);

    await assert.rejects(
      rig.vms.delete({ requestId: requestId(), vm: "life", keepDisks: false, force: false }, "tester"),
      { kind: "conflict", reason: "VM_RUNNING" },
    );
    const stopped = await rig.succeeds(
      rig.vms.stop({ requestId: requestId(), vm: "life", gracefulTimeoutMs: 40_000, force: false }, "tester"),
    );
    assert.equal(stopped.result["stopped_by"], "guest");
    assert.equal(await virsh(libvirtd.uri, ["domstate", "life"]), "shut off");
    await rig.succeeds(
      rig.vms.delete({ requestId: requestId(), vm: "life", keepDisks: false, force: false }, "tester"),
    );
    assert.equal(rig.table.get("life"), undefined);
    assert.deepEqual(await domains(), []);
    assert.doesNotMatch(await volumes(), new RegExp(created.vmId));
    const told = rig.events.filter(({ vmId }) => vmId === created.vmId);
    // What state the first read of it found depends on how fast its start was.
    assert.equal(told[0]?.kind, "vm_defined");
    const states = told.map(({ kind, vmState }) => (kind === "vm_state_changed" ? vmState : kind));
    assert.deepEqual(states.slice(states.indexOf("running")), [
      "running",
      "stopping",
      "stopped",
      "vm_removed",
    ]);
  });

  test("the same request twice is one operation and one VM; another body under its id is refused", async () => {
    const request = linux("once", { vcpus: 1 });
    const [first, second] = await Promise.all([
      rig.vms.create(request, "tester"),
      rig.vms.create(request, "tester"),
    ]);
    assert.equal(second.id, first.id);
    await rig.done(first);
    const again = await rig.vms.create(request, "tester");
    assert.equal(again.id, first.id);
    assert.deepEqual(await domains(), ["once"]);
    const other = { ...request, spec: { ...request.spec, vcpus: 2 } };
    await assert.rejects(rig.vms.create(other, "tester"), { kind: "conflict", reason: "REQUEST_ID_REUSED" });
    await assert.rejects(rig.vms.create(linux("once"), "tester"), {
      kind: "already_exists",
      reason: "VM_EXISTS",
    });
    await rig.succeeds(
      rig.vms.delete({ requestId: requestId(), vm: first.vmId, keepDisks: false, force: true }, "tester"),
    );
  });

  test("of two that come at once by one name the second is refused; a disk is as large as its base where it does not say", async () => {
    await virsh(libvirtd.uri, ["vol-create-as", "images", "base.qcow2", "3M", "--format", "qcow2"]);
    const source = { kind: "new", pool: "images", baseVolume: "base.qcow2" };
    const twin = () => ({ ...linux("twin", { disks: [{ name: "root", source }] }), leaveStopped: true });
    const both = await Promise.allSettled([
      rig.vms.create(twin(), "tester"),
      rig.vms.create(twin(), "tester"),
    ]);
    const begun = both.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    const refused = both.flatMap((each) => (each.status === "rejected" ? [toSocleError(each.reason)] : []));
    assert.deepEqual([begun.length, refused.map(({ reason }) => reason)], [1, ["VM_EXISTS"]]);
    const { vmId: vm } = await rig.succeeds(Promise.resolve(begun[0] ?? assert.fail()));
    const root = rig.table.get(vm)?.spec?.disks[0]?.source;
    assert.equal(root?.kind === "new" && root.capacityBytes, 3 * MIB);
    await rig.succeeds(
      rig.vms.delete({ requestId: requestId(), vm, keepDisks: false, force: true }, "tester"),
    );
    await virsh(libvirtd.uri, ["vol-delete", "base.qcow2", "images"]);
  });

  test("what a create that fails half-way had made is taken back", async () => {
    const disk = { name: "data", source: { kind: "new", pool: "images", capacityBytes: 64 * MIB } };
    const nic = { name: "net", source: { kind: "network", network: "no-such-network" } };
    const before = await volumes();
    const end = await rig.done(await rig.vms.create(linux("half", { disks: [disk], nics: [nic] }), "tester"));
    assert.equal(end.state, "failed");
    assert.deepEqual(
      end.steps.map(({ name, outcome }) => `${name} ${outcome}`),
      ["resolve done", "claim volumes done", "volume data undone", "define undone", "start failed"],
    );
    assert.deepEqual(await domains(), []);
    assert.equal(await volumes(), before);
  });

  test("a missing volume and a missing pool are named", async () => {
    const absent = { kernel: { pool: "images", volume: "no-such-kernel" } };
    const volume = await rig.done(await rig.vms.create(linux("absent", { kernelBoot: absent }), "tester"));
    assert.deepEqual(
      { kind: volume.error?.kind, reason: volume.error?.reason },
      { kind: "not_found", reason: "VOLUME_NOT_FOUND" },
    );
    const nowhere = { kernel: { pool: "nowhere", volume: "kernel" } };
    const pool = await rig.done(await rig.vms.create(linux("absent", { kernelBoot: nowhere }), "tester"));
    assert.deepEqual(
      { kind: pool.error?.kind, reason: pool.error?.reason },
      { kind: "not_found", reason: "POOL_NOT_FOUND" },
    );
    assert.deepEqual(await domains(), []);
  });

  test("a guest that never stops runs on without force, and is stopped by it", async () => {
    const boot = {
      name: "boot",
      source: { kind: "volume", volume: { pool: "images", volume: "bootsector.img" } },
      readOnly: true,
    };
    const deaf = {
      requestId: requestId(),
      spec: { name: "deaf", vcpus: 1, memoryBytes: 32 * MIB, disks: [boot] },
    };
    await rig.succeeds(
      rig.vms.create({ ...deaf, leaveStopped: false, validateOnly: false, placementEpoch: 0 }, "tester"),
    );
    const failed = await rig.done(
      await rig.vms.stop(
        { requestId: requestId(), vm: "deaf", gracefulTimeoutMs: 500, force: false },
        "tester",
      ),
    );
    assert.deepEqual(
      { state: failed.state, reason: failed.error?.reason },
      { state: "failed", reason: "GUEST_DID_NOT_STOP" },
    );
    assert.equal(await virsh(libvirtd.uri, ["domstate", "deaf"]), "running");

    // One that waits for the guest is cut short by one that does not.
    const patient = await rig.vms.stop(
      { requestId: requestId(), vm: "deaf", gracefulTimeoutMs: 3_600_000, force: false },
      "tester",
    );
    await eventually(() => rig.operations.get(patient.id).steps.length > 0, {
      what: "the patient stop to begin",
    });
    const forced = await rig.vms.stop(
      { requestId: requestId(), vm: "deaf", gracefulTimeoutMs: 0, force: true },
      "tester",
    );
    assert.equal((await rig.done(forced)).state, "succeeded");
    assert.equal((await rig.done(patient)).result["stopped_by"], "force");
    assert.equal(await virsh(libvirtd.uri, ["domstate", "deaf"]), "shut off");
    await rig.succeeds(rig.vms.start({ requestId: requestId(), vm: "deaf", placementEpoch: 0 }, "tester"));
    await rig.succeeds(rig.vms.pause({ requestId: requestId(), vm: "deaf" }, "tester"));
    assert.equal(await virsh(libvirtd.uri, ["domstate", "deaf", "--reason"]), "paused (user)");
    assert.equal(rig.table.get("deaf")?.stateReason, "USER");
    await rig.succeeds(rig.vms.resume({ requestId: requestId(), vm: "deaf" }, "tester"));
    assert.equal(await virsh(libvirtd.uri, ["domstate", "deaf"]), "running");
    await rig.succeeds(rig.vms.reboot({ requestId: requestId(), vm: "deaf", force: true }, "tester"));
    await rig.succeeds(
      rig.vms.delete({ requestId: requestId(), vm: "deaf", keepDisks: false, force: true }, "tester"),
    );
    assert.ok(existsSync(files.bootSector), "a disk that was not made for the VM must stay");
  });

  test("a start from an older placement is refused, a newer one is written into the domain", async () => {
    const request = { ...linux("placed"), leaveStopped: true, placementEpoch: 7 };
    await rig.succeeds(rig.vms.create(request, "tester"));
    const stale = await rig.done(
      await rig.vms.start({ requestId: requestId(), vm: "placed", placementEpoch: 6 }, "tester"),
    );
    assert.equal(stale.error?.reason, "STALE_PLACEMENT_EPOCH");
    assert.equal(await virsh(libvirtd.uri, ["domstate", "placed"]), "shut off");
    await rig.succeeds(rig.vms.start({ requestId: requestId(), vm: "placed", placementEpoch: 8 }, "tester"));
    assert.match(await virsh(libvirtd.uri, ["metadata", "placed", "urn:socle:vm:1"]), /<placementEpoch>8</);
    await rig.succeeds(
      rig.vms.delete({ requestId: requestId(), vm: "placed", keepDisks: false, force: true }, "tester"),
    );
  });

  test("VMs that Socle did not make are seen and never touched", async () => {
    const xml = join(state, "foreign.xml");
    await writeFile(xml, guestXml({ name: "foreign", boot: { bootSector: files.bootSector } }));
    await virsh(libvirtd.uri, ["define", xml]);
    const vm = await eventually(() => rig.table.get("foreign"), { what: "the foreign VM to be seen" });
    assert.deepEqual({ managed: vm.managed, state: vm.state }, { managed: false, state: "stopped" });
    const refused = { kind: "denied", reason: "VM_UNMANAGED" };
    const request = { requestId: requestId(), vm: "foreign" };
    await assert.rejects(rig.vms.start({ ...request, placementEpoch: 0 }, "tester"), refused);
    await assert.rejects(rig.vms.stop({ ...request, force: true }, "tester"), refused);
    await assert.rejects(rig.vms.pause(request, "tester"), refused);
    await assert.rejects(rig.vms.resume(request, "tester"), refused);
    await assert.rejects(rig.vms.reboot({ ...request, force: true }, "tester"), refused);
    await assert.rejects(rig.vms.delete({ ...request, keepDisks: false, force: true }, "tester"), refused);
    await assert.rejects(rig.vms.openConsole("foreign", { force: true }, AbortSignal.timeout(1000)), refused);
    await virsh(libvirtd.uri, ["undefine", "foreign"]);
    await eventually(() => rig.table.get("foreign") === undefined, { what: "the foreign VM to be gone" });
  });

  test("a VM unknown to a complete list is not found", async () => {
    await assert.rejects(
      rig.vms.start({ requestId: requestId(), vm: "nobody", placementEpoch: 0 }, "tester"),
      (thrown) => {
        return (
          thrown instanceof SocleError && thrown.kind === "not_found" && thrown.reason === "VM_NOT_FOUND"
        );
      },
    );
  });

  test("when libvirtd dies, VMs are unknown, not absent; when it is back they are present, and ran on", async () => {
    const { vmId } = await rig.succeeds(rig.vms.create(linux("survivor"), "tester"));
    const pidFile = join(libvirtd.directory, "run/libvirt/qemu/survivor.pid");
    const before = await stat(pidFile);
    const told = rig.events.length;
    await libvirtd.kill("SIGKILL");
    await eventually(() => !rig.table.complete, { what: "the loss to be noticed" });
    assert.deepEqual(
      { presence: rig.table.get(vmId)?.presence, state: rig.table.get(vmId)?.state },
      { presence: "unknown", state: "running" },
    );
    await assert.rejects(
      rig.vms.start({ requestId: requestId(), vm: "nobody", placementEpoch: 0 }, "tester"),
      {
        kind: "unavailable",
        reason: "LIBVIRT_UNAVAILABLE",
      },
    );
    await libvirtd.startAgain();
    await eventually(() => rig.table.complete && rig.table.get(vmId)?.presence === "present", {
      what: "sight to come back",
      timeoutMs: 30_000,
    });
    assert.equal(rig.table.get(vmId)?.state, "running");
    assert.equal((await stat(pidFile)).mtimeMs, before.mtimeMs);
    const since = rig.events.slice(told);
    assert.ok(since.some(({ kind }) => kind === "resync"));
    assert.ok(
      !since.some((event) => event.vmId === vmId),
      "a VM that lives must not be told to have changed",
    );
    // Events are registered anew: a change made behind the agent's back is seen without a round.
    await within(
      Promise.all([
        rig.table.until(vmId, (vm) => vm?.state === "paused", AbortSignal.timeout(5000)),
        virsh(libvirtd.uri, ["suspend", "survivor"]),
      ]),
      5000,
      "the suspend to be seen",
    );
    await rig.succeeds(
      rig.vms.delete({ requestId: requestId(), vm: vmId, keepDisks: false, force: true }, "tester"),
    );
  });

  test("an operation that a crash interrupted is finished by what libvirt says", async () => {
    const request = linux("phoenix");
    const directory = await mkdtemp(join(tmpdir(), "socle-crash-"));
    // An agent that makes the operation durable and dies before its first step.
    const dying = await Operations.open({
      directory,
      clock: systemClock,
      log: silentLog,
      retentionMs: 86_400_000,
    });
    const id = "6f1c2f1e-0000-4000-8000-00000000dead";
    const spec = checkSpec({ ...request.spec, id }, { bridges: [], allowSpoofing: false });
    const intent = {
      kind: "CREATE_VM",
      spec,
      accelerator: "tcg",
      leaveStopped: false,
      placementEpoch: 0,
      createdAtMs: 0,
    };
    const begun = await dying.begin({
      requestId: request.requestId,
      caller: "tester",
      kind: "CREATE_VM",
      vmId: id,
      fingerprint: "f",
      intent,
    });
    await dying.drain(0);
    const next = await Rig.start(libvirtd.uri, directory);
    try {
      const end = await next.succeeds(Promise.resolve(begun.operation));
      assert.equal(end.id, begun.operation.id);
      assert.equal(await virsh(libvirtd.uri, ["domstate", "phoenix"]), "running");
      await next.succeeds(
        next.vms.delete({ requestId: requestId(), vm: id, keepDisks: false, force: true }, "tester"),
      );
    } finally {
      await next.stop();
      await rm(directory, { recursive: true });
    }
  });

  test(
    "a KVM that starts a guest and cannot run it is found out",
    { skip: existsSync("/dev/kvm") ? false : "there is no /dev/kvm" },
    async (context) => {
      // A plain CPU model: with the host's own, such a KVM may not even start.
      const cpu = { accelerator: "kvm", cpuMode: "custom", cpuModel: "kvm64" };
      const { vmId } = await rig.succeeds(rig.vms.create(linux("kvm", cpu), "tester"));
      const end = new AbortController();
      const boots = async (): Promise<string> => {
        let said = "";
        for await (const chunk of await rig.vms.openConsole("kvm", { force: false }, end.signal)) {
          said += chunk.toString("latin1");
          if (said.includes(bootedMarker)) return "booted";
        }
        return "silent";
      };
      const stops = rig.table
        .until(vmId, (vm) => vm?.stateReason === "INTERNAL_ERROR", AbortSignal.timeout(60_000))
        .then(() => "stopped");
      const outcome = await Promise.race([boots().catch(() => stops), stops]);
      end.abort();
      if (outcome === "booted") {
        assert.deepEqual(rig.kvmFailures, []);
        context.skip("KVM works on this machine: the guest booted, and nothing was reported");
      } else {
        assert.equal(rig.table.get(vmId)?.state, "paused");
        assert.equal(await virsh(libvirtd.uri, ["domstate", "kvm", "--reason"]), "paused (unknown)");
        assert.match(rig.kvmFailures.join(), /VM kvm was stopped by an internal error of KVM/);
      }
      await rig.succeeds(
        rig.vms.delete({ requestId: requestId(), vm: vmId, keepDisks: false, force: true }, "tester"),
      );
    },
  );

  test("a NIC on a network gets an address, behind the anti-spoofing filter", async () => {
    const xml = join(state, "network.xml");
    await writeFile(
      xml,
      `<network><name>front</name><bridge name='socle-front'/><ip address='192.0.2.1' netmask='255.255.255.0'>
       <dhcp><range start='192.0.2.10' end='192.0.2.20'/></dhcp></ip></network>`,
    );
    await virsh(libvirtd.uri, ["net-create", xml]);
    const request = linux("wired", {
      nics: [{ name: "front", source: { kind: "network", network: "front" } }],
    });
    const kernelBoot = { ...(request.spec["kernelBoot"] as object), commandLine: "console=ttyS0 quiet dhcp" };
    const { vmId } = await rig.succeeds(
      rig.vms.create({ ...request, spec: { ...request.spec, kernelBoot } }, "tester"),
    );
    await eventually(
      async () => /192\.0\.2\.\d/.test(await virsh(libvirtd.uri, ["net-dhcp-leases", "front"])),
      { what: "the guest to take an address", timeoutMs: 60_000, intervalMs: 200 },
    );
    const nic = rig.table.get(vmId)?.nics[0];
    assert.equal(nic?.name, "front");
    assert.match(
      await virsh(libvirtd.uri, ["nwfilter-binding-list"]),
      new RegExp(`${nic.device}\\s+clean-traffic`),
    );
    assert.match(
      await virsh(libvirtd.uri, ["domiflist", "wired"]),
      new RegExp(`${nic.device}.*front.*virtio.*${nic.mac}`),
    );
    await rig.succeeds(
      rig.vms.delete({ requestId: requestId(), vm: vmId, keepDisks: false, force: true }, "tester"),
    );
    await virsh(libvirtd.uri, ["net-destroy", "front"]);
  });

  test("a delete that waited for a start does not pull the plug unless it may", async () => {
    const boot = {
      name: "boot",
      source: { kind: "volume", volume: { pool: "images", volume: "bootsector.img" } },
      readOnly: true,
    };
    const spec = { name: "raced", vcpus: 1, memoryBytes: 32 * MIB, disks: [boot] };
    await rig.succeeds(
      rig.vms.create(
        { requestId: requestId(), spec, leaveStopped: true, validateOnly: false, placementEpoch: 0 },
        "tester",
      ),
    );
    const started = await rig.vms.start({ requestId: requestId(), vm: "raced", placementEpoch: 0 }, "tester");
    const deleted = await rig.vms.delete(
      { requestId: requestId(), vm: "raced", keepDisks: false, force: false },
      "tester",
    );
    assert.equal((await rig.done(started)).state, "succeeded");
    assert.equal((await rig.done(deleted)).error?.reason, "VM_RUNNING");
    assert.equal(await virsh(libvirtd.uri, ["domstate", "raced"]), "running");
    await rig.succeeds(
      rig.vms.delete({ requestId: requestId(), vm: "raced", keepDisks: false, force: true }, "tester"),
    );
  });

  test("a disk is what its name says, not what a guest wrote into it; an overlay of a host's file is refused", async () => {
    const make = async (name: string): Promise<void> => {
      const path = join(libvirtd.imagesDirectory, name);
      await promisify(execFile)("qemu-img", [
        "create",
        "-q",
        "-f",
        "qcow2",
        "-b",
        "/etc/hostname",
        "-F",
        "raw",
        path,
        "1M",
      ]);
    };
    await make("evil.img");
    await make("evil.qcow2");
    await virsh(libvirtd.uri, ["pool-refresh", "images"]);
    assert.match(await virsh(libvirtd.uri, ["vol-dumpxml", "evil.img", "images"]), /\/etc\/hostname/);
    const withDisk = (volume: string): CreateRequest => ({
      ...linux("evil", {
        disks: [{ name: "root", source: { kind: "volume", volume: { pool: "images", volume } } }],
      }),
      leaveStopped: true,
    });
    const refused = await rig.done(await rig.vms.create(withDisk("evil.qcow2"), "tester"));
    assert.equal(refused.error?.reason, "BACKING_OUTSIDE_POOL");
    const { vmId } = await rig.succeeds(rig.vms.create(withDisk("evil.img"), "tester"));
    assert.match(await virsh(libvirtd.uri, ["dumpxml", "evil"]), /<driver name='qemu' type='raw'/);
    await rig.succeeds(
      rig.vms.delete({ requestId: requestId(), vm: vmId, keepDisks: true, force: true }, "tester"),
    );
  });

  test("what a VM left in the pool is no other VM's, and what was exchanged while it was off is not started", async () => {
    const spec = {
      name: "left",
      vcpus: 1,
      memoryBytes: 32 * MIB,
      id: randomUUID(),
      disks: [{ name: "data", source: { kind: "new", pool: "images", capacityBytes: MIB } }],
    };
    const request = (more: object = {}): CreateRequest => ({
      requestId: requestId(),
      spec: { ...spec, ...more },
      leaveStopped: true,
      validateOnly: false,
      placementEpoch: 0,
    });
    const path = join(libvirtd.imagesDirectory, `socle-${spec.id}-data.qcow2`);
    await rig.succeeds(rig.vms.create(request(), "tester"));
    const link = `${path}.moved`;
    await rename(path, link);
    await symlink(link, path);
    const start = { requestId: requestId(), vm: spec.id, placementEpoch: 0 };
    const kept = await rig.done(await rig.vms.start(start, "tester"));
    assert.equal(kept.error?.reason, "VOLUME_UNSAFE");
    assert.equal(await virsh(libvirtd.uri, ["domstate", "left"]), "shut off");
    await rename(link, path);
    const keep = { requestId: requestId(), vm: spec.id, keepDisks: true, force: false };
    await rig.succeeds(rig.vms.delete(keep, "tester"));
    const { ino } = await stat(path);
    const larger = [{ name: "data", source: { kind: "new", pool: "images", capacityBytes: 2 * MIB } }];
    for (const more of [{}, { disks: larger }]) {
      const end = await rig.done(await rig.vms.create(request({ name: "heir", ...more }), "tester"));
      assert.equal(end.error?.reason, "VOLUME_EXISTS");
      assert.equal((await stat(path)).ino, ino);
    }
    await virsh(libvirtd.uri, ["vol-delete", basename(path), "images"]);
  });

  test("statistics come with the rounds", async () => {
    const { vmId } = await rig.succeeds(rig.vms.create(linux("counted"), "tester"));
    const stats = await eventually(
      () => {
        const now = rig.table.get(vmId)?.stats;
        return (now?.cpuSeconds ?? 0) > 0 && (now?.rssBytes ?? 0) > 10 * MIB ? now : undefined;
      },
      { what: "a sample", timeoutMs: 15_000 },
    );
    assert.equal(stats.balloonBytes, 128 * MIB);
    assert.equal(stats.vcpus.length, 1);
    await rig.succeeds(
      rig.vms.delete({ requestId: requestId(), vm: vmId, keepDisks: false, force: true }, "tester"),
    );
  });
});
