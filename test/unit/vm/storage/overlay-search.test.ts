// The search for overlays of volumes that are about to be deleted.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock, type Clock } from "../../../../agent/kernel/clock.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { createLog } from "../../../../agent/kernel/log.ts";
import type { LibvirtCalls } from "../../../../agent/vm/hypervisor/certainty.ts";
import { Volumes } from "../../../../agent/vm/storage/volumes.ts";
import { sleepingClock } from "../../../support/vm/libvirt-answers.ts";

interface Pool {
  readonly path: string;
  readonly type?: string;
  /** By name: the path of the backing image, or "" without one. */
  readonly volumes: Record<string, string>;
  /** The files that libvirt finds in a refresh. */
  readonly unknown?: Record<string, string>;
  /** How many refreshes libvirt refuses. */
  busy?: number;
  /** The call without a reply. */
  readonly hangs?: string;
  /** Its refresh fails on an unreadable file, and libvirt stops it. A transient pool then disappears. */
  readonly damaged?: "persistent" | "transient";
  isStopped?: boolean;
}

interface Args {
  readonly name?: string;
  readonly pool?: { readonly name: string };
  readonly vol?: { readonly pool: string; readonly name: string };
}

const timeout = (): SocleError => new SocleError("timeout", "LIBVIRT_TIMEOUT", "libvirt did not answer");

/** A libvirt with these pools, active until it stops them. `called`: procedure and pool. */
function libvirtWith(pools: Readonly<Record<string, Pool>>): { calls: LibvirtCalls; called: string[] } {
  const called: string[] = [];
  const volumeXml = (path: string, name: string, backing = ""): string =>
    `<volume type="file"><name>${name}</name><capacity>1</capacity><target><path>${path}/${name}</path>` +
    `<format type="${backing === "" ? "raw" : "qcow2"}"/></target>` +
    (backing === "" ? "</volume>" : `<backingStore><path>${backing}</path></backingStore></volume>`);
  const answer = (procedure: string, { name: requested, pool: reference, vol }: Args): unknown => {
    const name = requested ?? reference?.name ?? vol?.pool ?? "";
    called.push(`${procedure} ${name}`.trim());
    if (procedure === "CONNECT_LIST_ALL_STORAGE_POOLS")
      return {
        pools: Object.keys(pools)
          .filter((pool) => pools[pool]?.isStopped !== true)
          .map((pool) => ({ name: pool, uuid: "" })),
      };
    const pool = pools[name];
    if (pool === undefined || (pool.isStopped === true && pool.damaged === "transient"))
      throw new SocleError("not_found", "LIBVIRT_NO_STORAGE_POOL", name);
    if (pool.hangs === procedure) throw timeout();
    const { path, type = "dir", volumes, unknown = {} } = pool;
    switch (procedure) {
      case "STORAGE_POOL_LOOKUP_BY_NAME":
        return { pool: { name, uuid: "" } };
      case "STORAGE_POOL_IS_ACTIVE":
        return { active: pool.isStopped !== true };
      case "STORAGE_POOL_GET_XML_DESC":
        return {
          xml: `<pool type="${type}"><name>${name}</name><target><path>${path}</path></target></pool>`,
        };
      case "STORAGE_POOL_REFRESH":
        requireActive(name, pool);
        if (pool.damaged !== undefined) {
          pool.isStopped = true;
          throw new SocleError("internal", "LIBVIRT_SYSTEM_ERROR", "cannot open volume: Input/output error");
        }
        if ((pool.busy ?? 0) > 0) {
          pool.busy = (pool.busy ?? 0) - 1;
          throw new SocleError("internal", "LIBVIRT_INTERNAL_ERROR", "pool has asynchronous jobs running");
        }
        Object.assign(volumes, unknown);
        return {};
      case "STORAGE_POOL_LIST_ALL_VOLUMES":
        requireActive(name, pool);
        return { vols: Object.keys(volumes).map((volume) => ({ pool: name, name: volume, key: volume })) };
      case "STORAGE_VOL_GET_XML_DESC":
        if (vol?.name.includes("broken") === true)
          throw new SocleError("internal", "LIBVIRT_INTERNAL_ERROR", "cannot read");
        return { xml: volumeXml(path, vol?.name ?? "", volumes[vol?.name ?? ""]) };
    }
    throw new Error(procedure);
  };
  const call = (procedure: { name: string }, args: Args): Promise<unknown> =>
    Promise.resolve().then(() => answer(procedure.name, args));
  return { calls: { call } as unknown as LibvirtCalls, called };
}

function requireActive(name: string, { isStopped = false }: Pool): void {
  if (isStopped)
    throw new SocleError("conflict", "LIBVIRT_OPERATION_INVALID", `storage pool '${name}' is not active`);
}

const root = { pool: "p", volume: "root.qcow2" };
const search = async (pools: Readonly<Record<string, Pool>>, wait?: Parameters<Volumes["dependents"]>[1]) =>
  await new Volumes(libvirtWith(pools).calls, sleepingClock()).dependents([root], wait);

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "socle-overlays-"));
  t.after(() => rm(path, { recursive: true }));
  for (const name of ["p", "q"]) await mkdir(join(path, name));
  await writeFile(join(path, "p/root.qcow2"), "");
  return path;
}

