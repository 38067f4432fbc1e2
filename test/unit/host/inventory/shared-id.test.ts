import assert from "node:assert/strict";
import test from "node:test";
import { mountOf, readMounts } from "../../../../agent/hardware/storage/mounts.ts";
import { sharedIdOf } from "../../../../agent/host/inventory/shared-id.ts";
import { unpackHost } from "../../../support/tree.ts";

const rbd = (hosts: readonly string[], name: string) =>
  sharedIdOf({ type: "rbd", source: { hosts, name } }, []);

test("the same storage has the same id on every host, however its pool is written", () => {
  const id = rbd(["10.9.0.11:6789", "10.9.0.12"], "vms");
  assert.match(id ?? "", /^[0-9a-f]{32}$/);
  assert.equal(rbd(["10.9.0.12:6789", "10.9.0.11"], "vms"), id);
  assert.notEqual(rbd(["10.9.0.11", "10.9.0.12"], "backup"), id);
  assert.notEqual(rbd(["10.9.0.11:7000", "10.9.0.12"], "vms"), id);
  const nfs = (host: string, directory: string) =>
    sharedIdOf({ type: "netfs", source: { hosts: [host], directory }, path: "/mnt/x" }, []);
  assert.equal(nfs("Filer1", "/vol/images/"), nfs("filer1:2049", "/vol/images"));
  assert.notEqual(nfs("filer1", "/vol/images"), nfs("filer2", "/vol/images"));
  const iscsi = { hosts: ["san1:3260"], devices: ["iqn.2013-06.org.example:a"] };
  assert.equal(
    sharedIdOf({ type: "iscsi", source: iscsi }, []),
    sharedIdOf({ type: "iscsi-direct", source: { ...iscsi, hosts: ["san1"] } }, []),
  );
});

test("a directory in a mounted export has the export's id; two in one local filesystem share its bytes", async (context) => {
  const mounts = await readMounts(await unpackHost(context, "four-cells"));
  assert.ok(mounts.kind === "read");
  const id = (path: string) => sharedIdOf({ type: "dir", path }, mounts.value);
  const pool = { type: "netfs", source: { hosts: ["filer1.example.org"], directory: "/vol/images" } };
  assert.equal(id("/mnt/images/vms"), sharedIdOf(pool, []));
  assert.equal(mountOf(mounts.value, "/mnt/with space/a")?.source, "filer1.example.org:/vol/two");
  assert.deepEqual(
    [id("/var/lib/libvirt/images"), id("/var/lib/libvirt/boot")],
    ["local:259:3", "local:259:3"],
  );
  assert.equal(id("/var/lib/libvirt-other"), "local:259:2");
});

test("storage that is not shared, or lacks facts, has no id", () => {
  assert.equal(sharedIdOf({ type: "logical", source: { name: "vg0" }, path: "/dev/vg0" }, []), undefined);
  assert.equal(sharedIdOf({ type: "rbd", source: { name: "vms" } }, []), undefined);
  assert.equal(sharedIdOf({ type: "dir", path: "/pool" }, []), undefined);
});
