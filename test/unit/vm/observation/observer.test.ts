import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setImmediate } from "node:timers/promises";
import { systemClock, type Clock } from "../../../../agent/kernel/clock.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import type { NewEvent } from "../../../../agent/state/events/event.ts";
import { Observer } from "../../../../agent/vm/observation/observer.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import { eventually } from "../../../support/wait.ts";
import { DomainStatsTypes, LibvirtError } from "../../../../agent/libvirt/index.ts";
import { FakeHypervisor } from "../../../support/vm/fake-hypervisor.ts";
import { operationStamp } from "../../../../agent/vm/model/vm-domain.ts";

interface Watched {
  readonly libvirt: FakeHypervisor;
  readonly table: VmTable;
  readonly events: NewEvent[];
  /** Resolves after so many more rounds. */
  readonly rounds: (count: number) => Promise<void>;
}

async function observe(
  t: TestContext,
  libvirt: FakeHypervisor,
  sampleIntervalMs = 5,
  clock: Clock = systemClock,
): Promise<Watched> {
  const table = new VmTable();
  const events: NewEvent[] = [];
  const kvm = {
    reportKvmFailure: () => undefined,
    reportKvmStartFailure: () => undefined,
    reportKvmSuccess: () => undefined,
  };
  const publish = (event: NewEvent): void => void events.push(event);
  const options = { libvirt, table, publish, kvm, clock, log: silentLog, sampleIntervalMs };
  const end = new AbortController();
  let done: Promise<void> = Promise.resolve();
  await new Promise<void>((ready) => {
    done = new Observer(options).run(end.signal, ready);
  });
  t.after(async () => {
    end.abort();
    await done;
  });
  const rounds = async (count: number): Promise<void> => {
    const before = libvirt.groups.length;
    await eventually(() => libvirt.groups.length >= before + count, { what: `${count} rounds` });
  };
  return { libvirt, table, events, rounds };
}

test("a VM missing from a list is removed only after libvirt confirms it", async (t) => {
  const { libvirt, table, events, rounds } = await observe(t, new FakeHypervisor(["a", "b"]));
  assert.equal(table.all().length, 2);
  libvirt.leaveOut("b");
  await rounds(3);
  assert.equal(table.get("b")?.presence, "present");
  assert.equal(table.lastSample?.ok, false);
  assert.equal(events.length, 0);
  libvirt.remove("b");
  await eventually(() => table.get("b") === undefined, { what: "the VM to be gone" });
  assert.deepEqual(
    events.map(({ kind, vmName }) => [kind, vmName]),
    [["vm_removed", "b"]],
  );
});

test("a round during which libvirt disconnects reports nothing as complete, also on an empty host", async (t) => {
  const libvirt = new FakeHypervisor([]);
  const { table } = await observe(t, libvirt);
  await eventually(() => table.complete, { what: "a complete list" });
  const call = libvirt.call.bind(libvirt);
  t.mock.method(libvirt, "call", async (...args: Parameters<typeof call>) => {
    const answer = await call(...args);
    Object.assign(libvirt.status, { connected: false });
    const error = new LibvirtError("unavailable", "LIBVIRT_DISCONNECTED", "libvirtd was killed");
    libvirt.changes.publish({ kind: "disconnected", error });
    // The disconnect arrives before the reply is processed.
    await eventually(() => !table.complete, { what: "the loss to be observed" });
    return answer;
  });
  await eventually(() => !libvirt.status.connected, { what: "a round to be overtaken" });
  await eventually(() => !table.complete, { what: "the loss to be observed" });
  for (let turn = 0; turn < 1000; turn += 1) {
    assert.equal(table.complete, false);
    await setImmediate();
  }
});

