import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import type { NewEvent } from "../../../../agent/state/events/event.ts";
import type { Operation } from "../../../../agent/state/operations/operation.ts";
import { dataVolume, newImageId, type Image } from "../../../../agent/vm/images/image.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { ImageCollector, type ReadPool } from "../../../../agent/vm/operations/image-collector.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";

const GIB = 2 ** 30;
const HOUR_MS = 3_600_000;
const HOST = "host-1";
const never = new AbortController().signal;

class Stage {
  readonly clock = new FakeClock();
  readonly deleted: string[] = [];
  readonly audited: string[] = [];
  readonly events: NewEvent[] = [];
  images: Image[] | undefined;
  pools: ReadPool[];
  /** The ids of images that a creation has taken. */
  taken = new Set<string>();
  keep: string[] = [];

  /** The images that VMs have now. */
  inUse: string[] = [];
  readonly #usedAtMs = new Map<string, number>();

  constructor(startedHoursAgo = 25) {
    this.clock.advance(startedHoursAgo * HOUR_MS);
    this.images = [this.image("old", 900), this.image("newer", 800)];
    this.pools = [this.pool("a", 9)];
  }

  image(name: string, unusedHours: number, more: Partial<Image> = {}): Image {
    const createdAtMs = this.clock.now() - unusedHours * HOUR_MS;
    const of = { id: newImageId(HOST), name, tenant: "", pool: "a" };
    const file = { sha256: "0".repeat(64), format: "qcow2", sizeBytes: GIB, capacityBytes: GIB } as const;
    return { ...of, ...file, createdAtMs, ...more };
  }

  pool(name: string, usedGiB: number): ReadPool {
    return {
      name,
      capacityBytes: 10 * GIB,
      usedBytes: usedGiB * GIB,
      observedAtMs: this.clock.now(),
    };
  }

  readonly collector = new ImageCollector({
    store: {
      seen: () => this.images,
      used: (id) => void this.#usedAtMs.set(id, this.clock.now()),
      usedAtMs: (id) => this.#usedAtMs.get(id),
      unreadPools: [],
    },
    table: { all: () => this.#vms(), untilComplete: () => Promise.resolve() },
    operations: {
      untilPermitted: () => Promise.resolve(),
      wait: () => Promise.reject(new Error("it has ended")),
    },
    images: {
      delete: ({ image }, caller) => {
        assert.equal(caller, "agent");
        const found = this.images?.find(({ id }) => id === image);
        if (this.taken.has(found?.name ?? ""))
          return Promise.reject(new SocleError("conflict", "IMAGE_IN_USE", "a VM is being made over it"));
        this.deleted.push(found?.name ?? "");
        this.images = this.images?.filter(({ id }) => id !== image);
        return Promise.resolve({ id: "op", state: "succeeded" } as Operation);
      },
    },
    pools: () => this.pools,
    hostId: () => HOST,
    rule: this.#rule,
    admit: ({ image: { name } }) => {
      this.audited.push(name);
      return Promise.resolve((answer) => void this.audited.push(Object.values(answer).join()));
    },
    publish: (event) => void this.events.push(event),
    clock: this.clock,
    log: silentLog,
  });

  #vms(): Vm[] {
    const images = this.images?.filter(({ name }) => this.inUse.includes(name)) ?? [];
    const disks = images.map((image) => ({
      name: "root",
      source: { kind: "volume", volume: dataVolume(image) },
    }));
    return [{ spec: { disks } } as unknown as Vm];
  }

  get #rule() {
    const keep = (): readonly string[] => this.keep;
    return {
      percent: 80,
      unusedMs: 24 * HOUR_MS,
      get keep() {
        return keep();
      },
    };
  }

  /** A round after the pools were read again. */
  async round(usedGiB: number): Promise<readonly string[]> {
    this.clock.advance(60_000);
    this.pools = [this.pool("a", usedGiB)];
    await this.collector.collect(never);
    return this.deleted.splice(0);
  }
}

test("an image counts as used as long as a VM has it, and from the agent's start", async () => {
  const stage = new Stage();
  stage.inUse = ["old"];
  assert.deepEqual(await stage.round(9.5), ["newer"]);
  stage.inUse = [];
  assert.deepEqual(await stage.round(9.5), [], "its VM was deleted a moment ago");
  stage.clock.advance(24 * HOUR_MS);
  assert.deepEqual(await stage.round(9.5), ["old"]);
  assert.deepEqual(await new Stage(1).round(9.5), [], "what was used before is not known");
});

test("a full pool loses its least recently used image, audited and published, until it is not full", async () => {
  const stage = new Stage();
  assert.deepEqual(await stage.round(9.5), ["old"]);
  assert.deepEqual(stage.audited, ["old", "op"]);
  const [{ kind, reason, details } = assert.fail()] = stage.events;
  assert.deepEqual([kind, reason], ["image_collected", "PRESSURE"]);
  const { name, pool, bytes, operation } = details ?? {};
  assert.deepEqual([name, pool, bytes, operation], ["old", "a", String(GIB), "op"]);
  // The pool was not read since.
  await stage.collector.collect(never);
  assert.deepEqual(stage.deleted, []);
  assert.deepEqual(await stage.round(8.5), ["newer"]);
  assert.deepEqual(await stage.round(7), []);
  assert.deepEqual(stage.collector.collected, { count: 2, bytes: 2 * GIB });
});

test("an image that a creation has taken stays, and the next one goes", async () => {
  const stage = new Stage();
  stage.taken.add("old");
  assert.deepEqual(await stage.round(9), []);
  assert.deepEqual(stage.audited, ["old", "IMAGE_IN_USE"]);
  assert.deepEqual([stage.events, stage.collector.collected.count], [[], 0]);
  assert.deepEqual(await stage.round(9), ["newer"]);
  // It is tried again only later: each try is an operation.
  assert.deepEqual(await stage.round(9), []);
  stage.taken.clear();
  stage.clock.advance(HOUR_MS);
  assert.deepEqual(await stage.round(9), ["old"]);
});

test("images that are to stay, of other hosts, or of pools that are not known, are never removed", async () => {
  const stage = new Stage();
  stage.keep = ["old", "newer"];
  assert.deepEqual(await stage.round(10), []);
  stage.keep = [];
  const all = stage.images;
  stage.images = undefined;
  assert.deepEqual(await stage.round(10), []);
  stage.images = [stage.image("other", 900, { id: newImageId("host-2") })];
  assert.deepEqual(await stage.round(10), []);
  stage.images = all;
  stage.clock.advance(60_000);
  stage.pools = [];
  await stage.collector.collect(never);
  assert.deepEqual(stage.deleted, []);
  assert.deepEqual(await stage.round(10), ["old"]);
});
