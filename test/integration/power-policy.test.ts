// The starts that the agent begins itself: after the host's boot, and after a guest's crash.
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { bootSector, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const MIB = 2 ** 20;

suite("starts by the agent itself", { skip: libvirtdUnavailable(), timeout: 600_000 }, () => {
  let host: SocleHost;
  let keys: string;

  before(async () => {
    keys = await mkdtemp(join(tmpdir(), "socle-key-"));
    const volumeKeyFile = join(keys, "volume-key");
    await writeFile(volumeKeyFile, randomBytes(32), { mode: 0o600 });
    host = await SocleHost.start({ config: { vm: { volumeKeyFile, crashRestartsPerHour: 2 } } });
    await eventually(async () => (await host.host()).inventory?.complete, {
      what: "the host's traits to be known",
      timeoutMs: 60_000,
    });
  });
  after(async () => {
    await host.stop();
    await rm(keys, { recursive: true });
  });

  const create = async (name: string, changes: VmSpec = {}, leaveStopped = true): Promise<string> => {
    const made = await host.create(bootSector(name, changes), { leaveStopped });
    assert.equal(made.state, "STATE_SUCCEEDED", String(host.failureOf(made)));
    return made.vmId;
  };
  const stop = async (vm: string): Promise<Operation__Output> => {
    const request = { requestId: randomUUID(), vm, force: true, gracefulTimeout: { seconds: 0 } };
    return await host.end(await host.client.ask(host.client.contract.vms.StopVm, request));
  };
  const stateOf = async (vm: string): Promise<string> => (await host.virsh("domstate", vm)).trim();
  const runs = (vm: string): Promise<boolean> =>
    eventually(async () => (await stateOf(vm)) === "running", { what: `${vm} to run`, timeoutMs: 60_000 });
  /** The agent's own starts of present VMs, oldest first, by name. */
  const ownStarts = async (): Promise<string[]> => {
    const { operations } = await host.client.ask(host.client.contract.operations.ListOperations, {});
    const names = new Map((await host.list()).vms.map(({ vmId, name }) => [vmId, name]));
    return operations
      .filter(({ caller, kind }) => caller === "agent" && kind === "START_VM")
      .flatMap(({ vmId }) => names.get(vmId) ?? [])
      .reverse();
  };
  const restart = async (): Promise<void> => {
    await host.agent.startAgain();
    await host.reconnect();
    await host.untilListed();
  };
  /** As the agent finds its state after the host's boot. */
  const bootAnew = async (): Promise<void> => {
    await host.agent.terminate();
    const path = join(host.agent.directory, "state/host.json");
    const { crc32: _, ...record } = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
    await writeFile(path, JSON.stringify({ ...record, boot: { id: randomUUID() } }));
    await restart();
  };
  const recordedBoot = async (): Promise<{ autostarted?: true }> => {
    const path = join(host.agent.directory, "state/host.json");
    return (JSON.parse(await readFile(path, "utf8")) as { boot: { autostarted?: true } }).boot;
  };
  const autostartEnded = (): Promise<true> =>
    eventually(async () => (await recordedBoot()).autostarted, {
      what: "autostart to end",
      timeoutMs: 120_000,
    });

  test("VMs start once after the host's boot, by priority, and one that fails stops no other", async () => {
    const encrypted = {
      name: "own",
      newVolume: { pool: "images", capacityBytes: 8 * MIB, encryption: "VOLUME_ENCRYPTION_LUKS" as const },
    };
    await host.virsh("vol-create-as", "images", "gone.qcow2", "1M", "--format", "qcow2");
    await create("last", { autostart: true });
    await create("first", { autostart: true, startPriority: 100, disks: [encrypted] });
    const gone = { name: "gone", volume: { pool: "images", volume: "gone.qcow2" } };
    await create("broken", { autostart: true, startPriority: 50, disks: [gone] });
    await create("never");
    await create("used", { autostart: true, startPriority: 10 });
    await host.virsh("vol-delete", "gone.qcow2", "--pool", "images");
    // As version 0.1.0 left it.
    await host.virsh("autostart", "last");

    await bootAnew();
    await runs("last");
    await autostartEnded();
    assert.equal(await stateOf("first"), "running");
    assert.equal(await stateOf("broken"), "shut off");
    assert.equal(await stateOf("never"), "shut off");
    assert.deepEqual(await ownStarts(), ["first", "broken", "used", "last"]);
    for (const vm of ["first", "last"])
      assert.match(await host.virsh("dominfo", vm), /^Autostart: +disable$/m, vm);
    await host.agent.logged(
      ({ msg, name }) => msg === "the VM did not start with the host" && name === "broken",
      "the failed start",
    );
    const metrics = await (await fetch(`http://${host.agent.metricsAddress}/metrics`)).text();
    assert.match(metrics, /^socle_vm_autostart_failures_total 1$/m);

    const audit = join(host.agent.directory, "state/audit");
    const acts = async (act: string): Promise<number> => {
      const texts = (await readdir(audit)).map((name) => readFile(join(audit, name), "latin1"));
      const own = new RegExp(`"act":"${act}",[^\\n]*"caller":\\{"name":"agent","role":"agent"\\}`, "g");
      return [...(await Promise.all(texts)).join("\n").matchAll(own)].length;
    };
    assert.equal(await acts("call_admitted"), 4);
    await eventually(async () => (await acts("call_ended")) === 4, { what: "the ends in the audit log" });

    // A VM that a user stopped stays off when the agent starts again in the same boot.
    assert.equal((await stop("used")).state, "STATE_SUCCEEDED");
    await host.agent.kill();
    await restart();
    await autostartEnded();
    assert.equal(await stateOf("used"), "shut off");
    assert.equal((await ownStarts()).length, 4);
    for (const vm of ["last", "first", "broken", "never", "used"]) await host.remove(vm);
  });

  test("an agent that dies during autostart goes on with the rest, and repeats nothing", async () => {
    for (const name of ["one", "two", "three"]) await create(name, { autostart: true, startPriority: 1 });
    await create("four", { autostart: true, startDelaySeconds: 3600 });
    await host.virsh("start", "three");
    await bootAnew();
    await runs("one");
    await runs("two");
    await host.agent.kill();
    // Ended by its guest, as far as libvirt knows, and off by a user's wish.
    await host.virsh("destroy", "one");
    await restart();
    await eventually(async () => (await ownStarts()).length === 2, { what: "the operations to be read" });
    const request = {
      requestId: randomUUID(),
      vm: "four",
      spec: {},
      updateMask: { paths: ["start_delay_seconds"] },
    };
    await host.end(await host.client.ask(host.client.contract.vms.UpdateVm, request));
    await host.agent.kill();
    await restart();
    await autostartEnded();
    assert.equal(await stateOf("one"), "shut off");
    // A caller has changed it since the boot.
    assert.equal(await stateOf("four"), "shut off");
    assert.deepEqual((await ownStarts()).toSorted().slice(0, 2), ["one", "two"]);
    for (const vm of ["one", "two", "three", "four"]) await host.remove(vm);
  });

  /** Kills the guest's QEMU, as the kernel does without memory. */
  const crash = async (vm: string): Promise<void> => {
    for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
      const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      if (line.split("\0")[0]?.includes("qemu-system") && line.includes(`-uuid\0${vm}`))
        process.kill(Number(pid), "SIGKILL");
    }
  };
  const logged = (line: string): number => host.agent.log.filter(({ msg }) => msg === line).length;
  const runOf = async (vm: string): Promise<string> => (await host.virsh("domid", vm)).trim();

  test("a crashed VM starts again as its policy says, at most so often, and never against a stop", async () => {
    const vm = await create("fragile", { crashPolicy: "CRASH_POLICY_RESTART" }, false);
    const plain = await create("plain", {}, false);
    for (const times of [1, 2]) {
      const before = await runOf(vm);
      await crash(vm);
      await eventually(() => logged("the VM crashed and was started again") === times, {
        what: "the VM to be started again",
        timeoutMs: 60_000,
      });
      assert.equal(await stateOf(vm), "running");
      assert.notEqual(await runOf(vm), before);
    }
    await crash(plain);
    await crash(vm);
    await host.agent.logged(({ msg }) => msg.startsWith("the VM crashed too often"), "the limit");
    // The journal has the earlier restarts.
    await host.agent.kill();
    await restart();
    await eventually(() => logged("the VM crashed too often: it stays off for now") === 2, {
      what: "the limit to hold after a restart of the agent",
    });
    assert.match(await host.virsh("domstate", vm, "--reason"), /shut off \(crashed\)/);
    assert.match(await host.virsh("domstate", plain, "--reason"), /shut off \(crashed\)/);
    assert.deepEqual(await ownStarts(), ["fragile", "fragile"]);
    const metrics = await (await fetch(`http://${host.agent.metricsAddress}/metrics`)).text();
    assert.match(metrics, /^socle_vm_crash_restarts_exhausted_total 1$/m);

    const meant = await create("meant-off", { crashPolicy: "CRASH_POLICY_RESTART" }, false);
    // A guest that crashes while it is being stopped.
    const request = { requestId: randomUUID(), vm: meant, force: false, gracefulTimeout: { seconds: 60 } };
    const stopping = await host.client.ask(host.client.contract.vms.StopVm, request);
    await eventually(
      async () => {
        const now = await host.client.ask(host.client.contract.operations.GetOperation, {
          operationId: stopping.operationId,
        });
        return now.steps.some(({ name }) => name === "ask guest");
      },
      { what: "the guest to be asked" },
    );
    await crash(meant);
    assert.equal((await host.end(stopping)).state, "STATE_SUCCEEDED");
    assert.match(await host.virsh("domstate", meant, "--reason"), /shut off \(crashed\)/);
    await host.agent.kill();
    await restart();
    const other = await create("other", { crashPolicy: "CRASH_POLICY_RESTART" }, false);
    const before = await runOf(other);
    await crash(other);
    await eventually(async () => !["-", before].includes(await runOf(other)), {
      what: "the other VM to run again",
    });
    assert.match(await host.virsh("domstate", meant, "--reason"), /shut off \(crashed\)/);
    for (const name of [vm, plain, meant, other]) await host.remove(name);
  });

  /** A boot sector that waits for 36 ticks of the clock, and then writes to the port of the panic device. */
  const panicking = (): Buffer => {
    const image = Buffer.alloc(MIB);
    Buffer.from("fbb92400f4e2fdba0505b001eef4ebfd", "hex").copy(image);
    image.writeUInt16LE(0xaa55, 510);
    return image;
  };

  test("a guest whose kernel panics is started again", async () => {
    await writeFile(join(host.libvirtd.imagesDirectory, "panic.img"), panicking());
    await host.virsh("pool-refresh", "images");
    const boot = { name: "boot", volume: { pool: "images", volume: "panic.img" }, readOnly: true };
    const vm = await create("panics", { crashPolicy: "CRASH_POLICY_RESTART", disks: [boot] }, false);
    const ofVm = (start: string): boolean =>
      host.agent.log.some((line) => line["vm"] === vm && line.msg.startsWith(start));
    for (const line of ["the VM crashed and was started again", "the VM crashed too often"])
      await eventually(() => ofVm(line), { what: line, timeoutMs: 60_000 });
    assert.match(await host.virsh("domstate", vm, "--reason"), /shut off \(crashed\)/);
    await host.remove(vm);
  });
});
