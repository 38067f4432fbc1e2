import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { Semaphore } from "../../../../agent/kernel/concurrency/semaphore.ts";
import { Topic } from "../../../../agent/kernel/concurrency/topic.ts";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import { newImageId, SOURCE_OFFSET_BYTES, type Image } from "../../../../agent/vm/images/image.ts";
import { TransferPace } from "../../../../agent/vm/images/transfer-pace.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import { importImage } from "../../../../agent/vm/operations/import-image.ts";
import type { ImageParts, WorkRun } from "../../../../agent/vm/operations/work.ts";
import { noOtherNames } from "../../../../agent/vm/storage/storage-names.ts";
import type { VolumeFacts } from "../../../../agent/vm/images/image-volumes.ts";
import type { VolumeRef } from "../../../../agent/contract/spec.ts";
import { Volumes } from "../../../../agent/vm/storage/volumes.ts";
import { storeOfNothing } from "../../../support/vm/image-parts.ts";
import { smallVmdk } from "../../../support/vm/foreign-images.ts";
import { steps } from "../../../support/vm/steps.ts";
import { workContext } from "../../../support/vm/work-context.ts";

const bytes = Buffer.alloc(100_000, 7);
const wanted = {
  id: newImageId("test"),
  name: "debian",
  tenant: "",
  sha256: createHash("sha256").update(bytes).digest("hex"),
  format: "raw" as const,
  pool: "images",
};
const whole: Image = { ...wanted, sizeBytes: bytes.length, capacityBytes: bytes.length, createdAtMs: 1 };
const silent = {
  call: () => new Promise<never>(() => undefined),
  openStream: () => new Promise<never>(() => undefined),
  events: new Topic<never>(),
};
const away = new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "libvirt is away");

interface Stage {
  /** What the pool has: nothing, parts, or the published image. */
  readonly pool?: "nothing" | "parts" | "published" | "gone";
  readonly resumed?: boolean;
  readonly sent?: Buffer;
  /** In place of a raw image. */
  readonly vmdk?: Buffer;
  /** What the server reports. */
  readonly sizeBytes?: number;
  /** How long each transfer from a pool takes. */
  readonly readMs?: number;
  readonly conversions?: Semaphore;
  readonly maxBytes?: number;
  /** The step of the volumes that fails, and how. */
  readonly fails?: Partial<
    Record<"fill" | "lost" | "inspect" | "sync" | "publish" | "remove" | "removeSource", SocleError>
  >;
  readonly isEnding?: boolean;
  /** Its server sends a byte now and then. */
  readonly isSlow?: boolean;
  /** The pools have not been read since the agent's start. */
  readonly isUnread?: boolean;
  /** From a volume in place of a server, without a digest. `then`: what libvirt shows of it after the copy. */
  readonly from?: {
    readonly then?: Partial<VolumeFacts>;
    readonly overlays?: readonly VolumeRef[];
    /** How long its pool is busy after the copy. */
    readonly thenBusyForMs?: number;
    /** Its pool does not serve it: from its opening, its copy or its confirmation on. */
    readonly fails?: { readonly at: "open" | "copy" | "confirm"; readonly error: SocleError };
  };
}

