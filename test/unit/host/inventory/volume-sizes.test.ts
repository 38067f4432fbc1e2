import assert from "node:assert/strict";
import test from "node:test";
import type { Reading } from "../../../../agent/hardware/reading.ts";
import type { PoolFacts } from "../../../../agent/host/inventory/libvirt-facts.ts";
import { VolumeSizes } from "../../../../agent/host/inventory/volume-sizes.ts";

const patience = { signal: new AbortController().signal, timeoutMs: 10_000 };
const failed = (reason: string, code: string) => ({ kind: "failed", reason, code }) as const;

function pool(name: string, active = true): PoolFacts {
  const value = {
    type: "dir",
    active,
    accessible: true,
    autostart: true,
    path: `/pools/${name}`,
    capacityBytes: 100,
    allocatedBytes: 0,
    availableBytes: 100,
  };
  return { name, details: { kind: "read", value } };
}

/** A libvirt with these volumes, by name and size, slow for each of them; and the calls made to it. */
function libvirt(
  volumes: Readonly<Record<string, number | Exclude<Reading<number>, { kind: "read" }>>>,
  eachMs = 1,
) {
  let nowMs = 0;
  let isHung = false;
  let held = volumes;
  const requested: string[] = [];
  const sizes = new VolumeSizes(
    {
      volumes: (pool) => {
        const value = Object.keys(held).map((name) => ({ pool, name, key: `/pools/${pool}/${name}` }));
        return Promise.resolve({ kind: "read", value });
      },
      volumeSize: ({ name }) => {
        requested.push(name);
        nowMs += eachMs;
        if (isHung) return Promise.resolve(failed("no answer", "timeout"));
        const size = held[name] ?? failed("gone", "not_found");
        const value = (capacityBytes: number) => ({ capacityBytes, allocatedBytes: capacityBytes / 2 });
        return Promise.resolve(typeof size === "number" ? { kind: "read", value: value(size) } : size);
      },
      probe: () => (isHung ? Promise.reject(new Error("no answer")) : Promise.resolve()),
    },
    () => nowMs,
  );
  return {
    /** Whether the sizes are complete. */
    hang: (is: boolean): void => void (isHung = is),
    requested,
    pass: (ms: number): void => void (nowMs += ms),
    change: (next: typeof held): void => void (held = next),
    look: async (spaces: Parameters<typeof sizes.read>[1] = new Map()) => {
      const found = (await sizes.read([pool("a")], spaces, patience)).get("a");
      if (found?.kind !== "read") return found;
      const { bytes, missing } = found.value;
      return { ...Object.fromEntries(bytes), ...(missing === undefined ? {} : { missing }) };
    },
    sizes,
  };
}

test("the maximum size of each volume is reported, anew with each read", async () => {
  const { look, change } = libvirt({ web: 10, db: 20 });
  assert.deepEqual(await look(), { web: 10, db: 20 });
  change({ db: 25, new: 1 });
  assert.deepEqual(await look(), { db: 25, new: 1 });
  change({});
  assert.deepEqual(await look(), {});
});

test("neither an inactive pool nor one on a silent filesystem is queried", async () => {
  const { sizes, look, requested } = libvirt({ web: 10 });
  assert.equal((await sizes.read([pool("a", false)], new Map(), patience)).size, 0);
  const hung = failed("statfs did not answer", "timeout");
  assert.deepEqual(await look(new Map([["/pools/a", hung]])), hung);
  assert.deepEqual(requested, []);
  // A pool that the agent may not read is no reason: libvirt may.
  const denied = failed("stat: Permission denied", "internal");
  assert.deepEqual(await look(new Map([["/pools/a", denied]])), { web: 10 });
});

test("more volumes than one round can read are read over several rounds, in turn", async () => {
  const volumes = Object.fromEntries(Array.from({ length: 5 }, (_, index) => [`v${index}`, 10]));
  const { look, requested, change } = libvirt(volumes, 800);
  assert.deepEqual(await look(), failed("3 of 5 were read so far", "again"));
  assert.deepEqual(await look(), volumes);
  assert.deepEqual(requested, ["v0", "v1", "v2", "v3", "v4", "v0"]);
  change({ ...volumes, v1: 11, v2: 12 });
  assert.deepEqual(await look(), { ...volumes, v1: 11, v2: 12 });
});

test("a removed volume counts no more; one that cannot be opened is named and delays nothing", async () => {
  const { look, change } = libvirt({ web: 10, gone: failed("no such volume", "not_found") });
  assert.deepEqual(await look(), { web: 10 });
  const broken = failed("broken image", "internal");
  change({ web: 10, broken });
  const missing = "1 cannot be read, the first is broken: broken image";
  assert.deepEqual(await look(), { web: 10, missing });
  const away = failed("libvirt is away", "unavailable");
  change({ web: 10, broken, away });
  assert.deepEqual(await look(), away);
});

test("a pool with a volume that hangs rests for ten minutes, then the others are read first", async () => {
  const hang = failed("no answer", "timeout");
  const { look, requested, pass, change } = libvirt({ web: hang, db: 20 });
  assert.deepEqual(await look(), hang);
  const rests = { kind: "failed", reason: "a volume did not answer; the pool is skipped for a while" };
  assert.deepEqual(await look(), rests);
  assert.deepEqual(requested, ["web"]);
  pass(600_000);
  // It hangs again: no guest can use it either, and it does not delay the pool for ever.
  assert.deepEqual(await look(), { db: 20, missing: "1 cannot be read, the first is web: no answer" });
  assert.deepEqual(requested, ["web", "db", "web"]);
  assert.deepEqual(await look(), rests);
  change({ web: 10, db: 20 });
  pass(600_000);
  assert.deepEqual(await look(), { web: 10, db: 20 });
  // Known sizes stay when a volume hangs later.
  change({ web: hang, db: 20 });
  assert.deepEqual(await look(), hang);
  pass(600_000);
  change({ web: 11, db: 20 });
  assert.deepEqual(await look(), { web: 11, db: 20 });
});

test("a hang of libvirt itself is no volume's fault, however often it happens", async () => {
  const { look, requested, hang } = libvirt({ web: 10 });
  hang(true);
  for (let hangs = 0; hangs < 3; hangs += 1) assert.deepEqual(await look(), failed("no answer", "timeout"));
  hang(false);
  assert.deepEqual(await look(), { web: 10 });
  assert.deepEqual(requested, ["web", "web", "web", "web"]);
});

test("a pool of many volumes leaves the pools after it their share of each read", async () => {
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`v${index}`, 10]));
  const { sizes } = libvirt(many, 3);
  const looks = async (): Promise<(string | undefined)[]> => {
    const found = await sizes.read([pool("a"), pool("b")], new Map(), patience);
    return ["a", "b"].map((name) => found.get(name)?.kind);
  };
  let kinds = await looks();
  for (let round = 0; kinds.includes("failed"); round += 1) {
    assert.ok(round < 5);
    kinds = await looks();
  }
  assert.deepEqual(kinds, ["read", "read"]);
});
