import * as libvirt from "../../agent/libvirt/index.ts";
import { parsePool, parseVolume } from "../../agent/libvirt/xml/index.ts";
import { readQcow2Header } from "../../agent/vm/storage/qcow2-header.ts";
import { answerOf, step, uuidOf, type Side, type Step } from "./libvirt-model-step.ts";

export const pool: libvirt.StoragePool = { name: "images", uuid: uuidOf(800) };
const noPool: libvirt.StoragePool = { name: "nowhere", uuid: uuidOf(801) };
const vol = (name: string) => (side: Side) => ({
  vol: { pool: "images", name, key: `${side.images}/${name}` },
});
const named = (name: string, of = pool.name): libvirt.StorageVol => ({ pool: of, name, key: "" });
const volumeXml = (name: string, format: string, backing = ""): string =>
  `<volume><name>${name}</name><capacity unit='bytes'>1048576</capacity><allocation unit='bytes'>0</allocation>
   <target><format type='${format}'/></target>${backing}</volume>`;
const backedBy = (path: string): string =>
  `<backingStore><path>${path}</path><format type='qcow2'/></backingStore>`;
const volumeView = ({ xml }: { xml: string }) => {
  const { name, key, type, capacityBytes, path, format, backing } = parseVolume(xml);
  return { name, key, type, capacityBytes, path, format, backing };
};

export const storageSteps: readonly Step[] = [
  step("all", libvirt.connectListAllStoragePools, { needResults: true, flags: 0 }, ({ pools }) =>
    pools.map(({ name }) => name),
  ),
  step(
    "active",
    libvirt.connectListAllStoragePools,
    { needResults: true, flags: libvirt.ConnectListAllStoragePoolsFlags.ACTIVE },
    ({ pools }) => pools.map(({ name }) => name),
  ),
  step(
    "inactive",
    libvirt.connectListAllStoragePools,
    { needResults: true, flags: libvirt.ConnectListAllStoragePoolsFlags.INACTIVE },
    ({ pools }) => pools.map(({ name }) => name),
  ),
  step("there", libvirt.storagePoolLookupByName, { name: "images" }, ({ pool: { name } }) => name),
  step("missing", libvirt.storagePoolLookupByName, { name: "nowhere" }),
  step("there", libvirt.storagePoolGetXmlDesc, { pool, flags: 0 }, ({ xml }) => {
    const { type, name, path, capacityBytes = 0 } = parsePool(xml);
    return { type, name, path, hasRoom: capacityBytes > 0 };
  }),
  step("there", libvirt.storagePoolGetInfo, { pool }, ({ state, capacity, available }) => ({
    state,
    hasRoom: capacity > 0 && available > 0,
  })),
  step("missing", libvirt.storagePoolGetInfo, { pool: noPool }),
  step("there", libvirt.storagePoolIsActive, { pool }),
  step("there", libvirt.storagePoolGetAutostart, { pool }),
  step("there", libvirt.storagePoolRefresh, { pool, flags: 0 }),
  step("missing", libvirt.storagePoolRefresh, { pool: noPool, flags: 0 }),
  step("missing", libvirt.storageVolLookupByName, { pool, name: "a.raw" }),
  step("in no pool", libvirt.storageVolLookupByName, { pool: noPool, name: "a.raw" }),
  step("raw", libvirt.storageVolCreateXml, { pool, xml: volumeXml("a.raw", "raw"), flags: 0 }),
  step("again", libvirt.storageVolCreateXml, { pool, xml: volumeXml("a.raw", "raw"), flags: 0 }),
  step("in no pool", libvirt.storageVolCreateXml, { pool: noPool, xml: volumeXml("a.raw", "raw"), flags: 0 }),
  step("qcow2", libvirt.storageVolCreateXml, { pool, xml: volumeXml("b.qcow2", "qcow2"), flags: 0 }),
  step("overlay", libvirt.storageVolCreateXml, ({ images }) => ({
    pool,
    xml: volumeXml("c.qcow2", "qcow2", backedBy(`${images}/b.qcow2`)),
    flags: 0,
  })),
  step("all", libvirt.storagePoolListAllVolumes, { pool, needResults: true, flags: 0 }, ({ vols }) =>
    vols
      .map(({ name }) => name)
      .filter((name) => /^[abc]\./.test(name))
      .sort(),
  ),
  step("there", libvirt.storageVolLookupByName, { pool, name: "a.raw" }),
  ...["a.raw", "b.qcow2", "c.qcow2", "d.raw"].map((name) =>
    step(name, libvirt.storageVolGetXmlDesc, (side) => ({ ...vol(name)(side), flags: 0 }), volumeView),
  ),
  // The names alone find a volume.
  step("without key", libvirt.storageVolGetXmlDesc, { vol: named("a.raw"), flags: 0 }, volumeView),
  step("missing", libvirt.storageVolGetXmlDesc, { vol: named("e.raw"), flags: 0 }),
  step("in no pool", libvirt.storageVolGetXmlDesc, { vol: named("a.raw", noPool.name), flags: 0 }),
  step("there", libvirt.storageVolGetInfo, vol("a.raw"), ({ type, capacity }) => ({ type, capacity })),
  step("larger", libvirt.storageVolResize, (side) => ({
    ...vol("a.raw")(side),
    capacity: 2 ** 21,
    flags: 0,
  })),
  step("larger", libvirt.storageVolGetInfo, vol("a.raw"), ({ capacity }) => capacity),
  step("there", libvirt.storageVolWipePattern, (side) => ({ ...vol("a.raw")(side), algorithm: 0, flags: 0 })),
  ...["a.raw", "b.qcow2", "c.qcow2", "d.raw"].map(download),
  upload("a.raw"),
  upload("d.raw"),
  ...["c.qcow2", "b.qcow2", "a.raw", "a.raw"].map((name, index) =>
    step(`${name} ${index}`, libvirt.storageVolDelete, (side) => ({ ...vol(name)(side), flags: 0 })),
  ),
];

function download(name: string): Step {
  const { name: procedure } = libvirt.storageVolDownload;
  return {
    name: `${procedure}: ${name}`,
    procedure,
    run: (side) =>
      answerOf(async () => {
        const args = { ...vol(name)(side), offset: 0, length: 65_536, flags: 0 };
        const pieces: Buffer[] = [];
        for await (const piece of await side.libvirt.openStream(libvirt.storageVolDownload, args))
          pieces.push(piece);
        const bytes = Buffer.concat(pieces);
        return { bytes: bytes.length, header: readQcow2Header(bytes) };
      }, side),
  };
}

function upload(name: string): Step {
  const { name: procedure } = libvirt.storageVolUpload;
  return {
    name: `${procedure}: ${name}`,
    procedure,
    run: (side) =>
      answerOf(async () => {
        const args = { ...vol(name)(side), offset: 0, length: 4096, flags: 0 };
        const stream = await side.libvirt.openStream(libvirt.storageVolUpload, args);
        await stream.write(Buffer.alloc(4096));
        await stream.finish();
        return "written";
      }, side),
  };
}