async function imported({
  pool = "nothing",
  resumed = false,
  sent = bytes,
  fails = {},
  isEnding,
  isSlow = false,
  isUnread = false,
  from,
  vmdk,
  sizeBytes = vmdk?.length ?? bytes.length,
  readMs = 0,
  conversions = new Semaphore(1),
  maxBytes = 2 ** 40,
}: Stage) {
  if (vmdk !== undefined) sent = vmdk;
  const did: string[] = [];
  const table = new VmTable();
  table.completed(1);
  const context = workContext(silent, systemClock, table);
  const store = storeOfNothing();
  if (!isUnread) await store.refresh();
  if (isEnding === true) {
    const stop = new AbortController();
    const ran = store.run(stop.signal, () => undefined);
    stop.abort();
    await ran;
  }
  const act = async (what: keyof NonNullable<Stage["fails"]>): Promise<void> => {
    did.push(what);
    const failure = fails[what];
    if (failure !== undefined) throw failure;
    await Promise.resolve();
  };
  const { volumes } = context.images;
  volumes.publishedAs = () => Promise.resolve(pool === "published" ? whole : undefined);
  volumes.requireRoom = () =>
    pool === "gone"
      ? Promise.reject(new SocleError("not_found", "POOL_NOT_FOUND", "no pool"))
      : Promise.resolve();
  volumes.remove = () => act("remove");
  const filled = new Map<string, Buffer>();
  volumes.fill = async (reference, size, chunks, ends) => {
    if (fails.lost !== undefined) ends?.lost?.(fails.lost);
    const all: Buffer[] = [];
    for await (const chunk of chunks) all.push(chunk);
    const content = Buffer.concat(all);
    if (vmdk !== undefined) assert.equal(content.length, size);
    filled.set(reference.volume, content);
    await act("fill");
  };
  volumes.removeSource = () => act("removeSource");
  volumes.inspect = async ({ volume }) => {
    await act("inspect");
    const made = filled.get(volume);
    if (vmdk !== undefined && made !== undefined) {
      assert.equal(made.toString("latin1", 0, 4), "QFI\u00fb");
      const [sizeBytes, capacityBytes] = [made.length, Number(made.readBigUInt64BE(24))];
      return { format: "qcow2", sizeBytes, capacityBytes, hasBacking: false, isFile: true, changedAt: "1" };
    }
    return {
      format: "raw",
      sizeBytes: bytes.length,
      capacityBytes: bytes.length,
      hasBacking: false,
      isFile: true,
      changedAt: "1",
    };
  };
  volumes.sync = async () => {
    await act("sync");
  };
  volumes.publish = async (image) => {
    await act("publish");
    published = image;
  };
  let published: Image | undefined;
  let [looks, nowMs] = [0, 0];
  const failAt = (at: "open" | "copy" | "confirm"): void => {
    if (from?.fails?.at === at) throw from.fails.error;
  };
  volumes.facts = async () => {
    await Promise.resolve();
    looks += 1;
    failAt(looks > 1 ? "confirm" : "open");
    const facts = { format: "raw", sizeBytes: bytes.length, capacityBytes: bytes.length, hasBacking: false };
    return { ...facts, isFile: true, changedAt: "1", ...(looks > 1 ? from?.then : {}) };
  };
  volumes.bytes = async function* ({ volume }, length, ends, offset) {
    ends.throwIfAborted();
    failAt("copy");
    nowMs += readMs;
    yield await Promise.resolve(filled.get(volume)?.subarray(offset, offset + length) ?? sent);
  };
  const all = new Volumes(silent, systemClock);
  all.isThere = () => Promise.resolve(true);
  all.dependents = (_references, wait = { forMs: 2000 }) => {
    if (wait.forMs > 2000) assert.equal(wait.signal?.aborted, false, "a long wait can be cancelled");
    const isBusy = looks > 0 && wait.forMs < (from?.thenBusyForMs ?? 0);
    const unsearched = isBusy ? ["images"] : [];
    return Promise.resolve({ paths: [], overlays: from?.overlays ?? [], backings: [], unsearched });
  };
  all.names.of = () => Promise.resolve(noOtherNames);
  all.resolve = (reference) =>
    Promise.resolve({
      path: `/${reference.volume}`,
      format: "raw",
      capacityBytes: bytes.length,
      beneath: [],
    });
  const downloads: ImageParts["downloads"] = {
    open: (_url, _isTenants, signal) => {
      signal.throwIfAborted();
      const source = {
        sizeBytes,
        bytes: (async function* () {
          while (isSlow) yield await nextTurn(Buffer.alloc(1)).finally(() => signal.throwIfAborted());
          yield await Promise.resolve(sent);
        })(),
        close: () => undefined,
      };
      return Promise.resolve(source);
    },
  };
  const signal = new AbortController().signal;
  const run = {
    vmId: "",
    caller: "test",
    operationId: "o",
    step: steps(),
    signal,
    resumed,
    createdAtMs: 1,
  } as unknown as WorkRun;
  const claimed: string[] = [];
  const room: ImageParts["room"] = {
    claim: async ({ id }, { volume, capacityBytes }) => {
      await Promise.resolve();
      claimed.push(`${volume.replace(id, "")} ${capacityBytes}`);
    },
    keep: () => undefined,
    removed: () => void claimed.splice(0),
  };
  // Its periods pass at once.
  const pace = isSlow ? new TransferPace({ sleep: () => nextTurn() }, 1000) : context.images.pace;
  const images = { ...context.images, pace, store, downloads, room, conversions, maxBytes };
  const clock = { ...systemClock, monotonicMs: () => nowMs };
  const digest = (content: Buffer): string => createHash("sha256").update(content).digest("hex");
  const source = { pool: "images", volume: "golden.raw" };
  const intent =
    vmdk !== undefined
      ? {
          image: { ...wanted, format: "qcow2" as const, sha256: digest(vmdk) },
          from: "vmdk" as const,
          url: "https://images.example/x",
          byTenant: false,
        }
      : from === undefined
        ? { image: wanted, url: "https://images.example/x", byTenant: false }
        : { image: { ...wanted, sha256: "" }, volume: source, byTenant: false };
  const [reason, message] = await importImage
    .run({ ...context, clock, volumes: all, images }, intent, run)
    .then(
      () => ["done", ""] as const,
      (thrown: unknown) => {
        const { kind, reason: why, message: text } = toSocleError(thrown);
        return [`${kind} ${why}`, text] as const;
      },
    );
  return { reason, message, did, claimed, published, isKnown: store.find(wanted.id) !== undefined };
}