test("a domain with unreadable XML is present, has libvirt's size, and is logged once", async (t) => {
  const warned = t.mock.method(silentLog, "warn");
  const hypervisor = new FakeHypervisor(["a", "b"]);
  hypervisor.resize("b", { vcpus: 6, memoryKib: 8192 });
  hypervisor.garble("b");
  const { libvirt, table, rounds } = await observe(t, hypervisor);
  await rounds(3);
  assert.ok(table.complete, "one domain must not keep the list from being complete");
  const { presence, state, vcpus, memoryBytes, managed, unreadable } = table.get("b") ?? {};
  assert.deepEqual(
    { presence, state, vcpus, memoryBytes, managed },
    { presence: "present", state: "running", vcpus: 6, memoryBytes: 8192 * 1024, managed: false },
  );
  assert.match(unreadable ?? "", /type is missing/);
  assert.deepEqual(
    table.get("b")?.disks,
    [
      { device: "vda", path: "/images/b" },
      { device: "vda", path: "/images/base", readOnly: true },
    ],
    "its disk and the image below it are known",
  );
  const named = (): unknown[] =>
    warned.mock.calls.map(({ arguments: [facts] }) => (facts as { vm?: string }).vm);
  assert.deepEqual(named(), [libvirt.idOf("b")]);
  libvirt.goOn("b");
  await eventually(() => table.get("b")?.unreadable === undefined, { what: "it to be read again" });
  assert.equal(table.get("b")?.disks.length, 1);
});

test("known facts about a VM stay when its XML becomes unreadable", async (t) => {
  const { libvirt, table } = await observe(t, new FakeHypervisor(["a", "b"]));
  await eventually(() => table.complete, { what: "the complete list" });
  libvirt.garble("b");
  const dom = { name: "b", uuid: libvirt.idOf("b"), id: 2 };
  libvirt.events.publish({ kind: "metadata_change", domain: dom, part: "element", namespace: "" } as never);
  await eventually(() => table.get("b")?.unreadable !== undefined, { what: "it to be found" });
  assert.deepEqual(
    table.get("b")?.disks.map(({ path }) => path),
    ["/images/b", "/images/base"],
  );
});

test("a metadata change makes the agent read the domain again; its own stamp does not", async (t) => {
  const { libvirt, table } = await observe(t, new FakeHypervisor(["a", "b"]));
  await eventually(() => table.complete, { what: "the complete list" });
  for (const [name, namespace] of [
    ["a", operationStamp.uri],
    ["b", "urn:of-others:1"],
  ] as const) {
    libvirt.garble(name);
    const domain = { name, uuid: libvirt.idOf(name), id: 2 };
    libvirt.events.publish({ kind: "metadata_change", domain, part: "element", namespace } as never);
  }
  await eventually(() => table.get("b")?.unreadable !== undefined, { what: "b to be read" });
  assert.equal(table.get("a")?.unreadable, undefined);
});

test("a shutdown event changes the state at once; the stopped event triggers a new read", async (t) => {
  const { libvirt, table } = await observe(t, new FakeHypervisor(["a", "b"]), 60_000);
  await eventually(() => table.complete, { what: "the complete list" });
  const lifecycle = (name: string, event: "shutdown" | "stopped" | "suspended"): void => {
    libvirt.garble(name);
    const domain = { name, uuid: libvirt.idOf(name), id: 2 };
    libvirt.events.publish({ kind: "lifecycle", domain, event, detail: "" } as never);
  };
  lifecycle("b", "shutdown");
  lifecycle("a", "suspended");
  await eventually(() => table.get("a")?.unreadable !== undefined, { what: "a to be read" });
  assert.equal(table.get("b")?.state, "stopping");
  assert.equal(table.get("b")?.unreadable, undefined);
  lifecycle("b", "stopped");
  await eventually(() => table.get("b")?.unreadable !== undefined, { what: "b to be read" });
});

