import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate } from "node:timers/promises";
import { hostToProto } from "../../../agent/api/convert/host.ts";
import { configSchema } from "../../../agent/config/schema.ts";
import { FilesystemProbe } from "../../../agent/hardware/storage/filesystem.ts";
import { HostService, type HostServiceOptions } from "../../../agent/host/host-service.ts";
import type { Condition } from "../../../agent/host/host.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { createLog, silentLog } from "../../../agent/kernel/log.ts";
import { Topic } from "../../../agent/kernel/concurrency/topic.ts";
import { Libvirt } from "../../../agent/libvirt/index.ts";
import { machine } from "../../support/hardware/fixture.ts";
import { FakeClock } from "../../support/host/fake-clock.ts";
import { FakeRecord } from "../../support/host/fake-record.ts";

const server = await machine("two-sockets");
const libvirtUuid = "11111111-2222-4333-8444-555555555555";

/** A host on the two-socket server. Unless `libvirt` is given, libvirt is unreachable. */
async function start(
  context: test.TestContext,
  {
    configuredId = libvirtUuid,
    record = new FakeRecord(),
    bmc = "auto",
    libvirt = new Libvirt({ uri: "test:///default", log: silentLog }),
  }: {
    configuredId?: string | null;
    record?: FakeRecord;
    bmc?: "auto" | "off";
    libvirt?: HostServiceOptions["libvirt"];
  } = {},
) {
  const clock = new FakeClock();
  const conditions: Condition[] = [];
  const warnings: unknown[] = [];
  const schedulings: string[] = [];
  const host = new HostService({
    config: configSchema.parse({
      host: { id: configuredId ?? undefined, labels: { zone: "a" } },
      bmc: { interface: bmc },
    }),
    libvirt,
    record,
    clock,
    log: createLog({
      level: "warn",
      destination: { write: (line) => void warnings.push(JSON.parse(line)) },
    }),
    agentVersion: "1.2.3",
    identityCommand: ["echo", "{}"],
    onConditionChange: (condition) => conditions.push(condition),
    onSchedulingChange: ({ state, reason }) => schedulings.push(`${state} ${reason}`),
    roots: server,
    filesystems: new FilesystemProbe({
      timeoutMs: 1000,
      statfs: () => ({
        output: Promise.resolve({ stdout: "4096 100 50 50", stderr: "" }),
        gone: Promise.resolve(),
      }),
    }),
  });
  clock.advance(1);
  const stop = new AbortController();
  let done: Promise<void> = Promise.resolve();
  await new Promise<void>((ready) => {
    done = host.run(stop.signal, ready);
  });
  context.after(async () => {
    stop.abort();
    await done;
  });
  const until = async (what: string, check: () => boolean): Promise<void> => {
    const deadline = performance.now() + 60_000;
    while (!check()) {
      assert.ok(performance.now() < deadline, `still waiting: ${what}`);
      await setImmediate();
    }
  };
  const condition = (type: string) =>
    host.snapshot().health.conditions.find((candidate) => candidate.type === type);
  return { host, clock, conditions, schedulings, record, warnings, until, condition };
}

test("without libvirt the machine is described, and the missing parts are named", async (context) => {
  const { host } = await start(context);
  const { identity, inventory, capacity } = host.snapshot();
  assert.deepEqual(
    [identity.id, identity.hostname, identity.vendor, identity.labels["zone"]],
    [libvirtUuid, "r650-17", "Dell Inc.", "a"],
  );
  assert.deepEqual([inventory.complete, inventory.cells.length], [false, 4]);
  assert.deepEqual([capacity.cells.length, capacity.generation], [4, 1]);
});

