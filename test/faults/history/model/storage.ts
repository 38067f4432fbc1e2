/** libvirt's calls for storage pools and volumes. */
import * as libvirt from "../../../../agent/libvirt/index.ts";
import { element, find, textAt, viewXml, writeXml, type Element } from "./element.ts";
import {
  answering,
  Refusal,
  type Entry,
  type ModelPool,
  type ModelVolume,
  type Subject,
  type World,
} from "./world.ts";

const QCOW2_EMPTY_BYTES = 200_704;
const HEADER_BYTES = 64 * 1024;

const ofVolume = ({ vol }: { vol: libvirt.StorageVol }): Subject => ({ volume: `${vol.pool}/${vol.name}` });

export const allocated = (pool: ModelPool): number =>
  [...pool.volumes.values()].reduce((sum, { allocationBytes }) => sum + allocationBytes, 0);

function volumeOf(world: World, vol: libvirt.StorageVol): ModelVolume {
  const found = world.poolOf(vol).volumes.get(vol.name);
  if (found === undefined)
    throw new Refusal(50, `Storage volume not found: no storage vol with matching name '${vol.name}'`);
  return found;
}

const referenceTo = (pool: ModelPool, { name, path }: ModelVolume): libvirt.StorageVol => ({
  pool: pool.name,
  name,
  key: path,
});