test("a resize outside the agent is observed without an event, also of a stopped VM", async (t) => {
  const hypervisor = new FakeHypervisor(["a", "b", "c"]);
  hypervisor.stop("c");
  const { libvirt, table, rounds } = await observe(t, hypervisor);
  await eventually(() => table.complete, { what: "the complete list" });
  for (const name of ["b", "c"]) libvirt.resize(name, { vcpus: 4, memoryKib: 4096 });
  await rounds(3);
  const sizes = ["a", "b", "c"].map((name) => [table.get(name)?.vcpus, table.get(name)?.memoryBytes]);
  assert.deepEqual(sizes, [
    [1, 2048 * 1024],
    [4, 4096 * 1024],
    [4, 4096 * 1024],
  ]);
  const readings = libvirt.calls.filter((name) => name === "XML b").length;
  await rounds(3);
  assert.equal(libvirt.calls.filter((name) => name === "XML b").length, readings, "one read per change");
});

test("the definition of a stopped VM is read again within a minute, at any round interval", async (t) => {
  const hypervisor = new FakeHypervisor(["a", "b"]);
  hypervisor.stop("b");
  const speed = 1000;
  const clock: Clock = {
    now: () => systemClock.now() * speed,
    monotonicMs: () => systemClock.monotonicMs() * speed,
    sleep: (ms, signal) => systemClock.sleep(ms / speed, signal),
  };
  const { libvirt } = await observe(t, hypervisor, 300_000, clock);
  const reads = (): number => libvirt.calls.filter((name) => name === "XML b").length;
  const [before, rounds] = [reads(), libvirt.groups.length];
  const isOften = (): boolean => reads() - before >= 3 * (libvirt.groups.length - rounds + 1);
  await eventually(isOften, { what: "several reads a round" });
});

test("a guest that hangs keeps its last readings and is reported; other guests are sampled", async (t) => {
  const { libvirt, table, rounds } = await observe(t, new FakeHypervisor(["a", "b"]));
  await eventually(() => table.get("b")?.stats !== undefined, { what: "readings" });
  libvirt.hang("b");
  await eventually(() => table.get("b")?.stats?.unresponsive === true, { what: "it to be found" });
  const [a, b] = [table.get("a")?.stats, table.get("b")];
  await rounds(3);
  assert.equal(table.get("b")?.stats?.sampledAtMs, b?.stats?.sampledAtMs);
  assert.equal(b?.stats?.rssBytes, 512 * 1024);
  assert.ok((table.get("a")?.stats?.sampledAtMs ?? 0) > (a?.sampledAtMs ?? Infinity));
  libvirt.goOn("b");
  await eventually(() => table.get("b")?.stats?.unresponsive === false, { what: "it to be well" });
});

test("a guest's unresponsive and responsive events are published once each, however long it hangs", async (t) => {
  const { libvirt, table, events, rounds } = await observe(t, new FakeHypervisor(["a", "b"]));
  await eventually(() => table.get("b")?.stats !== undefined, { what: "readings" });
  const published = (): unknown[] => events.map(({ kind, vmName, vmState }) => [kind, vmName, vmState]);
  libvirt.hang("b");
  await eventually(() => events.length > 0, { what: "the event" });
  await rounds(3);
  assert.deepEqual(published(), [["vm_unresponsive", "b", "running"]]);
  libvirt.goOn("b");
  await eventually(() => events.length > 1, { what: "the event" });
  await rounds(3);
  assert.deepEqual(published().slice(1), [["vm_responsive", "b", "running"]]);
});

test("too many hung guests stop the sampling, and the round counts as failed", async (t) => {
  const names = Array.from({ length: 14 }, (_, index) => `g${index}`);
  const { libvirt, table, rounds } = await observe(t, new FakeHypervisor([...names, "well"]));
  await eventually(() => table.get("well")?.stats !== undefined, { what: "readings" });
  for (const name of names) libvirt.hang(name);
  await eventually(() => table.lastSample?.ok === false, { what: "rounds without readings" });
  const last = table.lastReadings?.atMonotonicMs;
  const before = table.get("well")?.stats?.sampledAtMonotonicMs;
  await rounds(3);
  assert.equal(table.lastReadings?.atMonotonicMs, last);
  assert.equal(table.get("well")?.stats?.sampledAtMonotonicMs, before);
  assert.ok(table.complete, "the list of VMs is still known");
  for (const name of names) libvirt.goOn(name);
  await eventually(() => table.lastSample?.ok === true, { what: "readings again" });
});

