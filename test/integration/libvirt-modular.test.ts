import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { isDeepStrictEqual } from "node:util";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import * as p from "../../agent/libvirt/index.ts";
import { Libvirt, type LibvirtEvent, LibvirtError } from "../../agent/libvirt/index.ts";
import { locate, parseUri } from "../../agent/libvirt/client/locate.ts";
import type { Family } from "../../agent/libvirt/rpc/procedure.ts";
import { AgentProcess } from "../support/agent-process.ts";
import { guestFilesIn, guestXml, linuxCommandLine, type GuestFiles } from "../support/guest.ts";
import { Libvirtd, modularUnavailable } from "../support/libvirtd.ts";
import { clientOf } from "../support/socle-host.ts";
import { virsh } from "../support/virsh.ts";
import { eventually } from "../support/wait.ts";

const MIB = 2 ** 20;

/** Each driver and its own daemon; virtinterfaced does not run here. */
const daemons = {
  hypervisor: "virtqemud",
  network: "virtnetworkd",
  storage: "virtstoraged",
  nodedev: "virtnodedevd",
  secret: "virtsecretd",
  nwfilter: "virtnwfilterd",
} as const;
type Driver = keyof typeof daemons;
const drivers = Object.keys(daemons) as Driver[];
const uriOf = (driver: Driver): string => `${driver === "hypervisor" ? "qemu" : driver}:///system`;

const all = { needResults: true, flags: 0 };
// The observation's reads fail at once without a daemon; command reads are retried for ten seconds.
const atOnce = { lane: "observation" } as const;
const listNetworks = async (libvirt: Libvirt): Promise<string[]> =>
  (await libvirt.call(p.connectListAllNetworks, { ...all }, atOnce)).nets.map(({ name }) => name);
const listPools = async (libvirt: Libvirt): Promise<string[]> =>
  (await libvirt.call(p.connectListAllStoragePools, { ...all }, atOnce)).pools.map(({ name }) => name);
const listDomains = async (libvirt: Libvirt): Promise<string[]> =>
  (await libvirt.call(p.connectListAllDomains, { ...all }, atOnce)).domains.map(({ name }) => name);

const resyncs = (received: readonly LibvirtEvent[]): string[] =>
  received.flatMap((event) => (event.kind === "resync" ? [`${event.family} ${event.reason}`] : []));