test("an overlay is found by the header that libvirt reads; a file that is no image is no overlay", async (t) => {
  const path = join(await folder(t), "p");
  const volumes = {
    "kept.qcow2": `${path}/root.qcow2`,
    "root.qcow2": `${path}/base.qcow2`,
    "notes.txt": "",
    "other.qcow2": `${path}/base.qcow2`,
  };
  assert.deepEqual(await search({ p: { path, volumes } }), {
    paths: [`${path}/root.qcow2`],
    overlays: [{ pool: "p", volume: "kept.qcow2" }],
    backings: [{ ...root, backing: `${path}/base.qcow2` }],
    unsearched: [],
  });
});

test("a pool with a file that libvirt cannot read is named if the file may be an overlay", async (t) => {
  const path = await folder(t);
  const own = { "root.qcow2": "", "kept.qcow2": `${path}/p/root.qcow2` };
  for (const [inOwn, inOther, named] of [
    [{ ...own, "broken.qcow2": "" }, {}, ["p"]],
    [own, { "broken.qcow2": "" }, ["q"]],
    // Neither a raw image nor a tenant's own volume has a base.
    [{ ...own, "broken.iso": "", "socle-volume-acme+broken.qcow2": "" }, { "broken.raw": "" }, []],
  ] as const) {
    const p = { path: `${path}/p`, volumes: { ...inOwn } };
    const { overlays, unsearched } = await search({ p, q: { path: `${path}/q`, volumes: { ...inOther } } });
    assert.deepEqual([overlays, unsearched], [[{ pool: "p", volume: "kept.qcow2" }], named]);
  }
});

test("overlays of a volume that libvirt cannot read are not ruled out", async (t) => {
  const path = await folder(t);
  const p = { path: `${path}/p`, volumes: { broken: "", "kept.qcow2": `${path}/p/broken` } };
  const volumes = new Volumes(libvirtWith({ p }).calls, sleepingClock());
  await assert.rejects(volumes.dependents([{ pool: "p", volume: "broken" }]), {
    kind: "unavailable",
    reason: "VOLUME_UNREADABLE",
    message: /volume broken of pool p.*cannot read.*keep_disks/,
  });
  // A missing volume has no overlays.
  assert.deepEqual((await volumes.dependents([{ pool: "p", volume: "gone" }])).overlays, []);
});

test("an overlay is found in another pool, without a refresh, and through a link", async (t) => {
  const path = await folder(t);
  await symlink(join(path, "p"), join(path, "link"));
  await symlink(join(path, "p/root.qcow2"), join(path, "alias"));
  const found = await search({
    p: { path: `${path}/p`, volumes: { "root.qcow2": "" }, unknown: { "new.qcow2": `${path}/p/root.qcow2` } },
    q: {
      path: `${path}/q`,
      volumes: { "linked.qcow2": `${path}/link/root.qcow2`, "alias.qcow2": `${path}/alias` },
      unknown: { "new.qcow2": `${path}/p/root.qcow2`, "not.qcow2": `${path}/p/base.qcow2` },
    },
    // The same directory again: the volume is no overlay of itself.
    again: { path: `${path}/link`, volumes: { "root.qcow2": "" } },
  });
  assert.deepEqual(found.overlays, [
    { pool: "p", volume: "new.qcow2" },
    { pool: "q", volume: "linked.qcow2" },
    { pool: "q", volume: "alias.qcow2" },
    { pool: "q", volume: "new.qcow2" },
  ]);
  assert.deepEqual(found.unsearched, []);
});

test("another pool that does not answer is named and not queried again at once; the volumes' own pool must answer", async (t) => {
  const path = await folder(t);
  const own = { path: `${path}/p`, volumes: { "root.qcow2": "" } };
  const other = { path: `${path}/q`, volumes: { "kept.qcow2": `${path}/p/root.qcow2` } };
  for (const hangs of ["STORAGE_POOL_REFRESH", "STORAGE_POOL_LIST_ALL_VOLUMES", "STORAGE_VOL_GET_XML_DESC"]) {
    const { calls, called } = libvirtWith({ p: own, q: { ...other, hangs } });
    const volumes = new Volumes(calls, sleepingClock());
    const { overlays, unsearched } = await volumes.dependents([root]);
    assert.deepEqual([overlays, unsearched], [[], ["q"]], hangs);
    called.length = 0;
    assert.deepEqual((await volumes.dependents([root])).unsearched, ["q"]);
    assert.deepEqual(
      called.filter((call) => call.endsWith(" q")),
      [],
      "a call that hangs takes a worker of libvirt",
    );
    await assert.rejects(search({ p: { ...own, hangs } }), { kind: "timeout" });
  }
});

