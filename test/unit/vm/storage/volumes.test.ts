import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { Volumes } from "../../../../agent/vm/storage/volumes.ts";
import { answering, sleepingClock } from "../../../support/vm/libvirt-answers.ts";

const none = new SocleError("not_found", "LIBVIRT_NO_STORAGE_VOL", "no such volume");
const busy = new SocleError("internal", "LIBVIRT_INTERNAL_ERROR", "the pool has asynchronous jobs running");
const pool = { STORAGE_POOL_LOOKUP_BY_NAME: [{ pool: {} }], STORAGE_POOL_IS_ACTIVE: [{ active: true }] };
const made = { vol: { pool: "images", name: "new.qcow2", key: "k" } };
const xml =
  "<volume><name>new.qcow2</name><capacity>1048576</capacity>" +
  "<target><path>/images/new.qcow2</path><format type='qcow2'/></target></volume>";
const wanted = { pool: "images", name: "new.qcow2", format: "qcow2", capacityBytes: 1_048_576 } as const;

test("a volume is created also while others are created in its pool, which libvirt then refuses to refresh", async () => {
  const { calls } = answering({
    ...pool,
    STORAGE_VOL_GET_XML_DESC: [none, { xml }],
    STORAGE_POOL_GET_INFO: [{ available: 1e12 }],
    STORAGE_VOL_CREATE_XML: [made],
    STORAGE_POOL_REFRESH: [busy],
  });
  const { path } = await new Volumes(calls, sleepingClock()).make(wanted, false);
  assert.equal(path, "/images/new.qcow2");
});

test("a volume put into a pool is found once the pool is not busy any more", async () => {
  const { calls } = answering({
    ...pool,
    STORAGE_VOL_GET_XML_DESC: [none, { xml }],
    STORAGE_POOL_REFRESH: [busy, busy, {}],
  });
  const checked: string[] = [];
  const guard = {
    check: (_pool: object, { path }: { path: string }) => {
      checked.push(path);
      return Promise.resolve([]);
    },
  };
  await new Volumes(calls, sleepingClock(), { guard }).resolve({ pool: "images", volume: "new.qcow2" });
  assert.deepEqual(checked, ["/images/new.qcow2"]);
});

test("a volume that an earlier run may have created is adopted only if it is safe", async () => {
  const { calls, called } = answering({
    ...pool,
    STORAGE_VOL_GET_XML_DESC: [{ xml }],
  });
  const guard = { check: () => Promise.reject(new SocleError("denied", "VOLUME_UNSAFE", "it is a link")) };
  await assert.rejects(new Volumes(calls, sleepingClock(), { guard }).make(wanted, true), {
    reason: "VOLUME_UNSAFE",
  });
  assert.ok(!called.includes("STORAGE_VOL_DELETE"));
});

test("an existing volume is neither adopted nor deleted, whether encrypted, too small or matching", async () => {
  for (const more of [{}, { capacityBytes: 2 ** 30 }, { secretUuid: "s" }]) {
    const { calls, called } = answering({
      ...pool,
      STORAGE_VOL_GET_XML_DESC: [{ xml }],
    });
    await assert.rejects(new Volumes(calls, sleepingClock()).make({ ...wanted, ...more }, false), {
      kind: "already_exists",
      reason: "VOLUME_EXISTS",
      message:
        /pool images already has a volume new\.qcow2 .* name it as the disk's volume to use it, or delete it/,
    });
    assert.ok(!called.includes("STORAGE_VOL_DELETE") && !called.includes("STORAGE_VOL_CREATE_XML"));
  }
});

test("a volume that another host put into a shared pool is found before the claim", async () => {
  const { calls, called } = answering({
    ...pool,
    STORAGE_POOL_REFRESH: [{}],
    STORAGE_VOL_LOOKUP_BY_NAME: [made],
  });
  const claim = new Volumes(calls, sleepingClock()).requireAbsent([{ pool: "images", volume: "new.qcow2" }]);
  await assert.rejects(claim, { reason: "VOLUME_EXISTS" });
  assert.ok(called.indexOf("STORAGE_POOL_REFRESH") < called.indexOf("STORAGE_VOL_LOOKUP_BY_NAME"));
});

