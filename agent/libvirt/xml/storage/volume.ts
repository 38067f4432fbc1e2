import { parseDocument } from "../document.ts";
import { type Permissions, permissionsNode, permissionsRule, readPermissions } from "./permissions.ts";
import { luksNode, luksRule } from "../luks.ts";
import { present } from "../present.ts";
import { type DocumentRules, node, nodeIfAny, textNode, write } from "../writer.ts";

export interface StorageVolume {
  readonly name: string;
  /** libvirt's own key; only on parse. */
  readonly key?: string;
  /** file, block, dir, network, netdir; only on parse. */
  readonly type?: string;
  readonly capacityBytes: number;
  /** On build: how much to allocate at once; absent lets libvirt allocate all of a raw volume. */
  readonly allocationBytes?: number;
  /** Only on parse. */
  readonly physicalBytes?: number;
  /** Only on parse. */
  readonly path?: string;
  /** Of the file's last change (ctime): libvirt's text of seconds since 1970, with its fraction. Only on parse. */
  readonly changedAt?: string;
  /** As libvirt probed it; raw and qcow2 are written. */
  readonly format?: string;
  readonly permissions?: Permissions;
  /** LUKS, with the passphrase in this libvirt secret. */
  readonly encryptionSecretUuid?: string;
  /** The image that this one is a copy-on-write overlay of. */
  readonly backing?: { readonly path: string; readonly format?: string };
}

const format = { attributes: { type: ["raw", "qcow2"] } } as const;
const bytes = { attributes: { unit: ["bytes"] }, text: "integer" } as const;
const rules: DocumentRules = {
  root: "volume",
  rule: {
    children: {
      name: { text: "name" },
      capacity: bytes,
      allocation: bytes,
      target: {
        children: {
          format,
          permissions: permissionsRule,
          encryption: luksRule,
        },
      },
      backingStore: { children: { path: { text: "path" }, format } },
    },
  },
};

export function parseVolume(xml: string): StorageVolume {
  const root = parseDocument(xml, "volume");
  const target = root.child("target");
  const backingPath = root.textAt("backingStore/path");
  return present<StorageVolume>({
    name: root.requireText("name"),
    key: root.textAt("key"),
    type: root.attr("type"),
    capacityBytes: root.requireChild("capacity").bytes("bytes"),
    allocationBytes: root.bytesAt("allocation", "bytes"),
    physicalBytes: root.bytesAt("physical", "bytes"),
    path: target?.textAt("path"),
    changedAt: target?.textAt("timestamps/ctime"),
    format: target?.child("format")?.attr("type"),
    permissions: readPermissions(target?.child("permissions")),
    encryptionSecretUuid: target?.child("encryption/secret")?.attr("uuid"),
    backing:
      backingPath === undefined
        ? undefined
        : present<NonNullable<StorageVolume["backing"]>>({
            path: backingPath,
            format: root.child("backingStore/format")?.attr("type"),
          }),
  });
}

/** For `virStorageVolCreateXML` and `...CreateXMLFrom`. Sizes are exact bytes; libvirt rounds up to its own unit. */
export function buildVolume(volume: StorageVolume): string {
  const { backing } = volume;
  return write(
    rules,
    node("volume", {}, [
      textNode("name", volume.name),
      node("capacity", { unit: "bytes" }, volume.capacityBytes),
      volume.allocationBytes === undefined
        ? undefined
        : node("allocation", { unit: "bytes" }, volume.allocationBytes),
      nodeIfAny("target", {}, [
        nodeIfAny("format", { type: volume.format }),
        permissionsNode(volume.permissions),
        luksNode(volume.encryptionSecretUuid),
      ]),
      backing &&
        node("backingStore", {}, [
          textNode("path", backing.path),
          nodeIfAny("format", { type: backing.format }),
        ]),
    ]),
  );
}