test("the search waits shortly for a busy pool, and names it when it stays busy", async (t) => {
  const path = await folder(t);
  const pool = {
    path: `${path}/p`,
    volumes: { "root.qcow2": "" },
    unknown: { "new.qcow2": `${path}/p/root.qcow2` },
  };
  const soon = await search({ p: { ...pool, volumes: { ...pool.volumes }, busy: 3 } });
  assert.deepEqual([soon.overlays.length, soon.unsearched], [1, []]);
  const never = await search({ p: { ...pool, volumes: { ...pool.volumes }, busy: 1000 } });
  assert.deepEqual([never.overlays.length, never.unsearched], [0, ["p"]]);
  // A caller that has waited for hours waits for minutes more.
  const late = await search({ p: { ...pool, volumes: { ...pool.volumes }, busy: 1000 } }, { forMs: 600_000 });
  assert.deepEqual([late.overlays.length, late.unsearched], [1, []]);
});

test("a long wait for a busy pool ends with its signal", async (t) => {
  const pool = { path: `${await folder(t)}/p`, volumes: { "root.qcow2": "" }, busy: Infinity };
  const stop = new AbortController();
  let sleeps = 0;
  const clock: Clock = {
    ...sleepingClock(),
    sleep: (ms, signal) => {
      if ((sleeps += 1) === 3) stop.abort(new Error("cancelled"));
      return sleeps < 10 ? systemClock.sleep(0, signal) : Promise.reject(new Error("it waits on"));
    },
  };
  const volumes = new Volumes(libvirtWith({ p: pool }).calls, clock);
  await assert.rejects(volumes.dependents([root], { forMs: 600_000, signal: stop.signal }), {
    message: "cancelled",
  });
});

test("a pool that a refresh stops is logged, and named until it is started again", async (t) => {
  const path = await folder(t);
  for (const [damaged, command] of [
    ["persistent", /storage pool q .*virsh pool-start q/],
    ["transient", /storage pool q .*virsh pool-create/],
  ] as const) {
    const logged: string[] = [];
    const destination = { write: (line: string) => void logged.push(line) };
    const pools: Record<string, Pool> = {
      p: { path: `${path}/p`, volumes: { "root.qcow2": "" } },
      q: { path: `${path}/q`, volumes: { "kept.qcow2": `${path}/p/root.qcow2` }, damaged },
    };
    const log = createLog({ level: "error", destination });
    const volumes = new Volumes(libvirtWith(pools).calls, sleepingClock(), { log });
    for (const when of ["as it is stopped", "later"]) {
      const { overlays, unsearched } = await volumes.dependents([root]);
      assert.deepEqual([overlays, unsearched], [[], ["q"]], `${damaged} ${when}`);
    }
    assert.equal(logged.length, 1);
    assert.match(logged[0] ?? "", command);
  }
});

test("a refresh that stops the volumes' own pool fails the search with the command that starts it", async (t) => {
  const path = await folder(t);
  const p: Pool = { path: `${path}/p`, volumes: { "root.qcow2": "" }, damaged: "persistent" };
  await assert.rejects(search({ p }), {
    kind: "unavailable",
    reason: "POOL_INACTIVE",
    message: /pool-start p/,
  });
});

test("a pool that another client stops during the search is not named", async (t) => {
  const path = await folder(t);
  const own: Pool = { path: `${path}/p`, volumes: { "root.qcow2": "" } };
  const q: Pool = { path: `${path}/q`, volumes: {} };
  const { calls } = libvirtWith({ p: own, q });
  const call: LibvirtCalls["call"] = async (procedure, ...rest) => {
    const answer = await calls.call(procedure, ...rest);
    if (procedure.name === "CONNECT_LIST_ALL_STORAGE_POOLS") q.isStopped = true;
    return answer;
  };
  const volumes = new Volumes({ ...calls, call }, sleepingClock());
  assert.deepEqual((await volumes.dependents([root])).unsearched, []);
});

test("a network pool is not refreshed for another pool's volumes, nor a pool without its directory", async (t) => {
  const path = await folder(t);
  const volumes = { "kept.qcow2": `${path}/p/root.qcow2` };
  const { calls, called } = libvirtWith({
    p: { path: `${path}/p`, volumes: { "root.qcow2": "" } },
    nfs: { path: `${path}/q`, type: "netfs", volumes },
    gone: { path: `${path}/unmounted`, volumes: {} },
    rbd: { path: "", type: "rbd", volumes },
  });
  const { overlays, unsearched } = await new Volumes(calls, sleepingClock()).dependents([root]);
  assert.deepEqual([overlays, unsearched], [[{ pool: "nfs", volume: "kept.qcow2" }], ["gone"]]);
  assert.deepEqual(
    called.filter((call) => call.startsWith("STORAGE_POOL_REFRESH")),
    ["STORAGE_POOL_REFRESH p"],
  );
});

test("waiting deletions share a listing that begins after each of their requests", async (t) => {
  const path = await folder(t);
  const { calls, called } = libvirtWith({ p: { path: `${path}/p`, volumes: { "root.qcow2": "" } } });
  const volumes = new Volumes(calls, sleepingClock());
  await Promise.all(Array.from({ length: 10 }, () => volumes.dependents([root])));
  assert.ok(called.filter((call) => call === "STORAGE_POOL_REFRESH p").length <= 2);
});
