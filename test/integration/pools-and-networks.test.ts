// Pools, volumes, networks, leases and NIC limits as the API shows them, against what virsh shows.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { Vm__Output } from "../../agent/gen/socle/v1/Vm.ts";
import { toSocleError } from "../../agent/kernel/errors.ts";
import { linuxCommandLine } from "../support/guest.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { bootSector, linux, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const networkXml = (name: string, subnet: number): string =>
  `<network><name>${name}</name><bridge name='socle-${name}'/><ip address='192.0.${subnet}.1' netmask='255.255.255.0'>
   <dhcp><range start='192.0.${subnet}.10' end='192.0.${subnet}.20'/></dhcp></ip></network>`;

suite("pools and networks over a real libvirtd", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let host: SocleHost;

  before(async () => {
    host = await SocleHost.start();
  });
  after(() => host.stop());

  const networks = async () => {
    const { contract } = host.client;
    return await host.client.ask(contract.networks.ListNetworks, {});
  };
  const pools = () => host.client.ask(host.client.contract.storage.ListPools, {});
  const volumes = (pool = "") => host.client.ask(host.client.contract.storage.ListVolumes, { pool });
  const network = async (name: string) => (await networks()).networks.find((found) => found.name === name);
  const vmOf = (vm: string): Promise<Vm__Output> => host.client.ask(host.client.contract.vms.GetVm, { vm });
  const define = async (name: string, subnet: number): Promise<void> => {
    const path = join(host.libvirtd.directory, `${name}.xml`);
    await writeFile(path, networkXml(name, subnet));
    await host.virsh("net-define", path);
  };

  test("a network that virsh defines, starts, destroys and removes is seen so", async () => {
    await define("front", 2);
    const defined = await eventually(() => network("front"), { what: "the network to be listed" });
    assert.deepEqual([defined.state, defined.persistent], ["NETWORK_STATE_INACTIVE", true]);
    await host.virsh("net-start", "front");
    await host.virsh("net-autostart", "front");
    const started = await eventually(
      async () => {
        const found = await network("front");
        return found?.state === "NETWORK_STATE_ACTIVE" ? found : undefined;
      },
      { what: "the network to be active" },
    );
    const info = await host.virsh("net-info", "front");
    assert.ok(
      info.includes(started.networkId) && /Active:\s+yes/.test(info) && /Persistent:\s+yes/.test(info),
    );
    const { bridge, dhcp, addresses, forwardMode, observation, problem } = started;
    assert.deepEqual(
      [bridge, dhcp, addresses, forwardMode, observation?.presence, problem],
      ["socle-front", true, ["192.0.2.1/24"], "", "PRESENCE_PRESENT", ""],
    );
    await host.virsh("net-destroy", "front");
    await eventually(async () => (await network("front"))?.state === "NETWORK_STATE_INACTIVE", {
      what: "the network to be inactive",
    });
    await host.virsh("net-undefine", "front");
    await eventually(async () => (await network("front")) === undefined, { what: "the network to be gone" });
  });

  test("a pool's volumes have virsh's sizes, their formats, users and roles", async () => {
    await host.virsh("vol-create-as", "images", "base.qcow2", "3M", "--format", "qcow2");
    await host.virsh("vol-create-as", "images", "free.raw", "1M", "--format", "raw", "--allocation", "512K");
    const spec = bootSector("user", {
      disks: [
        { name: "boot", volume: { pool: "images", volume: "bootsector.img" }, readOnly: true },
        { name: "root", newVolume: { pool: "images", baseVolume: "base.qcow2" } },
      ],
    });
    const { vmId, error } = await host.create(spec, { leaveStopped: true });
    assert.equal(error, null);
    const own = `socle-${vmId}-root.qcow2`;
    await host.virsh("pool-refresh", "images");
    const listed = await eventually(
      async () => {
        const found = await volumes("images");
        return found.volumes.some(({ name }) => name === own) ? found : undefined;
      },
      { what: "the VM's volume to be listed" },
    );
    assert.deepEqual(
      [listed.observation?.presence, listed.incompletePools, listed.totalSize],
      ["PRESENCE_PRESENT", [], (await host.volumes()).length],
    );
    const names = listed.volumes.map(({ name }) => name);
    assert.deepEqual(names, await host.volumes());
    const shown = (name: string) => {
      const found = listed.volumes.find((volume) => volume.name === name);
      return [found?.format, found?.role, found?.users, found?.vmId];
    };
    assert.deepEqual(shown(own), ["DISK_FORMAT_QCOW2", "VOLUME_ROLE_DISK", [vmId], vmId]);
    assert.deepEqual(shown("base.qcow2"), ["DISK_FORMAT_QCOW2", "VOLUME_ROLE_BASE", [vmId], ""]);
    assert.deepEqual(shown("bootsector.img"), ["DISK_FORMAT_RAW", "VOLUME_ROLE_DISK", [vmId], ""]);
    assert.deepEqual(shown("free.raw"), ["DISK_FORMAT_RAW", "VOLUME_ROLE_FREE", [], ""]);
    for (const name of [own, "base.qcow2", "free.raw"]) {
      const info = await host.virsh("vol-info", name, "--pool", "images", "--bytes");
      const bytes = (field: string): number => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(info)?.[1]);
      const volume = listed.volumes.find((found) => found.name === name);
      assert.deepEqual(
        [volume?.capacityBytes, volume?.allocatedBytes],
        [bytes("Capacity"), bytes("Allocation")],
      );
    }
    const pool = (await pools()).pools.find(({ name }) => name === "images");
    const capacity = Number(
      /Capacity:\s+(\d+)/.exec(await host.virsh("pool-info", "images", "--bytes"))?.[1],
    );
    assert.deepEqual(
      [pool?.state, pool?.type, pool?.capacityBytes, pool?.volumes, pool?.problem],
      ["POOL_STATE_ACTIVE", "dir", capacity, names.length, ""],
    );
    // The ledger's answer to a creation that asks for too much names the same number of bytes.
    const promised = listed.volumes.reduce((sum, { capacityBytes = 0 }) => sum + capacityBytes, 0);
    assert.equal(pool?.availableBytes, capacity * (pool?.thinRatio ?? 0) - promised);
    await host.remove(vmId);
    const gone = (await volumes("images")).volumes.map(({ name }) => name);
    assert.ok(!gone.includes(own), "a deleted volume is gone before the next reading");
    for (const name of ["base.qcow2", "free.raw"]) await host.virsh("vol-delete", name, "images");
  });

  test("a pool that is not active is shown so, and makes the list of volumes incomplete", async () => {
    await host.virsh("pool-define-as", "idle", "dir", "--target", join(host.libvirtd.directory, "idle"));
    await eventually(
      async () => (await pools()).pools.find(({ name }) => name === "idle")?.state === "POOL_STATE_INACTIVE",
      { what: "the pool to be listed" },
    );
    const { observation, incompletePools } = await volumes();
    assert.deepEqual([observation?.presence, incompletePools], ["PRESENCE_UNKNOWN", ["idle"]]);
    assert.equal((await volumes("images")).observation?.presence, "PRESENCE_PRESENT");
    await host.virsh("pool-undefine", "idle");
    const refusal = (): Promise<string> =>
      volumes("idle").then(
        () => "listed",
        (thrown: unknown) => toSocleError(thrown).reason,
      );
    await eventually(async () => (await refusal()) === "POOL_NOT_FOUND", { what: "the pool to be gone" });
  });

  test("a guest's lease is that which virsh shows, is sent to watchers, and leaves the etag alone", async () => {
    await define("leased", 3);
    await host.virsh("net-start", "leased");
    await eventually(async () => (await network("leased"))?.state === "NETWORK_STATE_ACTIVE", {
      what: "the network to be active",
    });
    const spec = linux("leased", { nics: [{ name: "front", network: "leased" }] });
    const kernelBoot = { ...spec.kernelBoot, commandLine: `${linuxCommandLine} dhcp` };
    const { vmId, error } = await host.create({ ...spec, kernelBoot });
    assert.equal(error, null);
    const before = await eventually(
      async () => {
        const vm = await vmOf(vmId);
        return vm.state === "VM_STATE_RUNNING" && vm.nics[0]?.device !== "" ? vm : undefined;
      },
      { what: "the VM's device" },
    );
    const watched: Vm__Output[] = [];
    const { contract } = host.client;
    const watching = (async (): Promise<void> => {
      for await (const { kind, vm } of host.client.watch(contract.vms.WatchVms, {}, { timeoutMs: 180_000 })) {
        if (kind === "KIND_CHANGED" && vm !== null) watched.push(vm);
        if (vm?.nics[0]?.addresses[0] !== undefined) return;
      }
    })();
    const leased = await eventually(
      async () => {
        const vm = await vmOf(vmId);
        return vm.nics[0]?.addresses[0] === undefined ? undefined : vm;
      },
      { what: "the lease", timeoutMs: 180_000 },
    );
    await watching;
    const [nic] = leased.nics;
    const lines = await host.virsh("net-dhcp-leases", "leased");
    const address = `${nic?.addresses[0]?.address}/${nic?.addresses[0]?.prefixLength}`;
    assert.match(lines, new RegExp(`${nic?.mac}\\s+ipv4\\s+${address.replaceAll(".", "\\.")}`));
    assert.deepEqual([nic?.name, nic?.addresses[0]?.source], ["front", "NIC_ADDRESS_SOURCE_LEASE"]);
    assert.deepEqual(watched.at(-1)?.nics, leased.nics, "a watcher is sent the address");
    assert.equal(leased.etag, before.etag);
    await host.remove(vmId);
    await host.virsh("net-destroy", "leased");
    await host.virsh("net-undefine", "leased");
  });

  test("a NIC's limits are those that virsh shows", async (t) => {
    const limits = {
      inboundBytesPerSecond: 100 * 2 ** 20 + 1,
      outboundBytesPerSecond: 50 * 2 ** 20,
      inboundBurstBytes: 10 * 2 ** 20,
    };
    await define("limited", 4);
    const spec = bootSector("limited", { nics: [{ name: "front", network: "limited", limits }] });
    const { vmId, error } = await host.create(spec, { leaveStopped: true });
    assert.equal(error, null);
    const vm = await vmOf(vmId);
    const stored = vm.spec?.nics[0]?.limits;
    const isMember = ([name]: [string, unknown]): boolean => !name.startsWith("_");
    assert.deepEqual(Object.fromEntries(Object.entries(stored ?? {}).filter(isMember)), limits);
    const limitsOf = async (...more: string[]): Promise<number[]> => {
      const tuned = await host.virsh("domiftune", "limited", vm.nics[0]?.mac ?? "", ...more);
      return ["inbound.average", "outbound.average", "inbound.burst", "outbound.burst"].map((name) =>
        Number(new RegExp(`${name}\\s*:\\s*(\\d+)`).exec(tuned)?.[1]),
      );
    };
    const kib = [100 * 1024 + 1, 50 * 1024, 10 * 1024, 0];
    assert.deepEqual(await limitsOf("--config"), kib);
    await host.virsh("net-start", "limited");
    const started = await host.end(
      await host.client.ask(host.client.contract.vms.StartVm, { requestId: randomUUID(), vm: vmId }),
    );
    const problem = host.failureOf(started)?.message ?? "";
    // Kernels without these modules cannot limit a running guest; libvirt's message is the operation's.
    if (/tc qdisc|tc filter/.test(problem)) t.diagnostic(`not applied to a running guest: ${problem}`);
    else assert.deepEqual([problem, await limitsOf("--live")], ["", kib]);
    await host.remove(vmId);
    await host.virsh("net-destroy", "limited");
    await host.virsh("net-undefine", "limited");
    const isGone = async () => (await network("limited")) === undefined;
    await eventually(isGone, { what: "the network to be gone" });
  });

  test("without libvirt pools and networks are unknown and as last seen, and known again with it", async () => {
    const names = (await networks()).networks.map(({ name }) => name);
    await host.libvirtd.kill("SIGKILL");
    const away = await eventually(
      async () => {
        const [storage, nets] = [await pools(), await networks()];
        const states = [...storage.pools, ...nets.networks].map(({ state }) => state as string);
        const areUnknown = states.every((state) => state.endsWith("_UNKNOWN"));
        return areUnknown && nets.observation?.presence === "PRESENCE_UNKNOWN" ? nets : undefined;
      },
      { what: "pools and networks to be unknown", timeoutMs: 180_000 },
    );
    assert.deepEqual(
      away.networks.map(({ name }) => name),
      names,
    );
    await host.libvirtd.startAgain();
    await eventually(
      async () =>
        (await networks()).observation?.presence === "PRESENCE_PRESENT" &&
        (await volumes("images")).observation?.presence === "PRESENCE_PRESENT",
      { what: "pools and networks to be known again", timeoutMs: 180_000 },
    );
  });
});
