import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  buildDisk,
  buildDomain,
  buildHostDevice,
  buildInterface,
  parseDomain,
  type Disk,
} from "../../../../../agent/libvirt/xml/index.ts";
import { fixture, noXmllint, schemaComplaints } from "../../../../support/libvirt/xml/oracles.ts";
import { fullDomain } from "../../../../support/libvirt/xml/samples.ts";
import {
  buildVmDomain,
  buildVmMetadata,
  parseVmDomain,
  parseVmMetadata,
  type VmDomain,
} from "../../../../../agent/vm/model/vm-domain.ts";

function withDisk(change: Partial<Disk>): VmDomain {
  const [disk] = fullDomain.devices.disks;
  assert.ok(disk);
  return { ...fullDomain, devices: { ...fullDomain.devices, disks: [{ ...disk, ...change }] } };
}

function refused(element: string, problem: RegExp) {
  return (thrown: unknown): boolean => {
    assert.ok(thrown instanceof Error);
    const { kind, reason, details } = thrown as Error & {
      kind: string;
      reason: string;
      details: { fields: Record<string, string> };
    };
    assert.deepEqual(
      [kind, reason, Object.keys(details.fields)],
      ["invalid", "XML_VALUE_REFUSED", [element]],
    );
    assert.match(details.fields[element] ?? "", problem);
    return true;
  };
}

describe("a domain that Socle builds", () => {
  it("is read back as it was written, every member", () => {
    assert.deepEqual(parseVmDomain(buildVmDomain(fullDomain)), fullDomain);
  });

  it("is valid by libvirt's schema", { skip: noXmllint }, () => {
    assert.equal(schemaComplaints("domain", buildVmDomain(fullDomain)), "");
  });

  it("is the same text for the same document", () => {
    const { socle } = fullDomain.metadata ?? {};
    assert.ok(socle);
    const labels = Object.fromEntries(Object.entries(socle.labels).reverse());
    assert.equal(
      buildVmDomain({ ...fullDomain, metadata: { socle: { ...socle, labels } } }),
      buildVmDomain(fullDomain),
    );
  });

  it("leaves libvirt's own aliases and a terminal's path to libvirt", () => {
    const running = parseVmDomain(fixture("domain-running"));
    const text = buildVmDomain({ ...running, devices: { ...running.devices, graphics: [] } });
    assert.doesNotMatch(text, /alias|\/dev\/pts/);
  });

  it("is refused, field by field, for a value that may not be written", () => {
    const name = (value: string) => () => buildVmDomain({ ...fullDomain, name: value });
    assert.throws(name("a/b"), refused("domain/name", /without a slash/));
    assert.throws(name(".."), refused("domain/name", /be a name/));
    assert.throws(name(""), refused("domain/name", /be a name/));
    assert.throws(name(" a"), refused("domain/name", /be a name/));
    assert.throws(name("a\u0000"), refused("domain/name", /printable/));
    assert.throws(name("a\n"), refused("domain/name", /printable/));
    assert.throws(name("a\ud800"), refused("domain/name", /printable/));
    assert.throws(name("x".repeat(5000)), refused("domain/name", /at most 4096/));
    assert.throws(
      () => buildVmDomain({ ...fullDomain, uuid: fullDomain.uuid.toUpperCase() }),
      refused("domain/uuid", /lower-case UUID/),
    );
    assert.throws(
      () => buildVmDomain({ ...fullDomain, type: "lxc" }),
      refused("domain@type", /one of kvm, qemu, test/),
    );
    assert.throws(
      () => buildVmDomain({ ...fullDomain, memoryBytes: -1024 }),
      refused("domain/memory", /integer from 0/),
    );
    assert.throws(
      () => buildVmDomain({ ...fullDomain, memoryBytes: Number.NaN }),
      refused("domain/memory", /integer from 0/),
    );
    for (const path of ["relative", "/a/../b", "/a/./b", "//a", "/a/", "/a\u0085b", "/..", ""]) {
      assert.throws(
        () => buildVmDomain(withDisk({ source: { type: "file", path } })),
        refused("domain/devices/disk/source@file", /absolute path/),
      );
    }
    assert.throws(
      () => buildVmDomain(withDisk({ format: "vmdk" })),
      refused("domain/devices/disk/driver@type", /one of raw, qcow2/),
    );
    assert.throws(
      () => buildVmDomain(withDisk({ serial: "a,b" })),
      refused("domain/devices/disk/serial", /letters, digits/),
    );
  });

  it("is refused if it would lose an element that is only read", () => {
    const notWritable = { kind: "unsupported", reason: "DOMAIN_NOT_WRITABLE" };
    assert.throws(() => buildDomain(parseDomain(fixture("domain-openstack"))), {
      ...notWritable,
      message:
        "the domain has parts that are read but never written: qemu:commandline, metadata, launchSecurity, " +
        "features/hyperv, devices/graphics",
    });
    const unmanaged = parseVmDomain(fixture("domain-openstack"));
    const message = "the domain has metadata of others, which is never written";
    assert.throws(() => buildVmDomain(unmanaged), { ...notWritable, message });
    for (const disk of unmanaged.devices.disks) {
      if (disk.source?.type === "network" || disk.source?.type === "other") {
        assert.throws(() => buildDisk(disk), notWritable);
      }
    }
    for (const networkInterface of unmanaged.devices.interfaces) {
      if (networkInterface.source.type === "direct" || networkInterface.source.type === "other") {
        assert.throws(() => buildInterface(networkInterface), notWritable);
      }
    }
    for (const device of unmanaged.devices.hostDevices.slice(1)) {
      assert.throws(() => buildHostDevice(device), notWritable);
    }
  });
});

describe("a single device", () => {
  it("is the element of a domain", () => {
    const domain = buildVmDomain(fullDomain).replaceAll(/^ +/gm, "");
    const { disks, interfaces, hostDevices } = fullDomain.devices;
    const texts = [
      ...disks.map(buildDisk),
      ...interfaces.map(buildInterface),
      ...hostDevices.map(buildHostDevice),
    ];
    assert.equal(texts.length, 10);
    for (const text of texts) assert.ok(domain.includes(text.replaceAll(/^ +/gm, "")), text);
  });
});

describe("Socle's metadata by itself", () => {
  it("is written without a namespace and read back", () => {
    const socle = fullDomain.metadata?.socle;
    assert.ok(socle);
    const text = buildVmMetadata(socle);
    assert.doesNotMatch(text, /xmlns|socle:(?!spec)/);
    assert.deepEqual(parseVmMetadata(text), socle);
  });

  it("holds a specification of 64 KiB and refuses a longer one", () => {
    const socle = fullDomain.metadata?.socle;
    assert.ok(socle);
    const spec = "x".repeat(65_536);
    assert.equal(parseVmMetadata(buildVmMetadata({ ...socle, spec })).spec, spec);
    assert.throws(() => buildVmMetadata({ ...socle, spec: `${spec}x` }), refused("vm/spec", /at most 65536/));
  });
});
