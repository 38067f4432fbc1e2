import assert from "node:assert/strict";
import test from "node:test";
import { FilesystemProbe } from "../../../../agent/hardware/storage/filesystem.ts";
import { InventoryRound } from "../../../../agent/host/inventory/inventory-round.ts";
import { LibvirtFacts } from "../../../../agent/host/inventory/libvirt-facts.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import type { CallSettings, Libvirt, Procedure } from "../../../../agent/libvirt/index.ts";
import { machine } from "../../../support/hardware/fixture.ts";

const roots = await machine("two-sockets");
const GIB = 1024 ** 3;

/** A libvirt with two pools: each call to the one that hangs takes all of its time. */
const libvirt: Pick<Libvirt, "call" | "status"> = {
  status: { connected: false, sinceMs: 0 },
  async call<A, R>({ name }: Procedure<A, R>, args: A, { timeoutMs = 0 }: CallSettings = {}): Promise<R> {
    if (timeoutMs <= 1) throw new SocleError("timeout", "LIBVIRT_TIMEOUT", "there was no time to answer");
    const answers: Readonly<Record<string, unknown>> = {
      CONNECT_LIST_ALL_STORAGE_POOLS: { pools: [{ name: "hangs" }, { name: "well" }] },
      STORAGE_POOL_GET_XML_DESC: { xml: "<pool type='logical'><name>well</name></pool>" },
      STORAGE_POOL_GET_INFO: { state: 2, capacity: 100 * GIB, allocation: 0, available: 100 * GIB },
      STORAGE_POOL_GET_AUTOSTART: { autostart: 1 },
      STORAGE_POOL_LOOKUP_BY_NAME: { pool: { name: "well" } },
      STORAGE_POOL_LIST_ALL_VOLUMES: { vols: [{ pool: "well", name: "disk", key: "k" }] },
      STORAGE_VOL_GET_XML_DESC: {
        xml: `<volume type='block'><name>disk</name><capacity>${10 * GIB}</capacity><allocation>${GIB}</allocation></volume>`,
      },
    };
    const hangs = JSON.stringify(args).includes("hangs");
    if (hangs) await new Promise((resolve) => setTimeout(resolve, timeoutMs));
    const answer = hangs ? undefined : answers[name];
    if (answer === undefined) throw new SocleError("timeout", "LIBVIRT_TIMEOUT", `${name} was not answered`);
    return answer as R;
  },
};

test("a pool that hangs does not hide another pool's volumes", async () => {
  const round = new InventoryRound({
    roots,
    facts: new LibvirtFacts(libvirt),
    filesystems: new FilesystemProbe({ timeoutMs: 60_000 }),
    accelerator: "auto",
  });
  const { pools, volumes } = await round.read(new AbortController().signal, 2000);
  const details = pools.kind === "read" ? pools.value.map((pool) => [pool.name, pool.details.kind]) : pools;
  assert.deepEqual(details, [
    ["hangs", "failed"],
    ["well", "read"],
  ]);
  const value = {
    bytes: new Map([["disk", 10 * GIB]]),
    allocatedBytes: new Map([["disk", GIB]]),
    unreadable: new Map(),
    suspicious: new Map(),
  };
  assert.deepEqual(volumes.get("well"), { kind: "read", value });
});