const bytesOf = (from: Element, path: string): number | undefined => {
  const found = find(from, path);
  if (found === undefined) return undefined;
  const units: Readonly<Record<string, number>> = { bytes: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
  const unit = found.attributes.unit ?? "bytes";
  return Number(found.text) * (units[unit] ?? 1);
};

function create(world: World, pool: ModelPool, xml: string): ModelVolume {
  const wanted = viewXml(xml, "volume");
  const name = textAt(wanted, "name") ?? "";
  if (pool.volumes.has(name)) throw new Refusal(90, `storage volume '${name}' exists already`);
  const format = find(wanted, "target/format")?.attributes.type ?? "raw";
  const capacityBytes = bytesOf(wanted, "capacity") ?? 0;
  const asked = bytesOf(wanted, "allocation") ?? capacityBytes;
  const allocationBytes = format === "qcow2" ? QCOW2_EMPTY_BYTES : asked;
  if (allocated(pool) + allocationBytes > pool.capacityBytes)
    throw new Refusal(38, `cannot allocate ${allocationBytes} bytes: No space left on device`, 28);
  const backing = find(wanted, "backingStore");
  const backingPath = backing && textAt(backing, "path");
  const backingFormat = backing && find(backing, "format")?.attributes.type;
  const secretUuid = find(wanted, "target/encryption/secret")?.attributes.uuid;
  const volume: ModelVolume = {
    name,
    path: `${pool.path}/${name}`,
    format,
    capacityBytes,
    allocationBytes,
    mark: `new ${world.number()}`,
    ...(backingPath === undefined
      ? {}
      : {
          backing: { path: backingPath, ...(backingFormat === undefined ? {} : { format: backingFormat }) },
        }),
    ...(secretUuid === undefined ? {} : { secretUuid }),
  };
  pool.volumes.set(name, volume);
  return volume;
}

const size = (name: string, value: number): Element => element(name, { unit: "bytes" }, String(value));

const volumeXml = (volume: ModelVolume): string => {
  const { name, path, format, capacityBytes, allocationBytes, backing, secretUuid } = volume;
  const encryption = (uuid: string): Element =>
    element("encryption", { format: "luks" }, [element("secret", { type: "passphrase", uuid })]);
  return writeXml(
    element("volume", { type: "file" }, [
      element("name", {}, name),
      element("key", {}, path),
      size("capacity", capacityBytes),
      size("allocation", allocationBytes),
      size("physical", format === "qcow2" ? allocationBytes : capacityBytes),
      element("target", {}, [
        element("path", {}, path),
        element("format", { type: format }),
        ...(secretUuid === undefined ? [] : [encryption(secretUuid)]),
      ]),
      ...(backing === undefined
        ? []
        : [
            element("backingStore", {}, [
              element("path", {}, backing.path),
              ...(backing.format === undefined ? [] : [element("format", { type: backing.format })]),
            ]),
          ]),
    ]),
  );
};

const poolXml = (pool: ModelPool): string => {
  const used = allocated(pool);
  const { capacityBytes, type, name, uuid, path, active } = pool;
  return writeXml(
    element("pool", { type }, [
      element("name", {}, name),
      element("uuid", {}, uuid),
      size("capacity", active ? capacityBytes : 0),
      size("allocation", active ? used : 0),
      size("available", active ? capacityBytes - used : 0),
      element("source"),
      element("target", {}, [element("path", {}, path)]),
    ]),
  );
};

const poolReference = ({ name, uuid }: ModelPool): libvirt.StoragePool => ({ name, uuid });

/** The first bytes of an image: a qcow2 header with the backing file's name, else zeros. */
export function firstBytes({ format, capacityBytes, backing }: ModelVolume): Buffer {
  if (format !== "qcow2") return Buffer.alloc(Math.min(HEADER_BYTES, capacityBytes));
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt32BE(0x514649fb, 0);
  bytes.writeUInt32BE(3, 4);
  bytes.writeBigUInt64BE(BigInt(capacityBytes), 24);
  const headerBytes = 112;
  bytes.writeUInt32BE(headerBytes, 100);
  if (backing === undefined) return bytes;
  let at = headerBytes;
  if (backing.format !== undefined) {
    bytes.writeUInt32BE(0xe2792aca, at);
    bytes.writeUInt32BE(backing.format.length, at + 4);
    bytes.write(backing.format, at + 8, "latin1");
    at += 8 + Math.ceil(backing.format.length / 8) * 8;
  }
  at += 8;
  bytes.writeBigUInt64BE(BigInt(at), 8);
  bytes.writeUInt32BE(backing.path.length, 16);
  bytes.write(backing.path, at, "latin1");
  return bytes;
}

export const storageCalls: readonly Entry[] = [
  answering(libvirt.connectListAllStoragePools, (world, { flags }) => {
    const { ACTIVE, INACTIVE } = libvirt.ConnectListAllStoragePoolsFlags;
    const isAsked = ({ active }: ModelPool): boolean =>
      (flags & (ACTIVE | INACTIVE)) === 0 || (flags & (active ? ACTIVE : INACTIVE)) !== 0;
    const pools = [...world.pools.values()].filter(isAsked).map(poolReference);
    return { pools, ret: pools.length };
  }),
  answering(libvirt.storagePoolLookupByName, (world, { name }) => ({
    pool: poolReference(world.poolNamed(name)),
  })),
  answering(libvirt.storagePoolIsActive, (world, { pool }) => ({
    active: world.pool(pool, "any").active,
  })),
  answering(libvirt.storagePoolGetAutostart, (world, { pool }) => ({
    autostart: world.pool(pool, "any").autostart,
  })),
  answering(libvirt.storagePoolGetXmlDesc, (world, { pool }) => ({
    xml: poolXml(world.pool(pool, "any")),
  })),
  answering(libvirt.storagePoolGetInfo, (world, { pool: reference }) => {
    const pool = world.pool(reference, "any");
    const { INACTIVE, RUNNING } = libvirt.StoragePoolState;
    if (!pool.active) return { state: INACTIVE, capacity: 0, allocation: 0, available: 0 };
    const allocation = allocated(pool);
    const { capacityBytes: capacity } = pool;
    return { state: RUNNING, capacity, allocation, available: capacity - allocation };
  }),
  answering(libvirt.storagePoolRefresh, (world, { pool: reference }) => {
    const pool = world.pool(reference);
    world.publish({ kind: "storage_pool", pool: poolReference(pool), event: "refreshed" });
    return {};
  }),
  answering(libvirt.storagePoolListAllVolumes, (world, { pool: reference }) => {
    const pool = world.pool(reference);
    const vols = [...pool.volumes.values()].map((volume) => referenceTo(pool, volume));
    return { vols, ret: vols.length };
  }),
  answering(libvirt.storageVolLookupByName, (world, { pool: reference, name }) => {
    const pool = world.pool(reference);
    return { vol: referenceTo(pool, volumeOf(world, { pool: pool.name, name, key: "" })) };
  }),
  answering(libvirt.storageVolGetXmlDesc, (world, { vol }) => ({ xml: volumeXml(volumeOf(world, vol)) })),
  answering(libvirt.storageVolGetInfo, (world, { vol }) => {
    const { capacityBytes: capacity, allocationBytes: allocation } = volumeOf(world, vol);
    return { type: 0, capacity, allocation };
  }),
  answering(
    libvirt.storageVolCreateXml,
    (world, { pool: reference, xml }) => {
      const pool = world.pool(reference);
      return { vol: referenceTo(pool, create(world, pool, xml)) };
    },
    { call: "volume_create", of: ({ pool, xml }) => ({ volume: `${pool.name}/${nameIn(xml)}` }) },
  ),
  answering(
    libvirt.storageVolResize,
    (world, { vol, capacity }) => {
      volumeOf(world, vol).capacityBytes = capacity;
      return {};
    },
    { call: "volume_resize", of: ofVolume },
  ),
  answering(
    libvirt.storageVolWipePattern,
    (world, { vol }) => {
      volumeOf(world, vol).mark = "zeros";
      return {};
    },
    { call: "volume_wipe", of: ofVolume },
  ),
  answering(
    libvirt.storageVolDelete,
    (world, { vol }) => {
      const { name } = volumeOf(world, vol);
      world.poolOf(vol).volumes.delete(name);
      return {};
    },
    { call: "volume_delete", of: ofVolume },
  ),
  // The data of both flows through a stream: client.ts.
  answering(libvirt.storageVolDownload, (world, { vol }) => {
    volumeOf(world, vol);
    return {};
  }),
  answering(
    libvirt.storageVolUpload,
    (world, { vol }) => {
      const volume = volumeOf(world, vol);
      volume.mark = `upload ${world.number()}`;
      volume.allocationBytes = volume.capacityBytes;
      world.publish({ kind: "storage_pool", pool: poolReference(world.poolOf(vol)), event: "refreshed" });
      return {};
    },
    { call: "volume_upload", of: ofVolume },
  ),
];

const nameIn = (xml: string): string => {
  try {
    return textAt(viewXml(xml, "volume"), "name") ?? "";
  } catch {
    return "";
  }
};

/** For a download's stream. Throws the error NO_STORAGE_VOL. */
export const downloadOf = (world: World, vol: libvirt.StorageVol): Buffer => firstBytes(volumeOf(world, vol));