/** Each daemon has only its own driver, so a call to a wrong one fails. */
describe("libvirt's modular daemons", { skip: modularUnavailable(), timeout: 240_000 }, () => {
  let host: Libvirtd;
  let files: GuestFiles;
  before(async () => {
    host = await Libvirtd.start({ modular: true });
    files = await guestFilesIn(host.imagesDirectory);
    await virshOn("storage", "pool-create-as", "images", "dir", "--target", host.imagesDirectory);
  });
  after(() => host.stop());

  /** virsh at one daemon's socket. */
  const virshOn = (driver: Driver, ...args: string[]): Promise<string> =>
    virsh(`${uriOf(driver)}?socket=${host.runDirectory}/${daemons[driver]}-sock`, args);

  async function connect(t: TestContext): Promise<{ libvirt: Libvirt; received: LibvirtEvent[] }> {
    const backoff = { baseMs: 20, capMs: 200 };
    const { runDirectory } = host;
    const libvirt = await Libvirt.connect({ uri: "qemu:///system", log: silentLog, runDirectory, backoff });
    const received: LibvirtEvent[] = [];
    const stop = new AbortController();
    const queue = libvirt.events.subscribe(stop.signal);
    const end = (async () => {
      for await (const item of queue) if (item.kind === "item") received.push(item.value);
    })();
    t.after(async () => {
      stop.abort();
      await end;
      await libvirt.close();
    });
    return { libvirt, received };
  }

  /** Waits until events of virtstoraged arrive: they have a separate connection, which opens by itself. */
  async function receivesPoolEvents(received: readonly LibvirtEvent[]): Promise<void> {
    const before = received.length;
    await eventually(
      async () => {
        await virshOn("storage", "pool-refresh", "images");
        return received.slice(before).some(({ kind }) => kind === "storage_pool");
      },
      { what: "a pool's event", intervalMs: 200 },
    );
  }

  for (const driver of drivers) {
    it(`${driver}: the socket is the one that libvirt's own client uses`, async () => {
      const locator = { environment: {}, runDirectory: host.runDirectory };
      const ours = await locate(parseUri("qemu:///system"), driver satisfies Family, locator);
      assert.deepEqual(ours, {
        socketPath: join(host.runDirectory, `${daemons[driver]}-sock`),
        uri: uriOf(driver),
        modular: true,
      });
      // "auto" is libvirt's default without a distribution's choice; Debian chose the monolithic daemon.
      const log = `modular-${driver}.log`;
      const settings = ["LIBVIRT_LOG_FILTERS=1:remote", `LIBVIRT_LOG_OUTPUTS=1:file:/run/${log}`];
      await host.run("env", [...settings, "virsh", "-c", `${uriOf(driver)}?mode=auto`, "uri"]);
      const words = await readFile(join(host.directory, "run", log), "utf8");
      const theirs = /Chosen UNIX sockname=(?:\/var)?(\S+)/.exec(words)?.[1];
      assert.equal(theirs, `/run/libvirt/${daemons[driver]}-sock`);
    });
  }

  it("each serve their own objects, as virsh does", async (t) => {
    const { libvirt } = await connect(t);
    const sorted = async (...args: Parameters<typeof virshOn>): Promise<string[]> =>
      (await virshOn(...args)).split(/\s+/).filter(Boolean).sort();
    assert.deepEqual(await listDomains(libvirt), []);
    assert.deepEqual(await listNetworks(libvirt), ["default"]);
    assert.deepEqual(await listPools(libvirt), ["images"]);
    // Devices may change with other work on the machine.
    await eventually(
      async () => {
        const { devices } = await libvirt.call(p.connectListAllNodeDevices, { ...all });
        const names = devices.map(({ name }) => name).sort();
        return (
          names.includes("computer") && isDeepStrictEqual(names, await sorted("nodedev", "nodedev-list"))
        );
      },
      { what: "the same node devices as virsh lists" },
    );
    const { filters } = await libvirt.call(p.connectListAllNwfilters, { ...all });
    const filterNames: string[] = (await virshOn("nwfilter", "nwfilter-list")).match(/\S+$/gm) ?? [];
    assert.ok(filterNames.includes("clean-traffic"));
    assert.deepEqual(filters.map(({ name }) => name).sort(), filterNames.sort());
    const { secrets } = await libvirt.call(p.connectListAllSecrets, { ...all });
    assert.deepEqual(secrets, []);
    await assert.rejects(libvirt.call(p.connectListAllInterfaces, { ...all }), {
      kind: "unavailable",
      reason: "LIBVIRT_SOCKET_MISSING",
      message: /virtinterfaced-sock/,
    });
    assert.equal(libvirt.status.connected, true, "one daemon that is not there is no lost libvirt");
  });

  it("each send their events", async (t) => {
    const { libvirt, received } = await connect(t);
    const about = (kind: string): string[] =>
      received.flatMap((event) => {
        if (event.kind === "lifecycle") return kind === "domain" ? [event.event] : [];
        if (event.kind !== kind || !("event" in event)) return [];
        return [event.event];
      });
    // The first call of a family waits for its connection; its events are registered then or soon after.
    await Promise.all([listNetworks(libvirt), listPools(libvirt)]);
    await eventually(
      async () => {
        await virshOn("storage", "pool-refresh", "images");
        await virshOn("network", "net-define", await network("told"));
        await virshOn("network", "net-undefine", "told");
        return about("storage_pool").includes("refreshed") && about("network").includes("undefined");
      },
      { what: "events of pools and networks", intervalMs: 200 },
    );
    const xml = join(host.directory, "told.xml");
    await writeFile(xml, guestXml({ name: "told", boot: { bootSector: files.bootSector } }));
    await virshOn("hypervisor", "define", xml);
    await virshOn("hypervisor", "start", "told");
    await virshOn("hypervisor", "destroy", "told");
    await virshOn("hypervisor", "undefine", "told");
    await eventually(() => about("domain").includes("undefined"), { what: "the domain's events" });
    for (const event of ["defined", "started", "stopped", "undefined"]) {
      assert.ok(about("domain").includes(event), `${event} among ${about("domain").join(", ")}`);
    }
  });

  it("that die make only their own objects unavailable, until they are back", async (t) => {
    const { libvirt, received } = await connect(t);
    await eventually(() => listPools(libvirt), { what: "the first list of pools" });
    await receivesPoolEvents(received);
    await host.kill("SIGKILL", "virtstoraged");
    t.after(() => host.startAgain());
    await assert.rejects(
      eventually(() => listPools(libvirt).then(() => false), { giveUpOn: LibvirtError }),
      (error: LibvirtError) => error.kind === "unavailable",
    );
    // It is retried; nothing else is affected.
    for (let i = 0; i < 20; i++) {
      await assert.rejects(listPools(libvirt), { kind: "unavailable" });
      assert.deepEqual(await listNetworks(libvirt), ["default"]);
      assert.deepEqual(await listDomains(libvirt), []);
    }
    assert.equal(libvirt.status.connected, true);
    assert.deepEqual(resyncs(received), ["storage disconnected"]);

    await host.startAgain();
    const again = "storage reconnected";
    await eventually(() => resyncs(received).includes(again), { what: "the event to list again" });
    const pools = await eventually(() => listPools(libvirt), { what: "pools to be listed again" });
    // A transient pool exists as long as its daemon's state, so it still exists.
    assert.deepEqual(pools, ["images"]);
    await receivesPoolEvents(received);
  });

  it("that hang delay only their own callers", async (t) => {
    const { libvirt } = await connect(t);
    assert.deepEqual(await listPools(libvirt), ["images"]);
    await host.kill("SIGSTOP", "virtstoraged");
    t.after(() => host.kill("SIGCONT", "virtstoraged"));
    const over = new AbortController();
    const pools = (timeoutMs: number): Promise<unknown> =>
      libvirt.call(p.connectListAllStoragePools, { ...all }, { ...atOnce, timeoutMs, signal: over.signal });
    await assert.rejects(pools(300), { kind: "timeout" });
    let isOver = false;
    const hanging = assert.rejects(pools(60_000)).finally(() => (isOver = true));
    assert.deepEqual(await listDomains(libvirt), []);
    assert.deepEqual(await listNetworks(libvirt), ["default"]);
    assert.equal(isOver, false, "the others are answered while it hangs");
    over.abort();
    await hanging;
  });

  it("that start late are announced, so that their objects are listed", async (t) => {
    await host.kill("SIGKILL", "virtnetworkd");
    const { libvirt, received } = await connect(t);
    await assert.rejects(listNetworks(libvirt), { kind: "unavailable" });
    await host.startAgain();
    const late = "network reconnected";
    await eventually(() => resyncs(received).includes(late), { what: "the event to list again" });
    await eventually(() => listNetworks(libvirt), { what: "networks to be listed" });
  });

  it("without virtqemud count as no connection, until it is back", async (t) => {
    const { libvirt } = await connect(t);
    await host.kill("SIGKILL");
    await eventually(() => !libvirt.status.connected, { what: "the loss to be noticed" });
    await assert.rejects(listDomains(libvirt), { kind: "unavailable" });
    assert.deepEqual(await listPools(libvirt), ["images"], "the others answer on");
    await host.startAgain();
    await eventually(() => libvirt.status.connected, { what: "virtqemud to be found again" });
    assert.deepEqual(await listDomains(libvirt), []);
  });

  it("serve the whole agent: a VM from creation to deletion", async (t) => {
    await virshOn("network", "net-start", "default");
    t.after(() => virshOn("network", "net-destroy", "default"));
    // Socle finds the sockets in /run/libvirt by itself, as on a host.
    const agent = await AgentProcess.start({
      mountsOf: await host.pid(),
      config: { vm: { accelerator: "tcg", sampleIntervalSeconds: 1 }, host: { reservedMemoryMiB: 256 } },
    });
    t.after(() => agent.stop());
    const client = await clientOf(agent);
    t.after(() => client.close());
    const { vms, operations } = client.contract;
    const succeeds = async (begun: Operation__Output): Promise<Operation__Output> => {
      const { operationId } = begun;
      const end = await eventually(
        async () => {
          const now = await client.ask(operations.WaitOperation, { operationId, timeout: { seconds: 5 } });
          return now.done && now;
        },
        { what: `${begun.kind} to end`, timeoutMs: 60_000 },
      );
      assert.equal(end.error, null, `${end.kind}: ${JSON.stringify(end.error)}\n${agent.output()}`);
      return end;
    };
    const spec: VmSpec = {
      name: "modular-1",
      vcpus: 1,
      memoryBytes: 128 * MIB,
      accelerator: "ACCELERATOR_TCG",
      kernelBoot: {
        kernel: { pool: "images", volume: "vmlinuz" },
        initrd: { pool: "images", volume: "initrd" },
        commandLine: linuxCommandLine,
      },
      disks: [{ name: "data", newVolume: { pool: "images", capacityBytes: 16 * MIB } }],
      nics: [{ name: "net0", network: "default" }],
    };
    const create = { requestId: randomUUID(), spec, leaveStopped: true };
    const { vmId: vm } = await succeeds(await client.ask(vms.CreateVm, create));
    assert.equal(await virshOn("hypervisor", "domstate", vm), "shut off");
    const volumes = await virshOn("storage", "vol-list", "images");
    assert.match(volumes, new RegExp(vm), "the disk is a volume of virtstoraged's");

    await succeeds(await client.ask(vms.StartVm, { requestId: randomUUID(), vm }));
    assert.equal(await virshOn("hypervisor", "domstate", vm), "running");
    assert.match(
      await virshOn("nwfilter", "nwfilter-binding-list"),
      /vnet\d+\s+\S+/,
      "the filter holds the NIC",
    );
    assert.match(
      await virshOn("network", "net-port-list", "default"),
      /[0-9a-f-]{36}/,
      "the NIC is on the network",
    );

    // A guest runs on without virtstoraged, and the agent reports the unknown parts.
    await host.kill("SIGKILL", "virtstoraged");
    const without = await client.ask(vms.GetVm, { vm });
    assert.equal(without.state, "VM_STATE_RUNNING");
    const request = { requestId: randomUUID(), spec: { ...spec, name: "modular-2" } };
    const refused = await eventually(
      async () => {
        const { operationId } = await client.ask(vms.CreateVm, request);
        const now = await client.ask(operations.WaitOperation, { operationId, timeout: { seconds: 5 } });
        return now.done && now;
      },
      { what: "a creation without virtstoraged to end" },
    );
    assert.ok(refused.error !== null, "no disk can be made");
    const incomplete = async (): Promise<string> =>
      (await client.ask(client.contract.host.GetHost, {})).inventory?.incompleteReasons.join() ?? "";
    await eventually(async () => /pool/i.test(await incomplete()), {
      what: "pools to be missing",
      timeoutMs: 90_000,
    });
    await host.startAgain();
    await eventually(async () => (await incomplete()) === "", {
      what: "pools to be known",
      timeoutMs: 60_000,
    });

    await succeeds(await client.ask(vms.DeleteVm, { requestId: randomUUID(), vm, force: true }));
    assert.equal(await virshOn("hypervisor", "list", "--all", "--name"), "");
    assert.doesNotMatch(await virshOn("storage", "vol-list", "images"), new RegExp(vm));
    assert.equal(await agent.terminate(), 0, agent.output());
  });

  async function network(name: string): Promise<string> {
    const file = join(host.directory, `${name}.xml`);
    await writeFile(file, `<network><name>${name}</name><bridge name='${name}'/></network>`);
    return file;
  }
});
