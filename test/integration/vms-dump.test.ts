import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmod, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import type { DumpMemoryRequest } from "../../agent/gen/socle/v1/DumpMemoryRequest.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { toSocleError } from "../../agent/kernel/errors.ts";
import { domainCoreDumpWithFormat } from "../../agent/libvirt/index.ts";
import { FaultProxy } from "../faults/proxy.ts";
import { AgentDeath } from "../support/agent-death.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { MortalHost } from "../support/mortal-host.ts";
import { socleCommand } from "../support/programs.ts";
import { qemuOf } from "../support/qemu-of.ts";
import { bootSector, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const run = promisify(execFile);
const MIB = 2 ** 20;
const PT_LOAD = 1;
const PT_NOTE = 4;

/** The sizes of an ELF core's segments, read by its headers alone. */
function segmentsOf(core: Buffer): { type: number; offset: number; bytes: number }[] {
  assert.equal(core.toString("latin1", 0, 4), "\x7fELF");
  const [CORE, at] = [4, Number(core.readBigUInt64LE(32))];
  assert.equal(core.readUInt16LE(16), CORE);
  return Array.from({ length: core.readUInt16LE(56) }, (_, index) => {
    const header = core.subarray(at + index * core.readUInt16LE(54));
    const [offset, bytes] = [Number(header.readBigUInt64LE(8)), Number(header.readBigUInt64LE(32))];
    return { type: header.readUInt32LE(0), offset, bytes };
  });
}

/** Whether SIGTERM waits for a process that stands still. */
async function isAskedToEnd(pid: number): Promise<boolean> {
  const [, pending = "0"] = /^ShdPnd:\s+(\S+)$/m.exec(await readFile(`/proc/${pid}/status`, "utf8")) ?? [];
  return ((Number.parseInt(pending, 16) >> 14) & 1) === 1;
}

suite("dumps of memory", { skip: libvirtdUnavailable(), timeout: 600_000 }, () => {
  let host: SocleHost;
  let directory: string;
  let death: AgentDeath;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "socle-dump-"));
    death = await AgentDeath.make();
    // Room for one dump alone.
    const tenants = { byName: { acme: { quotas: { diskMiB: 700 } } } };
    host = await SocleHost.start({
      ...death.agentOptions,
      config: { vm: { dumpDirectory: directory }, tenants },
    });
    const { error } = await host.create(bootSector("web", { memoryBytes: 512 * MIB, tenant: "acme" }));
    assert.equal(error, null);
  });
  after(async () => {
    await host.stop();
    await death.stop();
    await rm(directory, { recursive: true });
  });

  const begin = (request: DumpMemoryRequest = {}): Promise<Operation__Output> =>
    host.client.ask(host.client.contract.vms.DumpMemory, { requestId: randomUUID(), vm: "web", ...request });
  const state = (): Promise<string> => host.virsh("domstate", "web", "--reason");
  const files = async (): Promise<string[]> => (await readdir(directory)).sort();
  /** Begins a dump of a paused guest whose QEMU stands still, so that libvirt waits with a part of the file. */
  const beginHung = async (): Promise<{ begun: Operation__Output; pid: number }> => {
    const { vmId } = await host.client.ask(host.client.contract.vms.GetVm, { vm: "web" });
    const pid = await qemuOf(vmId);
    await host.virsh("suspend", "web");
    process.kill(pid, "SIGSTOP");
    const begun = await begin();
    const file = `web.${begun.operationId}.elf.part`;
    await eventually(async () => (await files()).includes(file), { what: "libvirt to write" });
    return { begun, pid };
  };

  test("a dump is an ELF core with all of the guest's memory, closed to others, and the guest goes on", async () => {
    const pid = await host.virsh("domid", "web");
    const plan = await begin({ validateOnly: true });
    assert.deepEqual(plan.result, {
      validated: "true",
      directory,
      format: "elf",
      writes_bytes_at_most: String(576 * MIB),
      applies: "now",
    });
    const { error, result, operationId } = await host.end(await begin());
    assert.equal(error, null, JSON.stringify(error));
    const path = join(directory, `web.${operationId}.elf`);
    const { size, mode, uid } = await stat(path);
    assert.deepEqual(result, { path, size_bytes: String(size), format: "elf" });
    assert.deepEqual([mode & 0o777, uid], [0o600, 0]);
    assert.deepEqual(await files(), [`web.${operationId}.elf`]);
    const segments = segmentsOf(await readFile(path));
    const of = (wanted: number) => segments.filter(({ type }) => type === wanted);
    assert.equal(of(PT_NOTE).length, 1);
    const loaded = of(PT_LOAD).reduce((bytes, segment) => bytes + segment.bytes, 0);
    assert.ok(loaded >= 512 * MIB, `${loaded}`);
    // The file is not cut off: only the table of its sections follows.
    const end = Math.max(...segments.map(({ offset, bytes }) => offset + bytes));
    assert.ok(size >= end && size - end < 1024, `${size} ${end}`);
    assert.deepEqual([await host.virsh("domid", "web"), await state()], [pid, "running (unpaused)"]);
    await rm(path);

    // A paused guest stays paused, and the command shows the file.
    await host.virsh("suspend", "web");
    const env = { ...process.env, SOCLE_SOCKET: host.agent.socketPath };
    const { stdout } = await run(
      process.execPath,
      [...socleCommand, "vm", "dump", "web", "--format", "kdump-zlib"],
      { env },
    );
    const [, shown = ""] = /path: (\S+\.kdump)\n/.exec(stdout) ?? [];
    const header = (await readFile(shown)).toString("latin1", 0, 16);
    assert.ok(
      ["KDUMP   ", "makedumpfile"].some((mark) => header.startsWith(mark)),
      header,
    );
    assert.match(await state(), /^paused/);
    await host.virsh("resume", "web");
    await rm(shown);
  });

  const ofAcme = "socle-volume-acme+crash.raw";
  const intoVolume = { volume: { pool: "images", name: "crash" } };
  const volumeFiles = async (): Promise<string[]> =>
    (await readdir(host.libvirtd.imagesDirectory)).filter((name) => name.startsWith("socle-volume-"));
  const reasonOf = async (asked: Promise<Operation__Output>): Promise<string | undefined> =>
    await asked.then(
      async (begun) => host.failureOf(await host.end(begun))?.reason,
      (thrown: unknown) => toSocleError(thrown).reason,
    );
  const removeVolume = (): Promise<string | undefined> => {
    const request = { requestId: randomUUID(), pool: "images", volume: ofAcme };
    return reasonOf(host.client.ask(host.client.contract.storage.DeleteVolume, request));
  };
  const attach = (vm: string): Promise<string | undefined> => {
    const disk = { name: "crash", volume: { pool: "images", volume: ofAcme }, readOnly: true };
    const request = { requestId: randomUUID(), vm, disk };
    return reasonOf(host.client.ask(host.client.contract.vms.AttachDisk, request));
  };
  /** The volume's file is an ELF core of all of the guest's memory, which only its owner may read. */
  const requireCore = async (): Promise<number> => {
    const path = join(host.libvirtd.imagesDirectory, ofAcme);
    const { stdout } = await run("readelf", ["--file-header", path]);
    assert.match(stdout, /Type:\s+CORE/);
    const loaded = segmentsOf(await readFile(path)).filter(({ type }) => type === PT_LOAD);
    assert.ok(loaded.reduce((bytes, segment) => bytes + segment.bytes, 0) >= 512 * MIB);
    const { size, mode } = await stat(path);
    assert.equal(mode & 0o777, 0o600);
    return size;
  };

  test("a dump into a volume of the VM's tenant is an ELF core, and a disk for that tenant's VMs alone", async () => {
    const pid = await host.virsh("domid", "web");
    const plan = await begin({ ...intoVolume, validateOnly: true });
    assert.deepEqual([plan.result["volume"], await volumeFiles()], [ofAcme, []]);
    const begun = await begin(intoVolume);
    // Its room is claimed, and its volume is no other operation's.
    const other = { volume: { pool: "images", name: "other" } };
    assert.equal(await reasonOf(begin(other)), "TENANT_QUOTA_EXCEEDED");
    const { error, result } = await host.end(begun);
    assert.equal(error, null, JSON.stringify(error));
    const size = await requireCore();
    assert.deepEqual(result, { pool: "images", volume: ofAcme, size_bytes: String(size), format: "elf" });
    const info = await host.virsh("vol-info", "--bytes", ofAcme, "images");
    assert.match(info, new RegExp(`Capacity:\\s+${size} bytes`));
    assert.deepEqual([await host.virsh("domid", "web"), await state()], [pid, "running (unpaused)"]);
    assert.deepEqual(await files(), []);
    assert.equal(await reasonOf(begin(other)), "TENANT_QUOTA_EXCEEDED");
    assert.equal(await reasonOf(begin(intoVolume)), "VOLUME_EXISTS");

    for (const [name, tenant] of [
      ["mine", "acme"],
      ["theirs", "evil"],
    ] as const)
      assert.equal((await host.create(bootSector(name, { tenant }), { leaveStopped: true })).error, null);
    assert.equal(await attach("theirs"), "VOLUME_DENIED");
    assert.equal(await attach("mine"), undefined);
    assert.match(await host.virsh("domblklist", "mine"), /crash\.raw/);
    assert.equal(await removeVolume(), "VOLUME_IN_USE");
    for (const name of ["mine", "theirs"]) await host.remove(name);
    assert.equal(await removeVolume(), undefined);
    assert.deepEqual(await volumeFiles(), []);
  });

  test("the agent's deaths at the boundaries of its journal leave a whole dump in its volume, or none", async () => {
    const mortal = MortalHost.over(host, death);
    const pid = await host.virsh("domid", "web");
    const ends = new Set<string>();
    for (let boundary = 1; ; boundary += 7) {
      const { died, end } = await mortal.cutOff(boundary, (requestId) => begin({ ...intoVolume, requestId }));
      const reason = host.failureOf(end)?.reason;
      ends.add(reason ?? "whole");
      if (reason === undefined) {
        await requireCore();
        assert.equal(await removeVolume(), undefined);
      } else assert.equal(reason, "INTERRUPTED", JSON.stringify(end.error));
      assert.deepEqual(await volumeFiles(), [], `boundary ${boundary}`);
      assert.deepEqual([await host.virsh("domid", "web"), await state()], [pid, "running (unpaused)"]);
      if (!died) break;
    }
    assert.deepEqual([...ends].sort(), ["INTERRUPTED", "whole"]);
  });

  test("an agent or a libvirtd that dies while libvirt writes into a volume leaves none", async () => {
    const { vmId } = await host.client.ask(host.client.contract.vms.GetVm, { vm: "web" });
    const pid = await qemuOf(vmId);
    const path = join(host.libvirtd.imagesDirectory, ofAcme);
    const { socketPath } = host.libvirtd;
    const daemonPath = `${socketPath}.real`;
    await rename(socketPath, daemonPath);
    const proxy = await FaultProxy.start({ socketPath, daemonPath });
    // The new libvirtd makes its own socket there.
    let isReplaced = false;
    // QEMU stands still from the call on: libvirt has cut the new file off by then, and waits.
    const act = () => Promise.resolve(void process.kill(pid, "SIGSTOP"));
    const beginHungIntoVolume = async (): Promise<Operation__Output> => {
      const fault = { kind: "notify", at: "call", act } as const;
      proxy.add({ procedure: domainCoreDumpWithFormat, times: 1, fault });
      const begun = await begin(intoVolume);
      const isBegun = async (): Promise<boolean> => (await stat(path)).size === 0;
      await eventually(isBegun, { what: "libvirt to write", timeoutMs: 60_000 });
      assert.equal(await removeVolume(), "VOLUME_IN_USE");
      return begun;
    };
    try {
      // libvirt would pause a running guest first.
      await host.virsh("suspend", "web");
      await host.agent.kill();
      for (const dies of ["agent", "libvirtd"] as const) {
        await host.agent.startAgain();
        await host.reconnect();
        await host.untilListed();
        const begun = await beginHungIntoVolume();
        if (dies === "libvirtd") {
          await host.libvirtd.kill("SIGKILL");
          await proxy.stop();
          isReplaced = true;
          await host.libvirtd.startAgain();
        } else {
          await host.agent.kill();
          await host.agent.startAgain();
          await host.reconnect();
        }
        process.kill(pid, "SIGCONT");
        const ended = await host.end(begun, 120_000);
        assert.match(host.failureOf(ended)?.reason ?? "", /^(EFFECT_NOT_OBSERVED|INTERRUPTED)$/);
        assert.deepEqual(await volumeFiles(), []);
        assert.equal(await qemuOf(vmId), pid);
        if (dies === "agent") await host.agent.kill();
      }
    } finally {
      process.kill(pid, "SIGCONT");
      if (!isReplaced) {
        await proxy.stop();
        await rename(daemonPath, socketPath);
      }
    }
    await host.untilListed();
    await host.virsh("resume", "web");
    assert.equal(await state(), "running (unpaused)");
  });

  test("an agent that dies while libvirt writes reports no success, and keeps no part of the memory", async () => {
    const { begun, pid } = await beginHung();
    await host.agent.kill();
    await host.agent.startAgain();
    await host.reconnect();
    process.kill(pid, "SIGCONT");
    const ended = await host.end(begun, 120_000);
    assert.equal(host.failureOf(ended)?.reason, "INTERRUPTED");
    assert.deepEqual(await files(), []);
    assert.match(await state(), /^paused/);
    await host.virsh("resume", "web");

    // The operation has ended: nothing else would delete a part of it.
    await host.agent.kill();
    const left = [`web.${begun.operationId}.elf.part`, `web.${randomUUID()}.elf.part`];
    for (const file of left) await writeFile(join(directory, file), "core", { mode: 0o600 });
    await host.agent.startAgain();
    await host.reconnect();
    const isDeleted = async (): Promise<boolean> => !(await files()).includes(left[0] ?? "");
    // A sweep that libvirt or the file system holds up is repeated after a minute.
    const what = "the part of the ended operation to be deleted";
    await eventually(isDeleted, { what, timeoutMs: 180_000 });
    // No operation of this host is known to have written the other.
    assert.deepEqual(await files(), left.slice(1));
    await rm(join(directory, left[1] ?? ""));
    assert.equal((await host.end(await begin())).error, null);
    await rm(join(directory, (await files())[0] ?? ""));
  });

  test("a libvirtd that is killed while it writes leaves no part of the memory, and the guest is unharmed", async () => {
    const { begun, pid } = await beginHung();
    await host.libvirtd.kill("SIGKILL");
    await host.libvirtd.startAgain();
    process.kill(pid, "SIGCONT");
    const ended = await host.end(begun, 120_000);
    assert.match(host.failureOf(ended)?.reason ?? "", /^(EFFECT_NOT_OBSERVED|INTERRUPTED)$/);
    assert.deepEqual(await files(), []);
    await host.untilListed();
    const { vmId } = await host.client.ask(host.client.contract.vms.GetVm, { vm: "web" });
    assert.equal(await qemuOf(vmId), pid);
    await host.virsh("resume", "web");
    // QEMU still has the command of the killed libvirtd, and its failure may be the answer to the next one.
    const isDumped = async (): Promise<boolean> => {
      const failure = host.failureOf(await host.end(await begin()));
      assert.ok([undefined, "LIBVIRT_OPERATION_FAILED"].includes(failure?.reason), failure?.message);
      return failure === undefined;
    };
    await eventually(isDumped, {
      what: "a dump by QEMU",
      timeoutMs: 60_000,
      giveUpOn: assert.AssertionError,
    });
    await rm(join(directory, (await files())[0] ?? ""));
  });

  test("a directory that others may write to takes no dump", async () => {
    await chmod(directory, 0o777);
    await assert.rejects(begin(), { reason: "DUMP_DIRECTORY_UNUSABLE" });
    await chmod(directory, 0o700);
    assert.deepEqual(await files(), []);
  });

  test("a forced stop ends a dump with its VM, and a whole dump outlives the VM", async () => {
    assert.equal((await host.end(await begin())).error, null);
    const whole = await files();
    assert.equal(whole.length, 1);
    const { begun, pid } = await beginHung();
    const stop = {
      requestId: randomUUID(),
      vm: "web",
      force: true,
      gracefulTimeout: { seconds: 0, nanos: 0 },
    };
    const stopping = await host.client.ask(host.client.contract.vms.StopVm, stop);
    await eventually(() => isAskedToEnd(pid), { what: "QEMU to be asked to end", timeoutMs: 60_000 });
    process.kill(pid, "SIGCONT");
    const stopped = await host.end(stopping);
    assert.equal(stopped.state, "STATE_SUCCEEDED");
    const dumped = await host.end(begun);
    assert.equal(host.failureOf(dumped)?.reason, "DUMP_CUT_SHORT");
    assert.deepEqual(await files(), whole);
    assert.match(await state(), /^shut off/);
    const off = await host.end(await begin());
    assert.equal(host.failureOf(off)?.reason, "VM_STATE_CONFLICT");
    await host.remove("web");
    assert.deepEqual(await files(), whole);
  });
});
