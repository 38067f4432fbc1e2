import assert from "node:assert/strict";
import { test } from "node:test";
import { toSocleError } from "../../../../agent/kernel/errors.ts";
import type { ForeignFormat } from "../../../../agent/vm/images/image.ts";
import { openForeign, requireForeignHead } from "../../../../agent/vm/images/foreign-formats.ts";
import {
  bytesOf,
  clustersOf,
  PARENT_LOCATOR,
  smallVhdx,
  smallVmdk,
  vhdxAt,
  VMDK_GRAIN_BYTES,
  type VmdkChange,
} from "../../../support/vm/foreign-images.ts";

const MIB = 2 ** 20;

/** The reason and the message of a refusal, by the head or by the whole file; empty: it was read. */
async function refusalOf(file: Buffer, format: ForeignFormat): Promise<string> {
  try {
    requireForeignHead(file.subarray(0, 64 * 1024), format);
    await clustersOf(await openForeign(bytesOf(file), format));
    return "";
  } catch (thrown) {
    const { reason, message } = toSocleError(thrown);
    return `${reason} ${message}`;
  }
}

/** To a program that knows that format, and looks for it first. */
const markAsVdi = (file: Buffer): void => void file.write("\u007f\u0010\u00da\u00be", 64, "latin1");

for (const isCompressed of [false, true])
  test(`the grains of a ${isCompressed ? "compressed" : "sparse"} VMDK are where the tables have them`, async () => {
    const disk = await openForeign(bytesOf(smallVmdk({ isCompressed })), "vmdk");
    assert.equal(disk.map.capacityBytes, 256 * 1024);
    const clusters = await clustersOf(disk);
    const expected = (at: number, value: number): Buffer => {
      const cluster = Buffer.alloc(64 * 1024);
      return cluster.fill(value, at, at + VMDK_GRAIN_BYTES);
    };
    assert.deepEqual(
      clusters,
      new Map([
        [0, expected(4096, 1)],
        [1, expected(4096, 17)],
      ]),
    );
  });

test("a VMDK that was written as a stream has its directory in a footer", async () => {
  const stream = smallVmdk({ isCompressed: true });
  const [footer, place] = [Buffer.alloc(1536), stream.readBigUInt64LE(56)];
  stream.writeBigUInt64LE(2n ** 64n - 1n, 56);
  footer.writeUInt8(1, 0);
  footer.writeUInt8(3, 12);
  stream.copy(footer, 512, 0, 512);
  footer.writeBigUInt64LE(place, 512 + 56);
  const disk = await openForeign(bytesOf(Buffer.concat([stream, footer])), "vmdk");
  assert.equal((await clustersOf(disk)).get(1)?.[4096], 17);
  assert.match(await refusalOf(Buffer.concat([stream, footer.subarray(0, 1024)]), "vmdk"), /footer/);
  footer.writeBigUInt64LE(2n ** 30n, 512 + 12);
  assert.match(await refusalOf(Buffer.concat([stream, footer]), "vmdk"), /footer is no copy/);
});

