import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ConnectListAllNetworksFlags,
  ConnectListAllStoragePoolsFlags,
  DomainCreateFlags,
  DomainDeviceModifyFlags,
  Domains,
  LibvirtError,
  LibvirtVolume,
  Networks,
  Pools,
  type CallSettings,
  type LibvirtEvent,
  type LibvirtStream,
  type Procedure,
} from "../../../../agent/libvirt/index.ts";
import { Topic } from "../../../../agent/libvirt/internal/topic.ts";
import { dom } from "../../../support/libvirt/client-stage.ts";

interface Called {
  readonly name: string;
  readonly args: unknown;
  readonly settings: CallSettings | undefined;
}

/** A client that records its calls and replies to all of them with `reply`. */
function recorder(reply: unknown = {}, stream?: Partial<LibvirtStream>) {
  const called: Called[] = [];
  const events = new Topic<LibvirtEvent>();
  const call = <A, R>({ name }: Procedure<A, R>, args: A, settings?: CallSettings): Promise<R> => {
    called.push({ name, args, settings });
    return Promise.resolve(reply as R);
  };
  const openStream = <A, R>({ name }: Procedure<A, R>, args: A, settings?: CallSettings) => {
    called.push({ name, args, settings });
    const opened: Partial<LibvirtStream> = { failed: new Promise(() => undefined), ...stream };
    return Promise.resolve(opened as LibvirtStream<R>);
  };
  return { called, events, caller: { call, openStream, events } };
}

test("a domain's functions are calls with its struct, libvirt's flags and the caller's settings", async () => {
  const { called, caller } = recorder();
  const domain = new Domains(caller).of(dom);
  const { signal } = new AbortController();
  await domain.start({ flags: DomainCreateFlags.START_PAUSED, signal, timeoutMs: 5 });
  await domain.destroy({ urgent: true });
  assert.deepEqual(called, [
    {
      name: "DOMAIN_CREATE_WITH_FLAGS",
      args: { dom, flags: DomainCreateFlags.START_PAUSED },
      settings: { signal, timeoutMs: 5 },
    },
    { name: "DOMAIN_DESTROY_FLAGS", args: { dom, flags: 0 }, settings: { urgent: true } },
  ]);
});

test("devices are attached, changed and detached by their XML", async () => {
  const { called, caller } = recorder();
  const domain = new Domains(caller).of(dom);
  const xml = "<disk/>";
  await domain.attachDevice(xml, { flags: DomainDeviceModifyFlags.LIVE });
  await domain.updateDevice(xml);
  await domain.detachDevice(xml, { timeoutMs: 5 });
  assert.deepEqual(called, [
    { name: "DOMAIN_ATTACH_DEVICE_FLAGS", args: { dom, xml, flags: 1 }, settings: {} },
    { name: "DOMAIN_UPDATE_DEVICE_FLAGS", args: { dom, xml, flags: 0 }, settings: {} },
    { name: "DOMAIN_DETACH_DEVICE_FLAGS", args: { dom, xml, flags: 0 }, settings: { timeoutMs: 5 } },
  ]);
});

test("a list filters by whether the domains run", async () => {
  const { called, caller } = recorder({ domains: [dom] });
  const domains = new Domains(caller);
  const [first] = await domains.list();
  await domains.list({ active: true });
  await domains.list({ active: false, flags: 1024 });
  assert.equal(first?.name, dom.name);
  assert.deepEqual(
    called.map(({ args }) => (args as { readonly flags: number }).flags),
    [0, 1, 1026],
  );
});

test("networks and pools are listed, found and defined by their own procedures", async () => {
  const ref = { name: "default", uuid: dom.uuid };
  const { called, caller } = recorder({ nets: [ref], net: ref, pools: [ref], pool: ref });
  const settings = { timeoutMs: 5 };
  for (const [collection, states] of [
    [new Networks(caller), ConnectListAllNetworksFlags],
    [new Pools(caller), ConnectListAllStoragePoolsFlags],
  ] as const) {
    const [listed] = await collection.list({ active: false, flags: 1024, ...settings });
    assert.deepEqual(called[0]?.args, { needResults: true, flags: states.INACTIVE | 1024 });
    const named = await collection.lookupByName("default", settings);
    const found = await collection.lookupByUuid(ref.uuid, settings);
    const defined = await collection.define("<xml/>", settings);
    for (const each of [listed, named, found, defined]) {
      assert.deepEqual(each?.ref, ref);
      assert.deepEqual([each.name, each.uuid], [ref.name, ref.uuid]);
    }
    assert.deepEqual(
      called.map((call) => call.settings?.timeoutMs),
      [5, 5, 5, 5],
    );
    const kind = collection instanceof Networks ? "NETWORK" : "STORAGE_POOL";
    assert.deepEqual(
      called.splice(0).map(({ name }) => name),
      [`CONNECT_LIST_ALL_${kind}S`, `${kind}_LOOKUP_BY_NAME`, `${kind}_LOOKUP_BY_UUID`, `${kind}_DEFINE_XML`],
    );
  }
});

