import assert from "node:assert/strict";
import { test } from "node:test";
import { toSocleError } from "../../../../agent/kernel/errors.ts";
import { VolumeBytes } from "../../../../agent/vm/images/volume-bytes.ts";

const MIB = 2 ** 20;
const file = Buffer.alloc(8 * MIB);
for (let at = 0; at < file.length; at += 4) file.writeUInt32LE(at, at);

function stage(length = file.length) {
  const transfers: number[] = [];
  let open = 0;
  const bytes = new VolumeBytes(file.length, async function* (at, count) {
    transfers.push(at);
    open += 1;
    try {
      for (let done = 0; done < count; done += 100_000)
        yield await Promise.resolve(
          file.subarray(at + done, Math.min(at + done + 100_000, at + count, length)),
        );
    } finally {
      open -= 1;
    }
  });
  return { bytes, transfers, open: () => open };
}

test("parts in any order are those of the file, and no transfer stays open", async () => {
  const { bytes, open } = stage();
  for (const [at, length] of [
    [0, 512],
    [512, 300_000],
    [4 * MIB, 64],
    [4 * MIB, 2 * MIB],
    [100, 10],
    [8 * MIB - 1, 1],
    [7 * MIB, MIB],
    [0, 8 * MIB],
  ] as const)
    assert.ok((await bytes.read(at, length)).equals(file.subarray(at, at + length)), `${length} at ${at}`);
  await bytes.close();
  assert.equal(open(), 0);
});

test("parts that are nearly in order need few transfers", async () => {
  const { bytes, transfers } = stage();
  for (let at = 0; at < 8 * MIB; at += 128 * 1024) await bytes.read(at, 64 * 1024);
  assert.ok(transfers.length <= 6, transfers.join(" "));
});

test("a large part is put together once, however small the pieces of its transfer are", async (t) => {
  const { bytes } = stage();
  const concat = t.mock.method(Buffer, "concat");
  await bytes.read(0, 8 * MIB);
  assert.deepEqual(
    concat.mock.calls.map(({ arguments: [, length] }) => length),
    [8 * MIB],
  );
});

test("a file that has become shorter is refused", async () => {
  const { bytes } = stage(MIB);
  await assert.rejects(bytes.read(0, 2 * MIB), (thrown) => toSocleError(thrown).reason === "IMAGE_UNSAFE");
  await assert.rejects(bytes.read(8 * MIB, 1), RangeError);
});