test("a host keeps its id, whatever libvirt reports; a configured id overrides it with a warning", async (context) => {
  const idBefore = "22222222-3333-4444-8555-666666666666";
  const kept = await start(context, { configuredId: null, record: new FakeRecord(idBefore) });
  assert.equal(kept.host.snapshot().identity.id, idBefore);
  assert.deepEqual([kept.record.hostId, kept.warnings], [idBefore, []]);
  const configured = await start(context, { record: new FakeRecord(idBefore) });
  assert.equal(configured.host.snapshot().identity.id, libvirtUuid);
  assert.equal(configured.record.hostId, libvirtUuid);
  assert.match(JSON.stringify(configured.warnings), new RegExp(idBefore));
  const first = await start(context, { configuredId: null });
  assert.equal(first.record.hostId, first.host.snapshot().identity.id);
  assert.deepEqual(first.warnings, []);
});

test("a probe that fails three times forbids scheduling and publishes an event", async (context) => {
  const { host, clock, conditions, until, condition } = await start(context);
  for (let probe = 1; probe <= 3; probe += 1) {
    await until(`probe ${probe}`, () => condition("LibvirtUnresponsive")?.lastProbeMs === clock.now());
    if (probe < 3) clock.advance(10_000);
  }
  assert.equal(condition("LibvirtUnresponsive")?.status, "true");
  assert.equal(host.snapshot().health.schedulable, "false");
  assert.ok(
    conditions.some(({ type, effect }) => type === "LibvirtUnresponsive" && effect === "no_schedule"),
  );
});

test("the inventory is read again as soon as libvirt answers after a hang", async (context) => {
  const answers: Readonly<Record<string, unknown>> = {
    CONNECT_GET_LIB_VERSION: { libVer: 11_003_000 },
    CONNECT_LIST_ALL_STORAGE_POOLS: { pools: [{ name: "disks" }] },
    STORAGE_POOL_GET_XML_DESC: { xml: "<pool type='logical'><name>disks</name></pool>" },
    STORAGE_POOL_GET_INFO: { state: 2, capacity: 100, allocation: 0, available: 100 },
    STORAGE_POOL_GET_AUTOSTART: { autostart: 1 },
    STORAGE_POOL_LOOKUP_BY_NAME: { pool: { name: "disks" } },
    STORAGE_POOL_LIST_ALL_VOLUMES: { vols: [{ pool: "disks", name: "web", key: "k" }] },
    STORAGE_VOL_GET_XML_DESC: {
      xml: "<volume type='block'><name>web</name><capacity>10</capacity></volume>",
    },
  };
  const silentOn = new Set<string>();
  const libvirt: HostServiceOptions["libvirt"] = {
    status: { connected: false, sinceMs: 0 },
    changes: new Topic(),
    events: new Topic(),
    call<R>({ name }: { readonly name: string }): Promise<R> {
      if (answers[name] !== undefined && !silentOn.has(name)) return Promise.resolve(answers[name] as R);
      return Promise.reject(new SocleError("timeout", "LIBVIRT_TIMEOUT", `${name} was not answered`));
    },
  };
  const { host, clock, until, condition } = await start(context, { libvirt });
  const promised = (): unknown[] =>
    host.snapshot().inventory.storagePools.map((pool) => [pool.presence, pool.provisionedBytes]);
  const probed = async (status: string): Promise<void> =>
    await until(`a probe: ${status}`, () => {
      const { lastProbeMs, evidence = "" } = condition("LibvirtUnresponsive") ?? {};
      return lastProbeMs === clock.now() && evidence.includes(status);
    });
  await probed("libvirt answered");
  assert.deepEqual(promised(), [["present", 10]]);
  // libvirt hangs while the volumes are read: without the reread their pool rests for ten minutes.
  silentOn.add("STORAGE_VOL_GET_XML_DESC").add("CONNECT_GET_LIB_VERSION");
  for (let look = 1; look <= 3; look += 1) {
    clock.advance(60_000);
    await probed("not answered");
    await until(`look ${look}`, () => host.snapshot().inventoryReadAtMs === clock.now());
    assert.deepEqual(promised(), [["present", undefined]]);
  }
  silentOn.clear();
  clock.advance(10_000);
  await probed("libvirt answered");
  clock.advance(200);
  await until("the volumes", () => promised().join() === "present,10");
});

