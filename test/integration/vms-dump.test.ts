import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import type { DumpMemoryRequest } from "../../agent/gen/socle/v1/DumpMemoryRequest.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
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

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "socle-dump-"));
    host = await SocleHost.start({ config: { vm: { dumpDirectory: directory } } });
    const { error } = await host.create(bootSector("web", { memoryBytes: 512 * MIB }));
    assert.equal(error, null);
  });
  after(async () => {
    await host.stop();
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
