import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  buildNetwork,
  buildPool,
  buildSecret,
  buildVolume,
  parseNetwork,
  parsePool,
  parseSecret,
  parseVolume,
} from "../../../../agent/libvirt/xml/index.ts";
import { fixture, noXmllint, schemaComplaints } from "../../../support/libvirt/xml/oracles.ts";
import { fullNetwork, fullPool, fullSecret, fullVolume } from "../../../support/libvirt/xml/samples.ts";

describe("a storage pool", () => {
  it("is read with its sizes", () => {
    assert.deepEqual(parsePool(fixture("pool-dir")), {
      type: "dir",
      name: "socle-xml-pool",
      uuid: "1a084600-3ff1-4bc0-807c-dcd1cc377a45",
      capacityBytes: 270_553_174_016,
      allocationBytes: 11_710_218_240,
      availableBytes: 258_842_955_776,
      path: "/var/lib/libvirt/images/socle-xml",
      permissions: { mode: 0o755, ownerId: 0, groupId: 0 },
    });
    assert.deepEqual(parsePool(fixture("pool-logical")).source, {
      name: "vg-nvme",
      devices: ["/dev/nvme0n1", "/dev/nvme1n1"],
      format: "lvm2",
    });
    assert.deepEqual(parsePool(fixture("pool-iscsi")), {
      type: "iscsi",
      name: "san",
      uuid: "6f3a1f1d-92a6-4c93-8f0e-5c6f3a1f1d56",
      capacityBytes: 107_374_182_400,
      allocationBytes: 107_374_182_400,
      availableBytes: 0,
      source: { hosts: ["san1.example.org:3260"], devices: ["iqn.2013-06.org.example:iscsi-pool"] },
      path: "/dev/disk/by-path",
      permissions: { mode: 0o700 },
    });
  });

  it("may be larger than 2^53 bytes, and then has that size", () => {
    const pool = parsePool(fixture("pool-rbd"));
    assert.deepEqual(
      [pool.capacityBytes, pool.allocationBytes, pool.source?.hosts, pool.path],
      [Number.MAX_SAFE_INTEGER, 403_726_925_824, ["10.9.0.11:6789", "10.9.0.12"], undefined],
    );
  });

  it("is built and read back, by libvirt's schema", () => {
    assert.deepEqual(parsePool(buildPool(fullPool)), fullPool);
    const directory = { type: "dir", name: "images", path: "/srv/images" };
    assert.deepEqual(parsePool(buildPool(directory)), directory);
    assert.throws(() => buildPool(parsePool(fixture("pool-rbd"))), {
      kind: "unsupported",
      reason: "POOL_NOT_WRITABLE",
    });
  });

  it("is valid by libvirt's schema", { skip: noXmllint }, () => {
    assert.equal(schemaComplaints("storagepool", buildPool(fullPool)), "");
  });
});

describe("a storage volume", () => {
  it("is read with its backing image or its encryption", () => {
    assert.deepEqual(parseVolume(fixture("volume-overlay")), {
      name: "top.qcow2",
      key: "/var/lib/libvirt/images/socle-xml/top.qcow2",
      type: "file",
      capacityBytes: 67_108_864,
      allocationBytes: 204_800,
      physicalBytes: 196_616,
      path: "/var/lib/libvirt/images/socle-xml/top.qcow2",
      changedAt: "1795535420.625703143",
      format: "qcow2",
      permissions: { mode: 0o644, ownerId: 64_055, groupId: 64_055 },
      backing: { path: "/var/lib/libvirt/images/socle-xml/mid.qcow2", format: "qcow2" },
    });
    const { capacityBytes, encryptionSecretUuid } = parseVolume(fixture("volume-luks"));
    assert.deepEqual(
      [capacityBytes, encryptionSecretUuid],
      [10 * 1024 ** 3, "f52a81b2-424e-490c-823d-6bd4235bc572"],
    );
  });

  it("is built and read back", () => {
    assert.deepEqual(parseVolume(buildVolume(fullVolume)), fullVolume);
    const plain = { name: "a", capacityBytes: 0 };
    assert.deepEqual(parseVolume(buildVolume(plain)), plain);
  });

  it("is valid by libvirt's schema", { skip: noXmllint }, () => {
    assert.equal(schemaComplaints("storagevol", buildVolume(fullVolume)), "");
  });
});

