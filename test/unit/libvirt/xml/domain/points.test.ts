import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  buildBackup,
  buildCheckpoint,
  buildSnapshot,
  type DomainBackup,
  type DomainCheckpoint,
  type DomainSnapshot,
  parseBackup,
  parseCheckpoint,
  parseSnapshot,
} from "../../../../../agent/libvirt/xml/index.ts";
import { noXmllint, schemaComplaints } from "../../../../support/libvirt/xml/oracles.ts";

const snapshot: DomainSnapshot = {
  name: "before <upgrade>",
  description: "first line\nsecond",
  memory: { snapshot: "external", path: "/srv/mem & co" },
  disks: [
    {
      name: "vda",
      snapshot: "external",
      overlay: { type: "file", path: "/srv/over.qcow2", format: "qcow2" },
    },
    { name: "vdb", snapshot: "external", overlay: { type: "block", path: "/dev/vg/over", format: "qcow2" } },
    { name: "sda", snapshot: "no" },
  ],
};
const checkpoint: DomainCheckpoint = {
  name: "k1",
  description: "nightly",
  disks: [
    { name: "vda", checkpoint: "bitmap", bitmap: "k1-vda" },
    { name: "vdb", checkpoint: "no" },
  ],
};
const backups: readonly DomainBackup[] = [
  {
    mode: "pull",
    incremental: "k0",
    server: { socket: "/run/backup.sock" },
    disks: [
      {
        name: "vda",
        backup: true,
        mode: "incremental",
        incremental: "k0",
        exportName: "vda",
        exportBitmap: "bitmap0",
        target: { type: "file", path: "/srv/scratch.qcow2" },
      },
      {
        name: "vdb",
        mode: "full",
        target: {
          type: "file",
          path: "/srv/sealed.qcow2",
          encryptionSecretUuid: "0a81f5b2-8403-4b23-88d6-21ccc2f80d6f",
        },
      },
      { name: "vdc", backup: false },
    ],
  },
  {
    mode: "push",
    disks: [{ name: "vda", mode: "full", target: { type: "block", path: "/dev/vg/copy", format: "raw" } }],
  },
];

describe("snapshots, checkpoints and backups", () => {
  it("are read back as they were written", () => {
    assert.deepEqual(parseSnapshot(buildSnapshot(snapshot)), snapshot);
    assert.deepEqual(parseCheckpoint(buildCheckpoint(checkpoint)), checkpoint);
    for (const backup of backups) assert.deepEqual(parseBackup(buildBackup(backup)), backup);
    assert.deepEqual(parseSnapshot(buildSnapshot({})), {});
    assert.deepEqual(parseCheckpoint(buildCheckpoint({})), {});
  });

  it("are valid by libvirt's schemas", { skip: noXmllint }, () => {
    assert.equal(schemaComplaints("domainsnapshot", buildSnapshot(snapshot)), "");
    assert.equal(schemaComplaints("domaincheckpoint", buildCheckpoint(checkpoint)), "");
    for (const backup of backups) assert.equal(schemaComplaints("domainbackup", buildBackup(backup)), "");
  });

  it("show libvirt's additions", () => {
    const added =
      "<state>running</state><creationTime>1764000000</creationTime><parent><name>s0</name></parent>";
    assert.deepEqual(parseSnapshot(`<domainsnapshot><name>s1</name>${added}</domainsnapshot>`), {
      name: "s1",
      state: "running",
      createdAtSeconds: 1_764_000_000,
      parent: "s0",
    });
  });

  it("are refused for a value that may not be written", () => {
    const refused = { kind: "invalid", reason: "XML_VALUE_REFUSED" };
    const path = "/srv/../etc/shadow";
    assert.throws(() => buildSnapshot({ memory: { snapshot: "external", path } }), refused);
    assert.throws(() => buildCheckpoint({ disks: [{ name: "v da" }] }), refused);
    assert.throws(() => buildBackup({ mode: "pull", server: { socket: "relative.sock" } }), refused);
    const target = { type: "file", path, format: "raw" } as const;
    assert.throws(() => buildBackup({ mode: "push", disks: [{ name: "vda", target }] }), refused);
  });
});
