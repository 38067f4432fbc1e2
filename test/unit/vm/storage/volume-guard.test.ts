// The files that image headers refer to, and which of them the host opens.
import { formatOf } from "../../../../agent/contract/spec-volume-name.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import type { LibvirtStream, Procedure } from "../../../../agent/libvirt/index.ts";
import { readQcow2Header } from "../../../../agent/vm/storage/qcow2-header.ts";
import { VolumeGuard, type Look } from "../../../../agent/vm/storage/volume-guard.ts";

interface HeaderOptions {
  readonly version?: number;
  readonly hasDataFile?: boolean;
  readonly backing?: string;
  readonly formats?: readonly string[];
  /** The path that libvirt reports. */
  readonly nameAt?: number;
}

/** The layout in QEMU's docs/interop/qcow2.txt. */
function header({
  version = 3,
  hasDataFile = false,
  backing,
  formats = [],
  nameAt,
}: HeaderOptions = {}): Buffer {
  const head = Buffer.alloc(version === 2 ? 72 : 104);
  head.writeUInt32BE(0x514649fb, 0);
  head.writeUInt32BE(version, 4);
  head.writeUInt32BE(16, 20);
  if (version === 3) {
    head.writeBigUInt64BE(hasDataFile ? 4n : 0n, 72);
    head.writeUInt32BE(104, 100);
  }
  const extensions = formats.map((format) => {
    const bytes = Buffer.alloc(8 + Math.ceil(format.length / 8) * 8);
    bytes.writeUInt32BE(0xe2792aca, 0);
    bytes.writeUInt32BE(format.length, 4);
    bytes.write(format, 8);
    return bytes;
  });
  const before = Buffer.concat([head, ...extensions, Buffer.alloc(8)]);
  if (backing !== undefined) {
    before.writeBigUInt64BE(BigInt(nameAt ?? before.length), 8);
    before.writeUInt32BE(Buffer.byteLength(backing), 16);
  }
  return Buffer.concat([before, Buffer.from(backing ?? ""), Buffer.alloc(4096)]);
}

const overlay = (backing: string, format = "qcow2"): Buffer => header({ backing, formats: [format] });

interface Put {
  readonly bytes?: Buffer;
  /** The format that libvirt found. */
  readonly probed?: string;
  readonly type?: string;
  readonly is?: "file" | "link" | "other" | "unseen";
  readonly names?: number;
}

/** The reason for which a volume of such a pool is refused; "safe" without one. */
async function judged(
  volume: string,
  files: Readonly<Record<string, Put>>,
  { poolType = "dir", base }: { readonly poolType?: string; readonly base?: string } = {},
): Promise<string> {
  const put = (name: string): Put => files[name] ?? {};
  const answers: Record<string, (args: { vol?: { name: string } }) => unknown> = {
    STORAGE_POOL_GET_XML_DESC: () => ({ xml: `<pool type='${poolType}'><name>images</name></pool>` }),
    STORAGE_VOL_GET_XML_DESC: ({ vol }) => {
      const name = vol?.name ?? "";
      if (files[name] === undefined) throw new SocleError("not_found", "LIBVIRT_NO_STORAGE_VOL", "none");
      const path = `<target><path>/images/${name}</path></target>`;
      return {
        xml: `<volume type='${put(name).type ?? "file"}'><name>x</name><capacity>1</capacity>${path}</volume>`,
      };
    },
  };
  const call = <A, R>({ name }: Procedure<A, R>, args: A): Promise<R> =>
    Promise.resolve().then(() => answers[name]?.(args as { vol?: { name: string } }) as R);
  const openStream = <A, R>(_procedure: Procedure<A, R>, args: A): Promise<LibvirtStream<R>> => {
    const { vol } = args as { vol: { name: string } };
    const pieces = [put(vol.name).bytes ?? (formatOf(vol.name) === "qcow2" ? header() : Buffer.alloc(512))];
    return Promise.resolve(pieces as unknown as LibvirtStream<R>);
  };
  const look: Look = (path) => {
    const { is = "file", names = 1 } = put(path.slice("/images/".length));
    if (is === "unseen") return Promise.reject(new Error("EACCES"));
    return Promise.resolve({
      isFile: () => is === "file",
      isSymbolicLink: () => is === "link",
      nlink: names,
    });
  };
  const vol = { pool: "images", name: volume, key: "" };
  const image = {
    vol,
    name: volume,
    path: `/images/${volume}`,
    format: formatOf(volume),
    type: put(volume).type,
    suspicious: put(volume).probed,
  };
  try {
    await new VolumeGuard({ call, openStream }, look).check(
      { name: "images", uuid: "" },
      image,
      base === undefined ? [] : [base],
    );
    return "safe";
  } catch (thrown) {
    return toSocleError(thrown).reason;
  }
}

const ID = "11111111-1111-4111-8111-111111111111";
const OTHER = "22222222-2222-4222-8222-222222222222";

test("images and overlays within their own pool are safe", async () => {
  assert.equal(await judged("a.img", {}), "safe");
  assert.equal(await judged("a.qcow2", {}), "safe");
  assert.equal(await judged("a.qcow2", { "a.qcow2": { bytes: Buffer.from("no qcow2") } }), "safe");
  const chain = {
    "a.qcow2": { bytes: overlay("/images/b.qcow2") },
    "b.qcow2": { bytes: overlay("c.img", "raw") },
    "c.img": {},
  };
  assert.equal(await judged("a.qcow2", chain), "safe");
  assert.equal(
    await judged("sealed.raw", { "sealed.raw": { bytes: Buffer.from("LUKS\xba\xbe", "latin1") } }),
    "safe",
  );
});

