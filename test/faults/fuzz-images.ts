import { isSocleError } from "../../agent/kernel/errors.ts";
import { openForeign, requireForeignHead } from "../../agent/vm/images/foreign-formats.ts";
import type { StoredBytes } from "../../agent/vm/images/foreign-disk.ts";
import { requireSafeHeader } from "../../agent/vm/images/header-check.ts";
import { clustersOf, sealVhdx, smallVhdx, smallVmdk, vhdxAt } from "../support/vm/foreign-images.ts";
import type { Chance } from "./fuzz-chance.ts";
import type { FuzzTarget } from "./fuzz-target.ts";

const kinds = ["vmdk", "vmdk compressed", "vhdx", "vhdx with checksums", "qcow2"] as const;
const vmdks = { vmdk: smallVmdk(), "vmdk compressed": smallVmdk({ isCompressed: true }) } as const;
/** Each input writes all of its parts; one is fed at a time. */
const vhdx = smallVhdx();
/** The parts of a VHDX that an input has, since most of the file is zeros or the guest's. */
const PART_BYTES = 192;
const parts = [...vhdxAt.headers, ...vhdxAt.regions, vhdxAt.metadata, vhdxAt.items, vhdxAt.blocks] as const;
const vhdxParts = Buffer.concat(parts.map((at) => vhdx.subarray(at, at + PART_BYTES)));

function qcow2(): Buffer {
  const header = Buffer.alloc(512);
  header.write("QFI\u00fb", 0, "latin1");
  header.writeUInt32BE(3, 4);
  header.writeUInt32BE(16, 20);
  header.writeBigUInt64BE(2n ** 30n, 24);
  header.writeUInt32BE(2, 36);
  header.writeUInt32BE(104, 100);
  return header;
}

/** Images as any client may send them: each is read within its bounds, or refused. */
export const images: FuzzTarget = {
  name: "image",
  share: 40,
  make: (chance: Chance) => {
    const kind = chance.below(kinds.length);
    const name = kinds[kind] ?? "qcow2";
    const whole =
      name === "qcow2" ? qcow2() : name.startsWith("vhdx") ? vhdxParts : vmdks[name as keyof typeof vmdks];
    return Buffer.concat([
      Buffer.from([kind]),
      chance.is(95) ? chance.mutated(whole) : chance.bytes(chance.below(2000)),
    ]);
  },
  feed: async (input) => {
    const kind = kinds[(input[0] ?? 0) % kinds.length] ?? "qcow2";
    const body = input.subarray(1);
    try {
      if (kind === "qcow2") checkCapacity(requireSafeHeader(body, "qcow2") ?? 0);
      else if (kind.startsWith("vmdk")) await readAll(body, "vmdk");
      else await readAll(vhdxOf(body, kind === "vhdx with checksums"), "vhdx");
    } catch (thrown) {
      const isRefusal =
        isSocleError(thrown) && ["IMAGE_UNSAFE", "IMAGE_FORMAT_MISMATCH"].includes(thrown.reason);
      if (!isRefusal) throw thrown;
    }
  },
};

async function readAll(file: Buffer, format: "vmdk" | "vhdx"): Promise<void> {
  requireForeignHead(file.subarray(0, 64 * 1024), format);
  const disk = await openForeign(within(file), format);
  checkCapacity(disk.map.capacityBytes);
  for (const [index, cluster] of await clustersOf(disk))
    if (cluster.length !== 64 * 1024) throw new Error(`cluster ${index} has ${cluster.length} bytes`);
}

function checkCapacity(capacityBytes: number): void {
  if (!(capacityBytes > 0 && capacityBytes <= 2 ** 44)) throw new Error(`a disk of ${capacityBytes} bytes`);
}

/** A read outside of the file is a violation, and so is a long one: its bytes are held in memory. */
const within = (file: Buffer): StoredBytes => ({
  sizeBytes: file.length,
  read: (at, length) =>
    Number.isSafeInteger(at) && at >= 0 && length >= 0 && length <= 16 * 2 ** 20 && at + length <= file.length
      ? Promise.resolve(file.subarray(at, at + length))
      : Promise.reject(new Error(`a read of ${length} bytes at ${at} of ${file.length}`)),
});

function vhdxOf(body: Buffer, isSealed: boolean): Buffer {
  for (const [order, at] of parts.entries()) {
    const part = body.subarray(order * PART_BYTES, (order + 1) * PART_BYTES);
    vhdx.fill(0, at, at + PART_BYTES);
    part.copy(vhdx, at);
  }
  if (isSealed) sealVhdx(vhdx);
  return vhdx;
}