test("sizes of a domain are bytes, states and reasons have libvirt's names", async () => {
  const info = { state: 1, maxMem: 2048, memory: 1024, nrVirtCpu: 2, cpuTime: 7 };
  const { state, ...sizes } = await new Domains(recorder(info).caller).of(dom).info();
  assert.equal(state, "running");
  assert.deepEqual(sizes, { maxMemoryBytes: 2 ** 21, memoryBytes: 2 ** 20, vcpus: 2, cpuTimeNs: 7 });
  const stateOf = (reply: unknown) => new Domains(recorder(reply).caller).of(dom).state();
  assert.deepEqual(await stateOf({ state: 5, reason: 2 }), { state: "shutoff", reason: "destroyed" });
  assert.deepEqual(await stateOf({ state: 99, reason: 2 }), { state: "unknown", reason: "unknown" });
});

test("a domain's events are its own, and a notice of missed events", async () => {
  const { events, caller } = recorder();
  const stop = new AbortController();
  const seen = new Domains(caller).of(dom).events({ signal: stop.signal });
  const other = { ...dom, uuid: "ffffffff-4455-6677-8899-aabbccddeeff" };
  events.publish({ kind: "reboot", domain: other });
  events.publish({ kind: "reboot", domain: dom });
  events.publish({ kind: "resync", family: "storage", reason: "reconnected" });
  events.publish({ kind: "resync", family: "hypervisor", reason: "reconnected" });
  stop.abort();
  const kinds: string[] = [];
  for await (const event of seen) kinds.push(event.kind);
  assert.deepEqual(kinds, ["reboot", "resync"]);
});

test("a slow reader gets a resync in place of the events that it missed", async () => {
  const { events, caller } = recorder();
  const stop = new AbortController();
  const seen = new Domains(caller).events({ signal: stop.signal });
  for (let sent = 0; sent <= 1024; sent += 1) events.publish({ kind: "reboot", domain: dom });
  stop.abort();
  const got: string[] = [];
  for await (const event of seen) got.push(event.kind === "resync" ? event.reason : event.kind);
  assert.deepEqual(got, ["overflow", "reboot"]);
});

test("a listener is called for its kind of event until it is closed", async () => {
  const { events, caller } = recorder();
  const heard: string[] = [];
  const domains = new Domains(caller);
  const subscription = domains.on("io_error", ({ path }) => void heard.push(path));
  const ioError = (path: string): LibvirtEvent => {
    return { kind: "io_error", domain: dom, path, device: "vda", action: "pause", reason: "" };
  };
  events.publish(ioError("/a"));
  events.publish({ kind: "reboot", domain: dom });
  await new Promise(setImmediate);
  subscription.close();
  events.publish(ioError("/b"));
  await new Promise(setImmediate);
  assert.deepEqual(heard, ["/a"]);
});

test("an upload is finished after its source, and aborted when the source fails", async () => {
  const steps: string[] = [];
  const step = (name: string) => (data?: Uint8Array | Error) => {
    steps.push(data instanceof Uint8Array ? `${name} ${data.length}` : name);
    return Promise.resolve();
  };
  const stream = { write: step("write"), finish: step("finish"), abort: step("abort") };
  const { caller } = recorder({}, stream);
  const volume = new LibvirtVolume(caller, { pool: "default", name: "disk", key: "/disk" });
  await volume.upload([Buffer.alloc(3), Buffer.alloc(2)]);
  assert.deepEqual(steps.splice(0), ["write 3", "write 2", "finish"]);
  async function* broken(): AsyncGenerator<Buffer> {
    yield await Promise.resolve(Buffer.alloc(1));
    throw new Error("the file is gone");
  }
  await assert.rejects(volume.upload(broken()), /the file is gone/);
  assert.deepEqual(steps, ["write 1", "abort"]);
});

test("an upload whose stream fails ends although its source is silent", async () => {
  const why = new LibvirtError("exhausted", "LIBVIRT_NO_SPACE", "the pool is full");
  const aborted: boolean[] = [];
  const failed = Promise.resolve(why);
  const abort = (): Promise<void> => Promise.resolve(void aborted.push(true));
  const { caller } = recorder({}, { failed, abort });
  const volume = new LibvirtVolume(caller, { pool: "default", name: "disk", key: "/disk" });
  const silent = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) };
  await assert.rejects(volume.upload(silent), why);
  assert.deepEqual(aborted, [true]);
});

test("a client that closes ends the loops over its events", async () => {
  const { events, caller } = recorder();
  const seen: string[] = [];
  const loop = (async () => {
    for await (const { kind } of new Domains(caller).events()) seen.push(kind);
  })();
  events.publish({ kind: "reboot", domain: dom });
  events.end();
  await loop;
  for await (const { kind } of new Domains(caller).events()) seen.push(kind);
  assert.deepEqual(seen, ["reboot"]);
});