test("sensors find the fixture's stalled memory and missing /dev/kvm", async (context) => {
  const { until, condition } = await start(context);
  await until("memory", () => condition("MemoryPressure")?.status !== "unknown");
  assert.deepEqual(
    [condition("MemoryPressure")?.effect, condition("MemoryPressure")?.reason],
    ["degraded", "MemoryStalls"],
  );
  await until("kvm", () => condition("KvmUnavailable")?.status !== "unknown");
  assert.equal(condition("KvmUnavailable")?.status, "false");
  await until("disks", () => condition("DiskSpace")?.status === "false");
});

test("a BMC that an earlier agent read counts as missing, unless its access was reconfigured", async (context) => {
  const first = await start(context);
  const { bootId } = first.host.snapshot().identity;
  for (const [before, bmc, reason] of [
    ["auto", "auto", "Unknown"],
    ["auto", "off", "NotPresent"],
    ["lanplus 10.0.0.9", "auto", "NotPresent"],
  ] as const) {
    const record = new FakeRecord();
    record.health = { ...record.health, seen: { bootId, names: { reader: ["bmc"], bmcAccess: [before] } } };
    const { until, condition } = await start(context, { record, bmc });
    await until("a look at the BMC", () => (condition("Psu")?.lastProbeMs ?? 0) > 0);
    assert.equal(condition("Psu")?.reason, reason);
  }
});

test("a claim, a cordon and a failing KVM are each published", async (context) => {
  const { host, conditions, schedulings } = await start(context);
  host.ledger.setFootprints([], true);
  const stop = new AbortController();
  const published: string[] = [];
  const watching = (async () => {
    for await (const change of host.subscribe(stop.signal)) published.push(change.kind);
  })();
  const { generation } = host.snapshot().capacity;
  host.ledger.claim({ holder: "a", vcpus: 2, memoryBytes: 1024 ** 3 });
  assert.equal(host.snapshot().capacity.generation, generation + 1);
  await host.setScheduling("cordoned", "moving racks");
  assert.deepEqual(host.snapshot().scheduling, { state: "cordoned", reason: "moving racks" });
  assert.equal(host.snapshot().health.schedulable, "false");
  await host.setScheduling("cordoned", "moving racks");
  assert.deepEqual(schedulings, ["cordoned moving racks"], "a repetition changes nothing");
  host.reports.reportKvmFailure({
    vmId: "a",
    tenant: "",
    image: "i",
    evidence: "paused (internal error) after 2 s",
  });
  const kvm = host.snapshot().health.conditions.find(({ type }) => type === "KvmUnavailable");
  assert.match(kvm?.evidence ?? "", /^VM a: paused \(internal error\) after 2 s \(.*ack KvmUnavailable\)$/);
  const event = conditions.findLast(({ type }) => type === "KvmUnavailable");
  assert.deepEqual(
    [event?.status, event?.effect, event?.reason],
    ["true", "no_schedule", "GuestFailedOnKvm"],
  );
  await setImmediate();
  assert.ok(published.length >= 3);
  stop.abort();
  await watching;
});

test("whether it is safe to fence follows the guests", async (context) => {
  const { host } = await start(context);
  assert.equal(host.snapshot().health.safeToFence, "unknown");
  const guest = { id: "a", vcpus: 1, memoryBytes: 1024 ** 3, cells: [], active: true };
  host.ledger.setFootprints([guest], false);
  assert.equal(host.snapshot().health.safeToFence, "false");
  host.ledger.setFootprints([], true);
  assert.equal(host.snapshot().health.safeToFence, "unknown", "libvirt's probe has not answered yet");
});

test("three VMs that cannot be started forbid new ones, until one starts", async (context) => {
  const { host, condition } = await start(context);
  const fails = (vmId: string): void =>
    host.reports.reportStartFailure({
      vmId,
      tenant: "",
      image: "i",
      fault: "unclear",
      why: "QEMU gave up",
    });
  for (const vm of ["a", "a", "a", "b"]) fails(vm);
  assert.equal(condition("VmStartFailures")?.status, "false");
  fails("c");
  assert.equal(condition("VmStartFailures")?.effect, "no_schedule");
  assert.match(condition("VmStartFailures")?.evidence ?? "", /^3 VMs failed to start .*c \(QEMU gave up\)/);
  host.reports.reportStartSuccess("d");
  assert.equal(condition("VmStartFailures")?.status, "false");
});