test("a raw file that begins as an image is opened nowhere, neither by itself nor below another", async () => {
  const forged = { bytes: overlay("/etc/shadow", "raw") };
  assert.equal(await judged("a.img", { "a.img": forged }), "VOLUME_SUSPICIOUS");
  const chain = { "a.qcow2": { bytes: overlay("b.img", "raw") }, "b.img": forged };
  assert.equal(await judged("a.qcow2", chain), "VOLUME_SUSPICIOUS");
  for (const magic of ["QED\0", "KDMV", "OOOM", "# Disk DescriptorFile", "conectix", "vhdxfile"])
    assert.equal(
      await judged("a.raw", { "a.raw": { bytes: Buffer.from(magic) } }),
      "VOLUME_SUSPICIOUS",
      magic,
    );
  assert.equal(await judged("a.qcow2", { "a.qcow2": { probed: "vmdk" } }), "VOLUME_SUSPICIOUS");
  // Nothing but its reader interprets a block device.
  assert.equal(await judged("a", { a: { ...forged, type: "block" } }, { poolType: "logical" }), "safe");
});

test("a VM's own disk may back an image only when the request names it as the base, whatever its name", async () => {
  const [others, own] = [`socle-${OTHER}-root.qcow2`, `socle-${ID}-root.qcow2`];
  const files = {
    [others]: {},
    [own]: { bytes: overlay(others) },
    "above.qcow2": { bytes: overlay(own) },
  };
  assert.equal(await judged(own, files), "VOLUME_UNSAFE", "a name is chosen by the uploader");
  assert.equal(await judged(own, files, { base: others }), "safe", "requested by name");
  assert.equal(
    await judged(own, files, { base: "base.qcow2" }),
    "VOLUME_UNSAFE",
    "the request names another base",
  );
  assert.equal(
    await judged("above.qcow2", files, { base: own }),
    "VOLUME_UNSAFE",
    "behind the requested base",
  );
});

test("an overlay with a backing file outside its pool is refused, at any depth and in any notation", async () => {
  for (const backing of [
    "/etc/shadow",
    "../x",
    "/images/../x",
    "/images/./b.qcow2",
    "/images/b/c.qcow2",
    "/imagesx/b.qcow2",
    "file:b.qcow2",
    "file:/images/b.qcow2",
    "nbd://127.0.0.1/b.qcow2",
    'json:{"driver":"file","filename":"/images/b.qcow2"}',
    "b.qcow2\0",
    ".b.qcow2",
    "-b.qcow2",
    "there-is-none.qcow2",
  ]) {
    const files = { "a.qcow2": { bytes: overlay("b.qcow2") }, "b.qcow2": { bytes: overlay(backing) } };
    assert.equal(await judged("b.qcow2", files), "BACKING_OUTSIDE_POOL", backing);
    assert.equal(await judged("a.qcow2", files), "BACKING_OUTSIDE_POOL", `${backing}, two deep`);
  }
});

test("an image that refers outside by other means is refused, also as a backing file", async () => {
  const bad: Readonly<Record<string, Put>> = {
    "link.qcow2": { is: "link" },
    "device.qcow2": { is: "other" },
    "block.qcow2": { type: "block" },
    "folder.qcow2": { type: "dir" },
    "names.qcow2": { names: 2 },
    "data.qcow2": { bytes: header({ hasDataFile: true }) },
    "confused.qcow2": { bytes: overlay("c.img", "qcow2") },
    "probed.qcow2": { bytes: header({ backing: "c.img" }) },
    "twice.qcow2": { bytes: header({ backing: "c.img", formats: ["raw", "qcow2"] }) },
    "beyond.qcow2": { bytes: header({ backing: "c.img", nameAt: 2 ** 40 }) },
    "before.qcow2": { bytes: header({ backing: "c.img", nameAt: 8 }) },
    "self.qcow2": { bytes: overlay("self.qcow2") },
    "thief.qcow2": { bytes: overlay(`socle-${OTHER}-root.qcow2`) },
    [`socle-${OTHER}-root.qcow2`]: {},
    "c.img": {},
  };
  for (const name of Object.keys(bad).slice(0, -2)) {
    assert.equal(await judged(name, bad), "VOLUME_UNSAFE", name);
    const above = { ...bad, "above.qcow2": { bytes: overlay(name) } };
    assert.equal(await judged("above.qcow2", above), "VOLUME_UNSAFE", `an overlay of ${name}`);
  }
  assert.equal(await judged("a.img", { "a.img": { is: "unseen" } }), "POOL_DIRECTORY_UNREADABLE");
});

test("links in libvirt's own paths are accepted; links in headers are not", async () => {
  const files = {
    "a.img": { is: "link", type: "block" },
    "b.qcow2": { is: "link", bytes: overlay("/etc/shadow") },
  } as const;
  assert.equal(await judged("a.img", files, { poolType: "logical" }), "safe");
  assert.equal(await judged("b.qcow2", files, { poolType: "logical" }), "BACKING_OUTSIDE_POOL");
});

test("headers of both versions are read, and headers of no version are ignored", () => {
  assert.deepEqual(readQcow2Header(header({ version: 2, backing: "b", formats: ["raw"] })), {
    hasDataFile: false,
    backing: { file: "b", format: "raw" },
  });
  assert.equal(readQcow2Header(header({ version: 4 })), undefined);
  assert.equal(readQcow2Header(header().subarray(0, 60)), undefined);
  assert.throws(() => readQcow2Header(header().subarray(0, 80)), RangeError);
});