test("a VMDK that leads to another file is refused, and the message names the field", async () => {
  const descriptors: readonly (readonly [from: string | RegExp, to: string, message: RegExp])[] = [
    ['"small.vmdk"', '"/etc/passwd"', /extent in the file "\/etc\/passwd"/],
    ['"small.vmdk"', '"..\\\\other.vmdk"', /extent in the file/],
    ['SPARSE "small.vmdk"', 'FLAT "small-flat.vmdk" 0', /type RW FLAT/],
    ['SPARSE "small.vmdk"', 'VMFSRDM "x" 0', /type RW VMFSRDM/],
    ["RW 512", "NOACCESS 512", /type NOACCESS SPARSE/],
    ["RW 512", 'RW 512 SPARSE "a.vmdk"\nRW 512', /2 extents/],
    [/RW 512.*/, "", /0 extents/],
    ["RW 512", "RW 1024", /extent of 1024 sectors/],
    ["parentCID=ffffffff", "parentCID=12345678", /parentCID "12345678"/],
    ["#DDB", 'parentFileNameHint="base.vmdk"', /parentFileNameHint/],
    ["#DDB", '# parentFileNameHint="base.vmdk"', /parentFileNameHint/],
    ["#DDB", 'changeTrackPath="/etc/passwd"', /changeTrackPath/],
    ["#DDB", 'encryption.keySafe = "x"', /encryption/],
    ["monolithicSparse", "twoGbMaxExtentSparse", /createType "twoGbMaxExtentSparse"/],
    ["CID=3e1f2a4b", "parentCID=ffffffff", /two values of "parentCID"/],
    ["#DDB", "SPARSE what", /the line "SPARSE what"/],
    ["# Disk", "# Disc", /does not begin with/],
    ["#DDB", `a=${" ".repeat(500)}""\n=b`, /the line "=b"/],
  ];
  for (const [from, to, message] of descriptors) {
    const file = smallVmdk({ descriptor: (text) => text.replace(from, to) });
    const refusal = await refusalOf(file, "vmdk");
    assert.match(refusal, /^IMAGE_UNSAFE/, to);
    assert.match(refusal, message, to);
  }
  const alone = Buffer.from('# Disk DescriptorFile\nRW 512 FLAT "/etc/passwd" 0\n');
  assert.match(await refusalOf(alone, "vmdk"), /^IMAGE_UNSAFE .*VMDK descriptor/);
  // libvirt reads on behind the size that the header has.
  const behind = smallVmdk({
    change: (file) => {
      file.fill(" ", 700, 1536);
      file.writeBigUInt64LE(1n, 36);
      file.write('parentFileNameHint="/etc/passwd"', 1100, "latin1");
    },
  });
  assert.match(await refusalOf(behind, "vmdk"), /parentFileNameHint/);
});

test("a VMDK with an absurd header is refused, and the message names the field", async () => {
  const changes: readonly (readonly [what: RegExp, change: VmdkChange])[] = [
    [/version 4/, { change: (file) => void file.writeUInt32LE(4, 4) }],
    [/version 0/, { change: (file) => void file.writeUInt32LE(0, 4) }],
    [/capacity 2251799813685248/, { change: (file) => void file.writeBigUInt64LE(2n ** 51n, 12) }],
    [/capacity 0/, { change: (file) => void file.writeBigUInt64LE(0n, 12) }],
    [/grainSize 0/, { change: (file) => void file.writeBigUInt64LE(0n, 20) }],
    [/grainSize 24/, { change: (file) => void file.writeBigUInt64LE(24n, 20) }],
    [/grainSize 18446744073709551615/, { change: (file) => void file.writeBigUInt64LE(2n ** 64n - 1n, 20) }],
    [/numGTEsPerGT 0/, { change: (file) => void file.writeUInt32LE(0, 44) }],
    [/descriptorOffset 0/, { change: (file) => void file.writeBigUInt64LE(0n, 28) }],
    [/descriptorOffset 2/, { change: (file) => void file.writeBigUInt64LE(2n, 28) }],
    [
      /descriptorSize 18446744073709551615/,
      { change: (file) => void file.writeBigUInt64LE(2n ** 64n - 1n, 36) },
    ],
    [/descriptorSize 0/, { change: (file) => void file.writeBigUInt64LE(0n, 36) }],
    [/compressAlgorithm 1/, { change: (file) => void file.writeUInt16LE(1, 77) }],
    [/flags 131073/, { change: (file) => void file.writeUInt32LE(0x20001, 8) }],
    [/uncleanShutdown 1/, { change: (file) => void file.writeUInt8(1, 72) }],
    [/gdOffset 0/, { change: (file) => void file.writeBigUInt64LE(0n, 56) }],
    [/footer/, { change: (file) => void file.writeBigUInt64LE(2n ** 64n - 1n, 56) }],
    [/grain directory is beyond/, { change: (file) => void file.writeBigUInt64LE(5000n, 56) }],
    [/grain directory overlaps/, { change: (file) => void file.writeBigUInt64LE(1n, 56) }],
    [/grain table 0 overlaps/, { change: (file) => void file.writeUInt32LE(3, 3 * 512) }],
    [/grain table 0 is beyond/, { change: (file) => void file.writeUInt32LE(2 ** 32 - 1, 3 * 512) }],
    [/grain 1 of its grain table 0 overlaps/, { change: (file) => void file.writeUInt32LE(4, 4 * 512 + 4) }],
    [
      /grain 17 of its grain table 0 overlaps/,
      { change: (file) => void file.writeUInt32LE(9, 4 * 512 + 68) },
    ],
    [/grain 17 of its grain table 0 is beyond/, { length: 23 * 512 }],
    [
      /grain 17 of its grain table 0 is beyond/,
      { change: (file) => void file.writeUInt32LE(2 ** 31, 4 * 512 + 68) },
    ],
    [
      /marker of grain 1 names another/,
      { isCompressed: true, change: (file) => void file.writeUInt8(9, 8 * 512) },
    ],
    [
      /marker of grain 1 has the size 0/,
      { isCompressed: true, change: (file) => void file.writeUInt32LE(0, 8 * 512 + 8) },
    ],
    [
      /marker of grain 17 has the size 65536/,
      { isCompressed: true, change: (file) => void file.writeUInt32LE(65536, 16 * 512 + 8) },
    ],
    [
      /grain 1 overlaps/,
      { isCompressed: true, change: (file) => void file.writeUInt32LE(5000, 8 * 512 + 8) },
    ],
    [
      /grain 1 is damaged/,
      { isCompressed: true, change: (file) => void file.fill(255, 8 * 512 + 12, 8 * 512 + 40) },
    ],
  ];
  for (const [what, change] of changes) {
    const refusal = await refusalOf(smallVmdk(change), "vmdk");
    assert.match(refusal, /^IMAGE_UNSAFE/, String(what));
    assert.match(refusal, what);
  }
  assert.match(await refusalOf(smallVhdx(), "vmdk"), /^IMAGE_FORMAT_MISMATCH .*KDMV/);
  assert.match(await refusalOf(smallVmdk({ change: markAsVdi }), "vmdk"), /^IMAGE_FORMAT_MISMATCH .*vdi/);
  assert.match(await refusalOf(Buffer.from("KDMV"), "vmdk"), /^IMAGE_FORMAT_MISMATCH/);
});