test("failing guests of one tenant do not prove a KVM failure, those of several with different images do", async (context) => {
  const { host, condition } = await start(context);
  const stopped = (tenant: string, image: string): void =>
    host.reports.reportKvmFailure({ vmId: `${tenant}-${image}`, tenant, image, evidence: "paused" });
  for (const image of ["1", "2", "3"]) stopped("evil", image);
  assert.notEqual(condition("KvmUnavailable")?.reason, "GuestFailedOnKvm");
  stopped("victim", "4");
  assert.equal(condition("KvmUnavailable")?.reason, "GuestFailedOnKvm");
});

test("break-glass is a condition until it is acknowledged, and again after its next use", async (context) => {
  const { host, condition } = await start(context);
  assert.equal(condition("BreakGlass")?.status, "false");
  host.reports.reportBreakGlass({ reason: "the provider is down", method: "/socle.v1.VmService/StopVm" });
  assert.deepEqual([condition("BreakGlass")?.effect, condition("BreakGlass")?.latched], ["degraded", true]);
  assert.match(condition("BreakGlass")?.evidence ?? "", /StopVm at .*Z, because: the provider is down/);
  await host.acknowledge("BreakGlass", "request-1");
  assert.equal(condition("BreakGlass")?.status, "false");
  host.reports.reportBreakGlass({ reason: "again", method: "/socle.v1.VmService/StopVm" });
  assert.deepEqual([condition("BreakGlass")?.status, condition("BreakGlass")?.latched], ["true", true]);
});

test("a damaged audit log is a condition until acknowledged, a lagging one until it has caught up", async (context) => {
  const { host, condition } = await start(context);
  host.reports.reportAudit({});
  assert.equal(condition("AuditLog")?.status, "false");
  host.reports.reportAudit({ behind: "syslog lacks 7 entries" });
  assert.equal(condition("AuditLog")?.effect, "degraded");
  assert.equal(condition("AuditLog")?.reason, "ForwardingBehind");
  host.reports.reportAudit({ damaged: "entries 3 to 9 are missing" });
  host.reports.reportAudit({});
  assert.equal(condition("AuditLog")?.status, "true", "it is not acknowledged yet");
  await host.acknowledge("AuditLog", "request-1");
  host.reports.reportAudit({});
  assert.equal(condition("AuditLog")?.status, "false");
});

test("AuditLog is true while the audit log cannot be read, and keeps damage that was found before", async (context) => {
  const { host, condition } = await start(context);
  const unreadable = "changes are refused: chmod 600 key.pem";
  host.reports.reportAudit({ unreadable });
  const { status, effect, reason, evidence } = condition("AuditLog") ?? {};
  assert.deepEqual([status, effect, reason, evidence], ["true", "degraded", "Unreadable", unreadable]);
  host.reports.reportAudit({ damaged: "entries 3 to 9 are missing" });
  assert.equal(condition("AuditLog")?.reason, "Damaged");
  host.reports.reportAudit({ unreadable });
  await host.acknowledge("AuditLog", "request-1");
  assert.match(condition("AuditLog")?.evidence ?? "", /chmod 600.*entries 3 to 9/);
});