test("the list is complete and read in full before a hung guest delays anything", async (t) => {
  const hypervisor = new FakeHypervisor(["a", "b"]);
  hypervisor.hang("b");
  const { libvirt, table } = await observe(t, hypervisor);
  await eventually(() => table.get("b")?.stats?.unresponsive === true, { what: "it to be found" });
  assert.equal(table.get("b")?.disks.length, 1);
  assert.ok(table.complete);
  assert.deepEqual(libvirt.groups.slice(0, 1), [DomainStatsTypes.STATE]);
});

test("a guest that hung before the first sampling is listed, and read in full once it answers", async (t) => {
  const hypervisor = new FakeHypervisor(["a", "b"]);
  hypervisor.resize("b", { vcpus: 3, memoryKib: 2048 });
  hypervisor.stick("b");
  const { libvirt, table, events } = await observe(t, hypervisor);
  await eventually(() => table.complete, { what: "the complete list" });
  const { presence, vcpus, memoryBytes, managed, disks } = table.get("b") ?? {};
  assert.deepEqual(
    { presence, vcpus, memoryBytes, managed, disks },
    { presence: "present", vcpus: 3, memoryBytes: 2048 * 1024, managed: false, disks: [] },
  );
  assert.ok(!libvirt.calls.includes("XML b"), "its XML would have been waited for");
  assert.deepEqual(events, [], "a guest that hangs from the start is in the list");
  libvirt.goOn("b");
  await eventually(() => table.get("b")?.disks.length === 1, { what: "it to be read in full" });
});

test("panics and storage errors are counted from zero, each once, until the VM is removed", async (t) => {
  const { libvirt, table } = await observe(t, new FakeHypervisor(["a", "b"]));
  const id = libvirt.idOf("b");
  assert.deepEqual(table.incidents(id), { panics: 0, ioErrors: 0 });
  const domain = { name: "b", uuid: id, id: 2 };
  const failed = { path: "/images/b", device: "vda", action: "pause", reason: "enospc" } as const;
  libvirt.events.publish({ kind: "io_error", domain, ...failed });
  libvirt.events.publish({ kind: "lifecycle", domain, event: "crashed", detail: "panicked" });
  await eventually(() => table.incidents(id).panics === 1, { what: "the panic to be counted" });
  assert.deepEqual(table.incidents(id), { panics: 1, ioErrors: 1 });
  assert.deepEqual(table.incidents(libvirt.idOf("a")), { panics: 0, ioErrors: 0 });
  libvirt.remove("b");
  await eventually(() => table.get(id) === undefined, { what: "the VM to be gone" });
  assert.deepEqual(table.incidents(id), { panics: 0, ioErrors: 0 });
});

test("an event older than a read does not show an ended guest as running", async (t) => {
  const { libvirt, table, events, rounds } = await observe(t, new FakeHypervisor(["a", "b"]));
  const id = libvirt.idOf("b");
  const run = (number: number) =>
    ({ kind: "lifecycle", domain: { name: "b", uuid: id, id: number } }) as const;
  const states = (): (string | undefined)[] => events.map(({ vmState }) => vmState);
  // Suspended, resumed and destroyed at once: the read after the first event finds the domain off.
  libvirt.stop("b");
  libvirt.events.publish({ ...run(2), event: "suspended", detail: "paused" });
  await eventually(() => table.get(id)?.state === "stopped", { what: "the read" });
  libvirt.events.publish({ ...run(2), event: "resumed", detail: "unpaused" });
  await rounds(3);
  assert.deepEqual(states(), ["stopped"]);
  libvirt.events.publish({ ...run(3), event: "started", detail: "booted" });
  await eventually(() => states().includes("running"), { what: "the next run" });
});