test("a file whose map would need too much memory, or too many transfers, is refused", async () => {
  for (const [format, tib] of [
    ["vmdk", 0.25],
    ["vhdx", 16],
  ] as const) {
    const read = () => Promise.reject(new Error("it is refused by its size"));
    await assert.rejects(openForeign({ sizeBytes: tib * 2 ** 40 + 1, read }, format), {
      reason: "IMAGE_TOO_LARGE",
      message: new RegExp(`of the format ${format}`),
    });
  }
  // Empty tables in descending order.
  const count = 2 ** 16 + 1;
  const capacity = count * 512 * 8;
  const head = smallVmdk({ descriptor: (text) => text.replace("RW 512", `RW ${capacity}`) });
  head.writeBigUInt64LE(BigInt(capacity), 12);
  const directory = Buffer.alloc(count * 4);
  for (let table = 0; table < count; table += 1)
    directory.writeUInt32LE(1024 + (count - table) * 4, table * 4);
  let reads = 0;
  const endless = {
    sizeBytes: 2 ** 30,
    read: (at: number, length: number) => {
      reads += 1;
      const part = at === 0 ? head : at === 3 * 512 ? directory : undefined;
      return Promise.resolve(Buffer.concat([part ?? Buffer.alloc(0)], length));
    },
  };
  await assert.rejects(openForeign(endless, "vmdk"), { message: /more than 65536 grain tables/ });
  assert.ok(reads < count + 5, String(reads));
});

test("the blocks of a VHDX are where its table has them", async () => {
  const disk = await openForeign(bytesOf(smallVhdx()), "vhdx");
  assert.equal(disk.map.capacityBytes, 3 * MIB);
  const clusters = await clustersOf(disk);
  assert.deepEqual(
    [...clusters.keys()],
    Array.from({ length: 16 }, (_, index) => 16 + index),
  );
  assert.ok([...clusters.values()].every((cluster) => cluster.equals(Buffer.alloc(64 * 1024, 7))));
  // The newer header counts, and a damaged one does not.
  const older = smallVhdx((file) => file.fill(1, vhdxAt.headers[0] + 48, vhdxAt.headers[0] + 64));
  assert.equal(await refusalOf(older, "vhdx"), "");
  const damaged = smallVhdx();
  damaged.writeUInt8(9, vhdxAt.headers[1] + 100);
  assert.equal(await refusalOf(damaged, "vhdx"), "");
});