test("a latched condition survives a restart, and an operator's acknowledgement ends it", async (context) => {
  const record = new FakeRecord();
  const first = await start(context, { record });
  const fails = { vmId: "a", tenant: "", image: "i", evidence: "paused" };
  for (let flip = 0; flip < 2; flip += 1) {
    first.host.reports.reportKvmFailure(fails);
    first.host.reports.reportKvmSuccess({ running: 1, isNew: true });
    first.host.reports.reportKvmSuccess({ running: 1, isNew: true });
  }
  await first.until("a durable latch", () => record.health.latches.length === 1);
  const second = await start(context, { record });
  assert.deepEqual(
    [second.condition("KvmUnavailable")?.latched, second.host.snapshot().health.schedulable],
    [true, "false"],
  );
  await second.host.acknowledge("KvmUnavailable", "r1");
  second.host.reports.reportKvmSuccess({ running: 1, isNew: true });
  second.host.reports.reportKvmSuccess({ running: 1, isNew: true });
  await second.until("the device's probe", () => second.condition("KvmUnavailable")?.status === "false");
  assert.deepEqual(record.health.latches, []);
});

test("a KVM that fails guests does not count as good for the next agent of the same boot", async (context) => {
  const record = new FakeRecord();
  const first = await start(context, { record });
  const own = { tenant: "", image: "i" };
  for (const vmId of ["a", "b", "c"])
    first.host.reports.reportStartFailure({ vmId, ...own, fault: "host", why: "no room in the cgroup" });
  first.host.reports.reportKvmFailure({ vmId: "a", ...own, evidence: "paused" });
  first.host.reports.reportKvmStartFailure({ vmId: "b", evidence: "cannot be started" });
  await first.until("a durable record", () => record.health.leftOn?.length === 3);
  const second = await start(context, { record });
  const now = (type: string): unknown[] => {
    const { status, effect, evidence = "" } = second.condition(type) ?? {};
    return [status, effect, /VM a: paused|no room/.test(evidence)];
  };
  assert.deepEqual(now("KvmUnavailable"), ["true", "no_schedule", true]);
  assert.deepEqual(now("VmStartFailures"), ["true", "no_schedule", true]);
  second.host.reports.reportKvmSuccess({ running: 2, isNew: false });
  second.host.reports.reportKvmSuccess({ running: 2, isNew: false });
  assert.equal(second.condition("KvmUnavailable")?.reason, "StartFailsOnKvm", "no new guest was started");
  second.host.reports.reportKvmSuccess({ running: 3, isNew: true });
  second.host.reports.reportStartSuccess("d");
  assert.deepEqual(
    [second.condition("KvmUnavailable")?.status, second.condition("VmStartFailures")?.status],
    ["unknown", "false"],
    "except for the device, which was not read yet",
  );
});

test("a host at rest publishes no change to schedulers or watchers, however often it is read", async (context) => {
  const { host, clock, until, condition } = await start(context);
  const round = async (): Promise<string | undefined> => {
    clock.advance(60_000);
    await until("a probe", () => condition("LibvirtUnresponsive")?.lastProbeMs === clock.now());
    await until("the sensors", () => condition("MemoryPressure")?.lastProbeMs === clock.now());
    return hostToProto(host.snapshot(), [], true).etag;
  };
  // Bad conditions appear within their time; nothing changes after that.
  for (let look = 0; look < 20; look += 1) await round();
  const { generation } = host.snapshot().capacity;
  const etags = new Set<string | undefined>();
  for (let look = 0; look < 5; look += 1) etags.add(await round());
  assert.equal(etags.size, 1);
  assert.equal(host.snapshot().capacity.generation, generation);
});

test("a part of the host stays the same object until it changes, and shows each probe and message at once", async (context) => {
  const { host, clock, until, condition } = await start(context);
  await until("a probe", () => condition("LibvirtUnresponsive")?.lastProbeMs === clock.now());
  const [before, again] = [host.snapshot(), host.snapshot()];
  for (const part of ["identity", "inventory", "capacity", "health"] as const)
    assert.equal(again[part], before[part], part);
  await host.setScheduling("cordoned", "");
  assert.equal(host.snapshot().health.schedulable, "false");
  clock.advance(60_000);
  await until("the next probe", () => condition("LibvirtUnresponsive")?.lastProbeMs === clock.now());
  host.ledger.setFootprints([], true);
  assert.notEqual(host.snapshot().health, before.health);
  assert.equal(host.snapshot().capacity.complete, true);
  assert.equal(host.snapshot().capacity.generation, before.capacity.generation + 1);
});
