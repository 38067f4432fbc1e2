import assert from "node:assert/strict";
import test from "node:test";
import { formatExactBytes } from "../../../../agent/kernel/text/bytes.ts";

test("a size is written in words, with the exact figure if the words are rounded", () => {
  assert.deepEqual(
    [0, 1023, 300 * 2 ** 30, 1.5 * 2 ** 30, 1.5 * 2 ** 30 + 1, 13_207_024_435, -(2 ** 30)].map(
      formatExactBytes,
    ),
    [
      "0 B",
      "1023 B",
      "300 GiB",
      "1.5 GiB",
      "1.5 GiB (1610612737 bytes)",
      "12.3 GiB (13207024435 bytes)",
      "-1 GiB",
    ],
  );
});
