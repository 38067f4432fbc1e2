import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  buildBackup,
  buildCheckpoint,
  buildNetwork,
  buildPool,
  buildSecret,
  buildSnapshot,
  buildVolume,
  noDevices,
  parseBackup,
  parseCapabilities,
  parseCheckpoint,
  parseDomainCapabilities,
  parseNetwork,
  parseNodeDevice,
  parsePool,
  parseSecret,
  parseSnapshot,
  parseVolume,
} from "../../agent/libvirt/xml/index.ts";
import { guestFilesIn, guestXml } from "../support/guest.ts";
import { Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";
import { domain, mebibyte, socle } from "./xml-sample.ts";
import {
  buildVmDomain,
  buildVmMetadata,
  parseVmDomain,
  parseVmMetadata,
  vmMetadata,
  type VmDomain,
} from "../../agent/vm/model/vm-domain.ts";

/** `actual` contains all of `expected`; libvirt may add members, and its own devices after the given ones. */
function assertHolds(actual: unknown, expected: unknown, path: string): void {
  if (typeof expected !== "object" || expected === null) {
    assert.deepEqual(actual, expected, path);
    return;
  }
  assert.ok(typeof actual === "object" && actual !== null, path);
  for (const [key, member] of Object.entries(expected)) {
    assertHolds((actual as Record<string, unknown>)[key], member, `${path}.${key}`);
  }
}

describe("the XML of a real libvirtd", { skip: libvirtdUnavailable(), timeout: 120_000 }, () => {
  let libvirtd: Libvirtd;
  const client = (...args: string[]) => virsh(libvirtd.uri, args);
  const file = async (name: string, text: string): Promise<string> => {
    const path = join(libvirtd.directory, name);
    await writeFile(path, text);
    return path;
  };

  before(async () => {
    libvirtd = await Libvirtd.start();
  });
  after(() => libvirtd.stop());

  async function defined(document: VmDomain): Promise<VmDomain> {
    await client("define", "--validate", await file("domain.xml", buildVmDomain(document)));
    try {
      return parseVmDomain(await client("dumpxml", "--inactive", document.name));
    } finally {
      await client("undefine", document.name);
    }
  }

  it("keeps every member of a domain that Socle sets", async () => {
    const { controllers, ...devices } = domain.devices;
    const seen = await defined(domain);
    assertHolds(seen, { ...domain, devices }, "domain");
    assert.deepEqual(
      seen.devices.controllers.filter(({ type }) => type === "scsi"),
      controllers,
    );
    assert.equal(seen.hasCommandLine, undefined);
    assert.deepEqual(Object.keys(seen.metadata ?? {}), ["socle"]);
  });

  it("keeps a domain on huge pages, with bound memory and throttled disks", async () => {
    const other: VmDomain = {
      ...domain,
      memoryBacking: {
        hugePages: [{ pageSizeBytes: 2 * mebibyte, guestCells: [0, 1] }],
        allocation: "immediate",
        locked: true,
      },
      maxMemory: { bytes: 1024 * mebibyte, slots: 4 },
      // The cells and the memory devices.
      memoryBytes: (256 + 128 + 64) * mebibyte,
      numaTune: { memNodes: [{ guestCell: 1, mode: "preferred", nodeSet: [0] }] },
      cpu: { ...domain.cpu, mode: "custom", vendor: "AMD" },
      features: { acpi: true, apic: true, pae: true, kvmHidden: true, ioapic: "qemu" },
      clock: { offset: "localtime", timers: [{ name: "tsc", mode: "native", frequencyHz: 2_445_405_000 }] },
      os: { type: "hvm", arch: "x86_64", machine: "pc-q35-10.0", bootDevices: ["hd", "network"] },
      devices: {
        ...noDevices,
        disks: [
          {
            device: "disk",
            source: { type: "file", path: "/x.raw" },
            format: "raw",
            target: { device: "vda", bus: "virtio" },
            ioTune: { totalBytesPerSecond: 1_000_000, totalOpsPerSecond: 300 },
          },
        ],
        memoryBalloon: { model: "none" },
        rngs: [{ model: "virtio", backend: "builtin" }],
        memoryDevices: [
          { model: "dimm", sizeBytes: 128 * mebibyte, guestCell: 0, alias: "ua-dimm" },
          {
            model: "virtio-mem",
            sizeBytes: 64 * mebibyte,
            guestCell: 1,
            blockBytes: 2 * mebibyte,
            requestedBytes: 32 * mebibyte,
          },
        ],
        graphics: [
          { type: "vnc", socket: "/run/libvirt/qemu/socle.sock" },
          { type: "vnc", autoPort: true, listen: "127.0.0.1" },
        ],
        vsock: { model: "virtio", autoCid: true },
      },
    };
    assertHolds(await defined(other), other, "domain");
  });

  it("keeps a domain that boots signed firmware from named files", async () => {
    const os: VmDomain["os"] = {
      type: "hvm",
      arch: "x86_64",
      machine: "pc-q35-10.0",
      loader: { path: "/srv/OVMF_CODE.fd", readOnly: true, type: "pflash", secure: true },
      nvram: { path: "/srv/x_VARS.fd", template: "/srv/OVMF_VARS.fd" },
    };
    assertHolds((await defined({ ...domain, os })).os, os, "os");
  });

  it("keeps Socle's metadata separate from other metadata", async () => {
    await client("define", await file("domain.xml", buildVmDomain({ ...domain, metadata: {} })));
    try {
      const set = (uri: string, key: string, xml: string) =>
        client("metadata", domain.name, "--config", "--uri", uri, "--key", key, "--set", xml);
      await set(vmMetadata.uri, vmMetadata.key, buildVmMetadata(socle));
      const alone = await client("metadata", domain.name, "--config", "--uri", vmMetadata.uri);
      assert.deepEqual(parseVmMetadata(alone), socle);
      assert.deepEqual(parseVmDomain(await client("dumpxml", domain.name)).metadata, { socle });
      await set("urn:someone:else", "other", "<thing/>");
      assert.deepEqual(parseVmDomain(await client("dumpxml", domain.name)).metadata, {
        socle,
        foreign: true,
      });
    } finally {
      await client("undefine", domain.name);
    }
  });

  it("keeps a pool and creates volumes in it", async () => {
    const directory = libvirtd.imagesDirectory;
    const pool = {
      type: "dir",
      name: "socle-xml pool & co",
      uuid: "1a084600-3ff1-4bc0-807c-dcd1cc377a45",
      path: directory,
    };
    await client("pool-define", "--validate", await file("pool.xml", buildPool(pool)));
    try {
      await client("pool-start", pool.name);
      const seen = parsePool(await client("pool-dumpxml", pool.name));
      assertHolds(seen, pool, "pool");
      assert.ok((seen.availableBytes ?? 0) > 0 && (seen.capacityBytes ?? 0) > (seen.availableBytes ?? 0));
      const make = async (volume: Parameters<typeof buildVolume>[0]) => {
        await client("vol-create", pool.name, "--validate", await file("volume.xml", buildVolume(volume)));
        return parseVolume(await client("vol-dumpxml", "--pool", pool.name, volume.name));
      };
      const base = {
        name: "socle-xml base <1>.raw",
        capacityBytes: 8 * mebibyte,
        allocationBytes: 0,
        format: "raw",
      };
      const madeBase = await make(base);
      assertHolds(madeBase, { ...base, path: join(directory, base.name), type: "file" }, "volume");
      const overlay = {
        name: "socle-xml-overlay.qcow2",
        capacityBytes: 16 * mebibyte,
        format: "qcow2",
        permissions: { mode: 0o600, ownerId: 0, groupId: 0 },
        backing: { path: join(directory, base.name), format: "raw" },
      };
      assertHolds(await make(overlay), overlay, "volume");
    } finally {
      await client("pool-destroy", pool.name).catch(() => undefined);
      await client("pool-undefine", pool.name);
    }
  });

  it("encrypts a volume with a secret that Socle only refers to", async () => {
    const secret = {
      uuid: "6dd3e4a5-1d76-44ce-961f-f119f5aad935",
      ephemeral: false,
      private: true,
      description: "of <a volume>",
      usage: { type: "volume", id: "/srv/socle-xml & co.img" },
    } as const;
    await client("secret-define", "--validate", await file("secret.xml", buildSecret(secret)));
    const pool = { type: "dir", name: "socle-xml-luks", path: libvirtd.imagesDirectory };
    await client("pool-define", await file("pool.xml", buildPool(pool)));
    try {
      await client("pool-start", pool.name);
      assert.deepEqual(parseSecret(await client("secret-dumpxml", secret.uuid)), secret);
      await client("secret-set-value", secret.uuid, "--plain", "--file", await file("passphrase", "letmein"));
      const volume = {
        name: "socle-xml-luks.img",
        capacityBytes: 8 * mebibyte,
        format: "raw",
        encryptionSecretUuid: secret.uuid,
      };
      await client("vol-create", pool.name, "--validate", await file("volume.xml", buildVolume(volume)));
      const seen = parseVolume(await client("vol-dumpxml", "--pool", pool.name, volume.name));
      assertHolds(seen, volume, "volume");
    } finally {
      await client("pool-destroy", pool.name).catch(() => undefined);
      await client("pool-undefine", pool.name);
      await client("secret-undefine", secret.uuid);
    }
  });

  it("keeps networks: isolated, nat, and on a bridge of the host", async () => {
    const networks = [
      {
        name: "socle-xml isolated <1>",
        uuid: "81ff0d90-c91e-4742-a4da-4a736edb9a9b",
        bridge: { name: "soclexml0", stp: true, delaySeconds: 0 },
        mac: "52:54:00:a1:b2:c3",
        mtuBytes: 9000,
        domainName: "blue.example",
        addresses: [
          {
            address: "10.91.0.1",
            family: "ipv4",
            prefixLength: 20,
            dhcp: {
              ranges: [{ start: "10.91.0.100", end: "10.91.0.254" }],
              hosts: [{ mac: "52:54:00:00:00:05", name: "web", ip: "10.91.0.7" }],
            },
          },
          { address: "fd00:91::1", family: "ipv6", prefixLength: 64 },
        ],
      },
      {
        name: "socle-xml-nat",
        forwardMode: "nat",
        forwardDevice: "lo",
        bridge: { name: "soclexml1" },
        addresses: [{ address: "10.92.0.1", family: "ipv4", prefixLength: 24 }],
      },
      { name: "socle-xml-lan", forwardMode: "bridge", bridge: { name: "br-int" }, addresses: [] },
    ] as const;
    for (const network of networks) {
      await client("net-define", "--validate", await file("network.xml", buildNetwork(network)));
      try {
        assertHolds(parseNetwork(await client("net-dumpxml", network.name)), network, network.name);
      } finally {
        await client("net-undefine", network.name);
      }
    }
  });

  it("takes snapshots, checkpoints and backups of a guest", async () => {
    const at = (name: string): string => join(libvirtd.imagesDirectory, name);
    const image = at("points.qcow2");
    await libvirtd.run("qemu-img", ["create", "-q", "-f", "qcow2", image, "16M"]);
    const disk = `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${image}'/><target dev='vdb' bus='virtio'/></disk>`;
    const { bootSector } = await guestFilesIn(libvirtd.imagesDirectory);
    const xml = guestXml({ name: "points", boot: { bootSector }, devices: disk });
    await client("define", await file("points.xml", xml));
    await client("start", "points", "--paused");
    try {
      const checkpoint = {
        name: "k1",
        description: "first",
        disks: [{ name: "vdb", checkpoint: "bitmap" }],
      } as const;
      await client("checkpoint-create", "points", await file("checkpoint.xml", buildCheckpoint(checkpoint)));
      const seen = parseCheckpoint(await client("checkpoint-dumpxml", "points", "k1"));
      assertHolds(
        seen.disks?.find(({ name }) => name === "vdb"),
        { checkpoint: "bitmap" },
        "checkpoint",
      );
      const backup = {
        mode: "pull",
        incremental: "k1",
        // QEMU binds it, as its own user.
        server: { socket: "/var/lib/libvirt/qemu/points.sock" },
        disks: [{ name: "vdb", backup: true, target: { type: "file", path: at("scratch.qcow2") } }],
      } as const;
      await client("backup-begin", "points", await file("backup.xml", buildBackup(backup)));
      const running = parseBackup(await client("backup-dumpxml", "points"));
      assert.deepEqual([running.mode, running.incremental, running.server], ["pull", "k1", backup.server]);
      await client("domjobabort", "points");
      await client("checkpoint-delete", "points", "k1");
      const overlay = { type: "file", path: at("points.over.qcow2"), format: "qcow2" } as const;
      const snapshot = {
        name: "s1",
        memory: { snapshot: "no" },
        disks: [
          { name: "vda", snapshot: "no" },
          { name: "vdb", snapshot: "external", overlay },
        ],
      } as const;
      const made = await file("snapshot.xml", buildSnapshot(snapshot));
      await client("snapshot-create", "points", made, "--validate", "--disk-only");
      assertHolds(parseSnapshot(await client("snapshot-dumpxml", "points", "s1")), snapshot, "snapshot");
    } finally {
      await client("destroy", "points");
      await client("undefine", "points", "--snapshots-metadata", "--checkpoints-metadata");
    }
  });

  it("describes this host", async () => {
    const host = parseCapabilities(await client("capabilities"));
    assert.equal(host.hostUuid, libvirtd.hostUuid);
    assert.ok(host.cells.some(({ cpus, memoryBytes }) => cpus.length > 0 && memoryBytes > 0));
    assert.ok(host.guests.some(({ arch, domainTypes }) => arch === "x86_64" && domainTypes.includes("qemu")));
    const offer = parseDomainCapabilities(
      await client("domcapabilities", "--virttype", "qemu", "--machine", "q35"),
    );
    assert.deepEqual([offer.domainType, offer.arch, offer.cpu.maximum], ["qemu", "x86_64", true]);
    const names = (await client("nodedev-list")).split(/\s+/).filter((name) => name !== "");
    assert.ok(names.length > 0);
    for (const name of names) {
      assert.equal(parseNodeDevice(await client("nodedev-dumpxml", name)).name, name);
    }
  });
});
