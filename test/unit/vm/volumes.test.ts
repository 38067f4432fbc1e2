import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { Volumes } from "../../../agent/vm/volumes.ts";
import { answering, sleepingClock } from "./libvirt-answers.ts";

const none = new SocleError("not_found", "LIBVIRT_NO_STORAGE_VOL", "no such volume");
const busy = new SocleError("internal", "LIBVIRT_INTERNAL_ERROR", "the pool has asynchronous jobs running");
const pool = { STORAGE_POOL_LOOKUP_BY_NAME: [{ pool: {} }], STORAGE_POOL_IS_ACTIVE: [{ active: true }] };
const made = { vol: { pool: "images", name: "new.qcow2", key: "k" } };
const xml =
  "<volume><name>new.qcow2</name><capacity>1048576</capacity>" +
  "<target><path>/images/new.qcow2</path><format type='qcow2'/></target></volume>";
const wanted = { pool: "images", name: "new.qcow2", format: "qcow2", capacityBytes: 1_048_576 } as const;

test("a volume is made also while others are made in its pool, which libvirt then refuses to refresh", async () => {
  const { calls } = answering({
    ...pool,
    STORAGE_VOL_LOOKUP_BY_NAME: [none, made],
    STORAGE_VOL_GET_XML_DESC: [{ xml }],
    STORAGE_POOL_GET_INFO: [{ available: 1e12 }],
    STORAGE_VOL_CREATE_XML: [made],
    STORAGE_POOL_REFRESH: [busy],
  });
  const { path } = await new Volumes(calls, sleepingClock()).make(wanted);
  assert.equal(path, "/images/new.qcow2");
});

test("a volume that was put into a pool is found once the pool is not busy any more", async () => {
  const { calls } = answering({
    ...pool,
    STORAGE_VOL_LOOKUP_BY_NAME: [none, made],
    STORAGE_VOL_GET_XML_DESC: [{ xml }],
    STORAGE_POOL_REFRESH: [busy, busy, {}],
  });
  const checked: string[] = [];
  const guard = {
    check: (_pool: object, { path }: { path: string }) => Promise.resolve(void checked.push(path)),
  };
  await new Volumes(calls, sleepingClock(), guard).resolve({ pool: "images", volume: "new.qcow2" });
  assert.deepEqual(checked, ["/images/new.qcow2"]);
});

test("a volume that was there before it was made, under a VM's own name, is not adopted unless it is safe", async () => {
  const { calls, called } = answering({
    ...pool,
    STORAGE_VOL_LOOKUP_BY_NAME: [made],
    STORAGE_VOL_GET_XML_DESC: [{ xml }],
  });
  const guard = { check: () => Promise.reject(new SocleError("denied", "VOLUME_UNSAFE", "it is a link")) };
  await assert.rejects(new Volumes(calls, sleepingClock(), guard).make(wanted), { reason: "VOLUME_UNSAFE" });
  assert.ok(!called.includes("STORAGE_VOL_DELETE"));
});

test("in a pool that stays busy nothing is said to be missing", async () => {
  const { calls } = answering({
    ...pool,
    STORAGE_VOL_LOOKUP_BY_NAME: [none],
    STORAGE_POOL_REFRESH: [busy],
  });
  const found = new Volumes(calls, sleepingClock()).resolve({ pool: "images", volume: "new.qcow2" });
  await assert.rejects(found, { kind: "unavailable", reason: "POOL_BUSY" });
});

test("a volume that was cut short in its making is made anew", async () => {
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
  await new Volumes(calls, sleepingClock()).make(wanted);
  const changes = called.filter((name) => name === "STORAGE_VOL_DELETE" || name === "STORAGE_VOL_CREATE_XML");
  assert.deepEqual(changes, ["STORAGE_VOL_DELETE", "STORAGE_VOL_CREATE_XML"]);
});