describe("a network", () => {
  it("is read with its addresses", () => {
    assert.deepEqual(parseNetwork(fixture("network-default")), {
      name: "default",
      uuid: "b1003c55-b4e7-4b8a-a513-5fcf7465a92f",
      forwardMode: "nat",
      bridge: { name: "virbr0", stp: true, delaySeconds: 0 },
      mac: "52:54:00:71:85:d6",
      addresses: [
        {
          address: "192.168.122.1",
          family: "ipv4",
          prefixLength: 24,
          dhcp: { ranges: [{ start: "192.168.122.2", end: "192.168.122.254" }], hosts: [] },
        },
      ],
    });
    assert.deepEqual(parseNetwork(fixture("network-dual-stack")), {
      name: "blue",
      uuid: "81ff0d90-c91e-6742-64da-4a736edb9a9b",
      forwardMode: "nat",
      forwardDevice: "eno1",
      bridge: { name: "virbr7", stp: false, delaySeconds: 2 },
      mac: "52:54:00:a1:b2:c3",
      mtuBytes: 9000,
      domainName: "blue.example",
      addresses: [
        {
          address: "10.1.0.1",
          family: "ipv4",
          prefixLength: 20,
          dhcp: {
            ranges: [{ start: "10.1.0.100", end: "10.1.0.254" }],
            hosts: [{ mac: "52:54:00:00:00:05", name: "web", ip: "10.1.0.7" }],
          },
        },
        {
          address: "fd00:1::1",
          family: "ipv6",
          prefixLength: 64,
          dhcp: {
            ranges: [{ start: "fd00:1::100", end: "fd00:1::1ff" }],
            hosts: [{ name: "web", ip: "fd00:1::7" }],
          },
        },
      ],
    });
    assert.deepEqual(parseNetwork(fixture("network-sriov")), {
      name: "sriov-blue",
      uuid: "7b3c0de2-5e3f-4f63-8f37-6cbd1ac4bb0a",
      forwardMode: "hostdev",
      connections: 3,
      addresses: [],
    });
  });

  it("has the prefix of its netmask, and no other", () => {
    const prefix = (netmask: string) =>
      parseNetwork(`<network><name>n</name><ip address='10.0.0.1' netmask='${netmask}'/></network>`)
        .addresses[0]?.prefixLength;
    assert.deepEqual(
      ["255.255.240.0", "255.255.255.255", "128.0.0.0", "0.0.0.0"].map(prefix),
      [20, 32, 1, 0],
    );
    for (const netmask of ["255.0.255.0", "255.255.255", "255.255.255.999", "x", ""]) {
      assert.throws(() => prefix(netmask), { reason: "XML_UNEXPECTED", message: /netmask/ });
    }
  });

  it("is built isolated, with nat or on a bridge, and read back", () => {
    const isolated = { name: "isolated", addresses: [] };
    const bridged = { name: "lan", forwardMode: "bridge", bridge: { name: "br0" }, addresses: [] };
    for (const network of [fullNetwork, isolated, bridged]) {
      assert.deepEqual(parseNetwork(buildNetwork(network)), network);
    }
    assert.throws(() => buildNetwork(parseNetwork(fixture("network-sriov"))), {
      kind: "unsupported",
      reason: "NETWORK_NOT_WRITABLE",
    });
  });

  it("is valid by libvirt's schema", { skip: noXmllint }, () => {
    assert.equal(schemaComplaints("network", buildNetwork(fullNetwork)), "");
  });
});

describe("a secret", () => {
  it("is read, built and read back", () => {
    assert.deepEqual(parseSecret(fixture("secret-vtpm")), {
      uuid: "6dd3e4a5-1d76-44ce-961f-f119f5aad935",
      ephemeral: false,
      private: true,
      description: "vTPM of db-1",
      usage: { type: "vtpm", id: "db-1" },
    });
    assert.deepEqual(parseSecret(buildSecret(fullSecret)), fullSecret);
    const volume = { usage: { type: "volume", id: "/srv/a b.img" } } as const;
    assert.deepEqual(parseSecret(buildSecret(volume)), volume);
    assert.throws(() => buildSecret({ usage: { type: "volume", id: "relative" } }), {
      kind: "invalid",
      reason: "XML_VALUE_REFUSED",
    });
  });

  it("is valid by libvirt's schema", { skip: noXmllint }, () => {
    assert.equal(schemaComplaints("secret", buildSecret(fullSecret)), "");
  });
});
