import assert from "node:assert/strict";
import { test } from "node:test";
import { toSocleError } from "../../../../agent/kernel/errors.ts";
import { requireSafeHeader } from "../../../../agent/vm/images/header-check.ts";

const CAPACITY = 8 * 2 ** 30;

/** A qcow2 header as qemu-img writes it, with changes at positions. */
function header(change: (bytes: Buffer) => void = () => undefined): Buffer {
  const bytes = Buffer.alloc(64 * 1024);
  bytes.writeUInt32BE(0x514649fb, 0);
  bytes.writeUInt32BE(3, 4);
  bytes.writeUInt32BE(16, 20);
  bytes.writeBigUInt64BE(BigInt(CAPACITY), 24);
  bytes.writeUInt32BE(16, 36);
  bytes.writeUInt32BE(104, 100);
  change(bytes);
  return bytes;
}

const judge = (bytes: Buffer, format: "qcow2" | "raw" = "qcow2"): string | number | undefined => {
  try {
    return requireSafeHeader(bytes, format);
  } catch (thrown) {
    return toSocleError(thrown).reason;
  }
};

test("the header of a plain qcow2 image gives the capacity of its disk", () => {
  assert.equal(judge(header()), CAPACITY);
});

test("images that lead to other files, are encrypted, corrupt or absurd are refused", () => {
  const backing = "/etc/shadow";
  const changes: Readonly<Record<string, (bytes: Buffer) => void>> = {
    "a backing file": (bytes) => {
      bytes.writeBigUInt64BE(200n, 8);
      bytes.writeUInt32BE(backing.length, 16);
      bytes.write(backing, 200);
    },
    "a name outside of the header": (bytes) => {
      bytes.writeBigUInt64BE(BigInt(2 ** 40), 8);
      bytes.writeUInt32BE(10, 16);
    },
    "an external data file": (bytes) => void bytes.writeBigUInt64BE(0b100n, 72),
    corrupt: (bytes) => void bytes.writeBigUInt64BE(0b10n, 72),
    encryption: (bytes) => void bytes.writeUInt32BE(2, 32),
    "clusters of 2 GiB": (bytes) => void bytes.writeUInt32BE(31, 20),
    "a disk of 2^63 bytes": (bytes) => void bytes.writeBigUInt64BE(2n ** 63n, 24),
    "no disk": (bytes) => void bytes.writeBigUInt64BE(0n, 24),
    "a huge table": (bytes) => void bytes.writeUInt32BE(2 ** 31, 36),
    "internal snapshots": (bytes) => void bytes.writeUInt32BE(1, 60),
  };
  for (const [what, change] of Object.entries(changes))
    assert.equal(judge(header(change)), "IMAGE_UNSAFE", what);
});

test("bytes of another format than named are refused", () => {
  assert.equal(judge(Buffer.alloc(64 * 1024)), "IMAGE_FORMAT_MISMATCH");
  assert.equal(judge(Buffer.from("short")), "IMAGE_FORMAT_MISMATCH");
  assert.equal(judge(header(), "raw"), "IMAGE_FORMAT_MISMATCH");
  for (const magic of ["KDMV", "vhdxfile", "conectix", "QED\0"])
    assert.equal(
      judge(Buffer.concat([Buffer.from(magic), Buffer.alloc(1024)]), "raw"),
      "IMAGE_FORMAT_MISMATCH",
    );
});

test("a raw image has no header, and any other bytes are its disk", () => {
  assert.equal(judge(Buffer.alloc(512, 0x55), "raw"), undefined);
});