test("a VHDX that leads to another file, has a log, or is absurd is refused, and the message names the field", async () => {
  const { headers, regions, metadata, items, blocks } = vhdxAt;
  const both = (places: readonly number[], work: (at: number) => void): void => places.forEach(work);
  const changes: readonly (readonly [what: RegExp, change: (file: Buffer) => void])[] = [
    [/HasParent/, (file) => void file.writeUInt32LE(2, items + 4)],
    [
      /parent locator/,
      (file) => {
        file.writeUInt16LE(4, metadata + 10);
        PARENT_LOCATOR.copy(file, metadata + 32 + 96);
      },
    ],
    [/LogGuid/, (file) => both(headers, (at) => void file.fill(1, at + 48, at + 64))],
    [/header has Version 2/, (file) => both(headers, (at) => void file.writeUInt16LE(2, at + 66))],
    [/none of its headers/, (file) => both(headers, (at) => void file.write("HEAD", at))],
    [/none of its region tables/, (file) => both(regions, (at) => void file.write("REGI", at))],
    [
      /region table has 4294967295 entries/,
      (file) => both(regions, (at) => void file.writeUInt32LE(2 ** 32 - 1, at + 8)),
    ],
    [/region tables differ/, (file) => void file.writeBigUInt64LE(BigInt(blocks + MIB), regions[1] + 32)],
    [/required region/, (file) => both(regions, (at) => void file.writeUInt8(1, at + 16))],
    [/allocation table is at/, (file) => both(regions, (at) => void file.writeBigUInt64LE(1000n, at + 32))],
    [
      /allocation table is beyond/,
      (file) => both(regions, (at) => void file.writeBigUInt64LE(2n ** 60n, at + 32)),
    ],
    [
      /metadata overlaps/,
      (file) => both(regions, (at) => void file.writeBigUInt64LE(BigInt(blocks), at + 64)),
    ],
    [/does not begin with "metadata"/, (file) => void file.write("METADATA", metadata)],
    [/metadata has 65535 entries/, (file) => void file.writeUInt16LE(65535, metadata + 10)],
    [/required item/, (file) => void file.writeUInt8(1, metadata + 32)],
    [/outside of its region/, (file) => void file.writeUInt32LE(2 ** 32 - 8, metadata + 32 + 16)],
    [/BlockSize 0/, (file) => void file.writeUInt32LE(0, items)],
    [/BlockSize 3145728/, (file) => void file.writeUInt32LE(3 * MIB, items)],
    [/VirtualDiskSize 1152921504606846976/, (file) => void file.writeBigUInt64LE(2n ** 60n, items + 8)],
    [/VirtualDiskSize 0/, (file) => void file.writeBigUInt64LE(0n, items + 8)],
    [/VirtualDiskSize 1000/, (file) => void file.writeBigUInt64LE(1000n, items + 8)],
    [/LogicalSectorSize 4096/, (file) => void file.writeUInt32LE(4096, items + 16)],
    [/allocation table has 1048576 bytes/, (file) => void file.writeBigUInt64LE(2n ** 38n, items + 8)],
    [/allocation table has \d+ entries/, (file) => void file.writeBigUInt64LE(2n ** 44n, items + 8)],
    [/block 0 has the state 7/, (file) => void file.writeUInt32LE(7, blocks)],
    [/block 1 overlaps/, (file) => void file.writeUInt32LE((4 << 20) | 6, blocks)],
    [/block 1 overlaps/, (file) => void file.writeUInt32LE(6, blocks + 8)],
    [/block 1 is beyond/, (file) => void file.writeUInt32LE(2 ** 31, blocks + 12)],
  ];
  for (const [what, change] of changes) {
    const refusal = await refusalOf(smallVhdx(change), "vhdx");
    assert.match(refusal, /^IMAGE_UNSAFE/, String(what));
    assert.match(refusal, what);
  }
  assert.match(await refusalOf(smallVhdx().subarray(0, 4 * MIB + 1000), "vhdx"), /block 1 is beyond/);
  assert.match(await refusalOf(smallVhdx().subarray(0, 100 * 1024), "vhdx"), /^IMAGE_UNSAFE .*beyond/);
  assert.match(await refusalOf(smallVmdk(), "vhdx"), /^IMAGE_FORMAT_MISMATCH .*vhdxfile/);
  assert.match(await refusalOf(smallVhdx(markAsVdi), "vhdx"), /^IMAGE_FORMAT_MISMATCH .*vdi/);
});
