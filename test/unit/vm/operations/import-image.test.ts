import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Semaphore } from "../../../../agent/kernel/concurrency/semaphore.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { SOURCE_OFFSET_BYTES } from "../../../../agent/vm/images/image.ts";
import { smallVmdk } from "../../../support/vm/foreign-images.ts";
import { bytes, wanted, away, imported } from "../../../support/vm/import-stage.ts";

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