test("a file that libvirt finds only during creation is foreign; one left by a lost reply is not", async () => {
  const refusals = ["LIBVIRT_STORAGE_VOL_EXIST", "LIBVIRT_OPERATION_INVALID"].map(
    (reason) => new SocleError("conflict", reason, "it exists already"),
  );
  const answers = {
    ...pool,
    STORAGE_VOL_LOOKUP_BY_NAME: [made],
    STORAGE_POOL_GET_INFO: [{ available: 1e12 }],
  };
  for (const refusal of refusals) {
    const there = { ...answers, STORAGE_VOL_GET_XML_DESC: [none], STORAGE_VOL_CREATE_XML: [refusal] };
    const { calls } = answering(there);
    await assert.rejects(new Volumes(calls, sleepingClock()).make(wanted, false), {
      reason: "VOLUME_EXISTS",
    });
  }
  const lost = new SocleError("outcome_unknown", "LIBVIRT_OUTCOME_UNKNOWN", "lost");
  const ours = { STORAGE_VOL_GET_XML_DESC: [none, { xml }], STORAGE_VOL_CREATE_XML: [lost, refusals[0]] };
  const { calls } = answering({ ...answers, ...ours });
  assert.equal((await new Volumes(calls, sleepingClock()).make(wanted, false)).path, "/images/new.qcow2");
});

test("no volume counts as missing in a pool that stays busy", async () => {
  const { calls } = answering({
    ...pool,
    STORAGE_VOL_GET_XML_DESC: [none],
    STORAGE_POOL_REFRESH: [busy],
  });
  const found = new Volumes(calls, sleepingClock()).resolve({ pool: "images", volume: "new.qcow2" });
  await assert.rejects(found, { kind: "unavailable", reason: "POOL_BUSY" });
});

test("a volume whose creation was interrupted is created again", async () => {
  const torn = xml.replace("1048576", "0");
  const { calls, called } = answering({
    ...pool,
    STORAGE_VOL_LOOKUP_BY_NAME: [made],
    STORAGE_VOL_GET_XML_DESC: [{ xml: torn }, { xml }],
    STORAGE_POOL_REFRESH: [{}],
    STORAGE_POOL_GET_INFO: [{ available: 1e12 }],
    STORAGE_VOL_DELETE: [{}],
    STORAGE_VOL_CREATE_XML: [made],
  });
  await new Volumes(calls, sleepingClock()).make(wanted, true);
  const changes = called.filter((name) => name === "STORAGE_VOL_DELETE" || name === "STORAGE_VOL_CREATE_XML");
  assert.deepEqual(changes, ["STORAGE_VOL_DELETE", "STORAGE_VOL_CREATE_XML"]);
});

test("a volume that libvirt cannot read any more is deleted, and its name is not free", async () => {
  const unreadable = new SocleError("internal", "LIBVIRT_INTERNAL_ERROR", "cannot parse the header");
  const { calls, called } = answering({
    ...pool,
    STORAGE_POOL_REFRESH: [{}],
    STORAGE_VOL_LOOKUP_BY_NAME: [made],
    STORAGE_VOL_GET_XML_DESC: [unreadable],
    STORAGE_VOL_DELETE: [{}],
  });
  const volumes = new Volumes(calls, sleepingClock());
  const volume = { pool: "images", volume: "new.qcow2" };
  await assert.rejects(volumes.requireAbsent([volume]), { reason: "VOLUME_EXISTS" });
  assert.equal(await volumes.isThere(volume), true);
  assert.equal(await volumes.remove(volume), true);
  assert.ok(called.includes("STORAGE_VOL_DELETE"));
});
