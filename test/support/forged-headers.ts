import { execFile } from "node:child_process";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
/** More than the header of each format. */
const HEAD_BYTES = 128 * 1024;
/** Where an ISO image has its first descriptor. */
const ISO_AT = 32 * 1024;
const FORGED_CAPACITY = "1T";

export interface ForgedHeader {
  readonly name: string;
  readonly bytes: Buffer;
}

/**
 * The first bytes of images of all formats that libvirt or QEMU find by them. Those that can refer to another file name
 * `bait`, or `baitUrl`.
 */
export async function forgedHeaders(bait: string, baitUrl: string): Promise<readonly ForgedHeader[]> {
  const directory = await mkdtemp(join(tmpdir(), "socle-forged-"));
  try {
    const made = async (name: string, format: string, ...options: string[]): Promise<ForgedHeader> => {
      const path = join(directory, name);
      await run("qemu-img", ["create", "-q", "-f", format, ...options, path, FORGED_CAPACITY]);
      const file = await open(path);
      try {
        const bytes = Buffer.alloc(HEAD_BYTES);
        await file.read(bytes, 0, HEAD_BYTES, 0);
        return { name, bytes };
      } finally {
        await file.close();
      }
    };
    const over = (name: string, format = "raw"): string[] => ["-u", "-b", name, "-F", format];
    const json = `json:${JSON.stringify({ driver: "raw", file: { driver: "file", filename: bait } })}`;
    const v3 = await made("qcow2 v3 over a file", "qcow2", ...over(bait));
    // Without a format libvirt opens the file to find it.
    const unsaid = { name: "qcow2 over a file of any format", bytes: withoutBackingFormat(v3.bytes) };
    const key = ["--object", "secret,id=key,data=forged", "-o", "key-secret=key,iter-time=10"];
    return [
      v3,
      unsaid,
      await made("qcow2 v2 over a file", "qcow2", "-o", "compat=0.10", ...over(bait)),
      await made("qcow2 over a json: name", "qcow2", ...over(json)),
      await made("qcow2 over an nbd: name", "qcow2", ...over(baitUrl)),
      await made("qcow2 with a data file", "qcow2", "-o", `data_file=${join(directory, "data")}`).then(
        ({ name, bytes }) => ({ name, bytes: replaced(bytes, join(directory, "data"), bait) }),
      ),
      qcowOver(bait),
      await made("qed over a file", "qed", ...over(bait)),
      vmdkOver(bait),
      await made("vdi", "vdi"),
      await made("vhdx", "vhdx"),
      await made("vhd", "vpc"),
      await made("luks", "luks", ...key),
      { name: "qcow2 that is an ISO image too", bytes: asIso(unsaid.bytes) },
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The name of the header's extension with the format of the backing file becomes an unknown one. */
function withoutBackingFormat(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const at = copy.indexOf(Buffer.from("e2792aca", "hex"));
  copy.writeUInt32BE(0x1234_5678, at);
  return copy;
}

/** `to` is in the place of `from`, and no longer. */
function replaced(bytes: Buffer, from: string, to: string): Buffer {
  const copy = Buffer.from(bytes);
  const at = copy.indexOf(from);
  if (at < 0) return copy;
  copy.fill(0, at, at + from.length);
  copy.write(to.slice(0, from.length), at);
  return copy;
}

function asIso(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy.write("\u0001CD001\u0001", ISO_AT, "latin1");
  return copy;
}

/** qcow, the format before qcow2, has no name of its backing file's format. */
function qcowOver(backing: string): ForgedHeader {
  const bytes = Buffer.alloc(HEAD_BYTES);
  bytes.write("QFI\u00fb", 0, "latin1");
  bytes.writeUInt32BE(1, 4);
  bytes.writeBigUInt64BE(48n, 8);
  bytes.writeUInt32BE(backing.length, 16);
  bytes.writeBigUInt64BE(2n ** 40n, 24);
  bytes.writeUInt8(12, 32);
  bytes.writeUInt8(9, 33);
  bytes.writeBigUInt64BE(4096n, 40);
  bytes.write(backing, 48);
  return { name: "qcow over a file", bytes };
}

/** A sparse extent whose descriptor names its parent: libvirt reads that behind the first sector. */
function vmdkOver(parent: string): ForgedHeader {
  const bytes = Buffer.alloc(HEAD_BYTES);
  bytes.write("KDMV", 0, "latin1");
  bytes.writeUInt32LE(1, 4);
  bytes.writeBigUInt64LE(2n ** 31n, 12);
  bytes.writeBigUInt64LE(128n, 20);
  bytes.writeBigUInt64LE(1n, 28);
  bytes.writeBigUInt64LE(20n, 36);
  bytes.write(
    `# Disk DescriptorFile\nversion=1\nCID=2a\nparentCID=2b\ncreateType="monolithicSparse"\nparentFileNameHint="${parent}"\n`,
    512,
    "latin1",
  );
  return { name: "vmdk over a file", bytes };
}