test("an import fills a volume, verifies it, and publishes it last", async () => {
  const { reason, did, isKnown } = await imported({});
  assert.deepEqual([reason, did, isKnown], ["done", ["remove", "fill", "inspect", "sync", "publish"], true]);
});

test("an interrupted import begins again over its parts, and is done if it was published", async () => {
  const again = await imported({ resumed: true, pool: "parts" });
  assert.deepEqual([again.reason, again.did], ["done", ["remove", "fill", "inspect", "sync", "publish"]]);
  const published = await imported({ resumed: true, pool: "published" });
  assert.deepEqual([published.reason, published.did, published.isKnown], ["done", ["sync"], true]);
});

test("a certain failure removes what was made, and nothing is published", async () => {
  const wrong = await imported({ sent: Buffer.alloc(bytes.length, 8) });
  assert.deepEqual(
    [wrong.reason, wrong.did, wrong.isKnown],
    ["invalid IMAGE_DIGEST_MISMATCH", ["remove", "fill", "remove"], false],
  );
  const full = new SocleError("exhausted", "POOL_FULL", "full");
  assert.deepEqual((await imported({ fails: { fill: full } })).did, ["remove", "fill", "remove"]);
  const gone = await imported({ resumed: true, pool: "gone" });
  assert.deepEqual([gone.reason, gone.did], ["not_found POOL_NOT_FOUND", ["remove"]]);
});

test(
  "an import from a server that is slow on purpose ends, and its volume is removed",
  { timeout: 10_000 },
  async () => {
    const { reason, did, isKnown } = await imported({ isSlow: true });
    assert.deepEqual([reason, did, isKnown], ["timeout TRANSFER_TOO_SLOW", ["remove", "remove"], false]);
  },
);

test("without libvirt the outcome is unknown once a volume may exist, and a plain failure before", async () => {
  for (const step of ["fill", "inspect", "sync", "publish"] as const) {
    const { reason, did, isKnown } = await imported({ fails: { [step]: away } });
    assert.match(reason, /^outcome_unknown/, step);
    assert.deepEqual([did.at(-1), isKnown], [step, false]);
  }
  assert.equal((await imported({ fails: { remove: away } })).reason, "unavailable LIBVIRT_DISCONNECTED");
});

test("an image of a volume has the digest of the bytes that were read", async () => {
  const { reason, did, published } = await imported({ from: {} });
  assert.deepEqual([reason, did], ["done", ["remove", "fill", "inspect", "sync", "publish"]]);
  assert.equal(published?.sha256, wanted.sha256);
  const again = await imported({ from: {}, resumed: true, pool: "parts" });
  assert.equal(again.reason, "done");
  // Another image of the tenant may have that digest.
  const early = await imported({ from: {}, resumed: true, pool: "parts", isUnread: true });
  assert.match(early.reason, /^outcome_unknown/);
  assert.deepEqual(early.did, []);
});

test("a volume that is used, or changed while it was read, becomes no image", async () => {
  for (const then of [{ changedAt: "2" }, { sizeBytes: bytes.length + 512 }]) {
    const { reason, did, message } = await imported({ from: { then } });
    assert.deepEqual([reason, did], ["conflict VOLUME_IN_USE", ["remove", "fill", "remove"]]);
    assert.match(message, /it, its owner or its mode changed while it was read/);
  }
  // Its file is shorter or longer by now than libvirt reported.
  for (const sent of [bytes.subarray(1), Buffer.concat([bytes, Buffer.of(1)])]) {
    const { reason, did } = await imported({ from: {}, sent });
    assert.deepEqual([reason, did.at(-1)], ["conflict VOLUME_IN_USE", "remove"]);
  }
  const overlays = [{ pool: "images", volume: "over.qcow2" }];
  assert.deepEqual((await imported({ from: { overlays } })).did, ["remove"]);
  const block = await imported({ from: { then: { isFile: false } } });
  assert.equal(block.reason, "unsupported IMAGE_POOL_UNSUITABLE");
});

test("an import waits for a busy pool before it throws its copy away", async () => {
  assert.equal((await imported({ from: { thenBusyForMs: 300_000 } })).reason, "done");
  const never = await imported({ from: { thenBusyForMs: Infinity } });
  assert.deepEqual([never.reason, never.did.at(-1)], ["unavailable VOLUME_UNREADABLE", "remove"]);
});

test("a resumed import fails without the pool of its volume, and without that of its image begins again", async () => {
  const inactive = new SocleError("unavailable", "POOL_INACTIVE", "storage pool images is not active");
  const busy = new SocleError("unavailable", "POOL_BUSY", "storage pool images is too busy");
  const hangs = new SocleError("timeout", "LIBVIRT_TIMEOUT", "libvirt did not answer");
  const refreshHangs = new SocleError("outcome_unknown", "LIBVIRT_OUTCOME_UNKNOWN", "sent", { cause: hangs });
  for (const error of [inactive, busy, hangs, refreshHangs]) {
    for (const at of ["open", "copy", "confirm"] as const) {
      const { reason, did } = await imported({
        resumed: true,
        pool: "parts",
        from: { fails: { at, error } },
      });
      assert.deepEqual([reason, did.at(-1)], ["unavailable VOLUME_UNREADABLE", "remove"], at);
    }
  }
  const lost = await imported({ from: {}, fails: { lost: hangs } });
  assert.match(lost.reason, /^outcome_unknown/, "its own pool does not answer");
  for (const error of [inactive, busy]) {
    const { reason } = await imported({ resumed: true, pool: "parts", from: {}, fails: { inspect: error } });
    assert.match(reason, /^outcome_unknown/);
  }
});

test("a VMDK is converted once its digest is verified, and its own bytes go before the image is published", async () => {
  const { reason, did, claimed, published } = await imported({ vmdk: smallVmdk() });
  assert.deepEqual(
    [reason, did],
    ["done", ["remove", "fill", "fill", "inspect", "removeSource", "sync", "publish"]],
  );
  assert.deepEqual([published?.format, published?.capacityBytes], ["qcow2", 256 * 1024]);
  // Each file has its own claim, from before it exists.
  assert.deepEqual(claimed, [
    `socle-image-.source ${SOURCE_OFFSET_BYTES + smallVmdk().length}`,
    `socle-image-.qcow2 ${published?.sizeBytes}`,
  ]);
});

test("a VMDK that is refused, or is too large once converted, leaves nothing", async () => {
  const alone = await imported({ vmdk: smallVmdk({ descriptor: (text) => text.replace("small", "/etc/") }) });
  assert.deepEqual([alone.reason, alone.did], ["denied IMAGE_UNSAFE", ["remove", "remove"]]);
  const overlapping = smallVmdk({ change: (file) => void file.writeUInt32LE(4, 4 * 512 + 4) });
  const late = await imported({ vmdk: overlapping });
  assert.deepEqual([late.reason, late.did], ["denied IMAGE_UNSAFE", ["remove", "fill", "remove"]]);
  const large = await imported({ vmdk: smallVmdk(), maxBytes: 64 * 1024 });
  assert.deepEqual([large.reason, large.did], ["invalid IMAGE_TOO_LARGE", ["remove", "fill", "remove"]]);
  const undone = await imported({ vmdk: smallVmdk(), fails: { removeSource: away } });
  assert.match(undone.reason, /^outcome_unknown/);
  assert.equal(undone.published, undefined);
});

test("a conversion that takes too long for its size fails, and one of a slow pool does not", async () => {
  assert.equal((await imported({ vmdk: smallVmdk(), readMs: 60_000 })).reason, "done");
  const slow = await imported({ vmdk: smallVmdk(), readMs: 700_000 });
  assert.deepEqual([slow.reason, slow.did.at(-1)], ["timeout IMAGE_CONVERSION_SLOW", "remove"]);
  // Its outcome is certain, also for an import that began again.
  const again = await imported({ vmdk: smallVmdk(), readMs: 700_000, resumed: true, pool: "parts" });
  assert.equal(again.reason, "timeout IMAGE_CONVERSION_SLOW");
});

test("one conversion runs at a time on a host", async () => {
  const conversions = new Semaphore(1);
  const release = await conversions.acquire("other");
  const seen = { isOver: false };
  const waiting = imported({ vmdk: smallVmdk(), conversions }).finally(() => (seen.isOver = true));
  while (conversions.waiting === 0 && !seen.isOver) await nextTurn();
  assert.equal(seen.isOver, false);
  release();
  assert.equal((await waiting).reason, "done");
});

test("a file that is larger than its format may be is refused before any byte of it is stored", async () => {
  const { reason, did } = await imported({ vmdk: smallVmdk(), sizeBytes: 2 ** 38 + 1 });
  assert.deepEqual([reason, did], ["invalid IMAGE_TOO_LARGE", ["remove"]]);
});

test("an agent that stops leaves the import from a volume to its next start too", async () => {
  assert.equal((await imported({ isEnding: true, from: {} })).reason, "outcome_unknown IMPORT_INTERRUPTED");
});

test("an agent that stops leaves the import to its next start", async () => {
  const { reason, isKnown } = await imported({ isEnding: true });
  assert.deepEqual([reason, isKnown], ["outcome_unknown IMPORT_INTERRUPTED", false]);
});
