import { parseDocument } from "../document.ts";
import type { XmlElement } from "../element.ts";
import { type Permissions, permissionsNode, permissionsRule, readPermissions } from "./permissions.ts";
import { present, some } from "../present.ts";
import { type DocumentRules, node, nodeIfAny, notWritable, textNode, write } from "../writer.ts";

export interface StoragePool {
  /** dir, logical, rbd, iscsi, netfs, ...; dir and logical are written. */
  readonly type: string;
  readonly name: string;
  readonly uuid?: string;
  /** Sizes as of the pool's last refresh: only on parse. */
  readonly capacityBytes?: number;
  readonly allocationBytes?: number;
  readonly availableBytes?: number;
  readonly source?: PoolSource;
  /** Where its volumes are. */
  readonly path?: string;
  /** Of the directory, when the pool is built. */
  readonly permissions?: Permissions;
}

export interface PoolSource {
  /** The volume group, Ceph pool, ... */
  readonly name?: string;
  /** Remote servers as host or host:port: read only. */
  readonly hosts?: readonly string[];
  /** The exported directory of netfs: read only. */
  readonly directory?: string;
  /** Block devices, or an iSCSI target's name. */
  readonly devices?: readonly string[];
  readonly format?: string;
}

const rules: DocumentRules = {
  root: "pool",
  rule: {
    attributes: { type: ["dir", "logical"] },
    children: {
      name: { text: "name" },
      uuid: { text: "uuid" },
      source: {
        children: {
          device: { attributes: { path: "path" } },
          name: { text: "name" },
          format: { attributes: { type: ["lvm2"] } },
        },
      },
      target: { children: { path: { text: "path" }, permissions: permissionsRule } },
    },
  },
};

export function parsePool(xml: string): StoragePool {
  const root = parseDocument(xml, "pool");
  const target = root.child("target");
  return present<StoragePool>({
    type: root.requireAttr("type"),
    name: root.requireText("name"),
    uuid: root.textAt("uuid")?.toLowerCase(),
    capacityBytes: root.bytesAt("capacity", "bytes"),
    allocationBytes: root.bytesAt("allocation", "bytes"),
    availableBytes: root.bytesAt("available", "bytes"),
    source: readSource(root.child("source")),
    path: target?.textAt("path"),
    permissions: readPermissions(target?.child("permissions")),
  });
}

function readSource(element: XmlElement | undefined): PoolSource | undefined {
  if (element === undefined || element.children.length === 0) return undefined;
  const hosts = element.all("host").map((host) => {
    const port = host.attr("port");
    return (host.attr("name") ?? "") + (port === undefined ? "" : `:${port}`);
  });
  const devices = element.all("device").map((device) => device.requireAttr("path"));
  return present<PoolSource>({
    name: element.textAt("name"),
    hosts: some(hosts),
    directory: element.child("dir")?.attr("path"),
    devices: some(devices),
    format: element.child("format")?.attr("type"),
  });
}

/** For `virStoragePoolDefineXML`. Throws `unsupported`/POOL_NOT_WRITABLE for a pool that is not on this host alone. */
export function buildPool(pool: StoragePool): string {
  const { source } = pool;
  if ((pool.type !== "dir" && pool.type !== "logical") || source?.hosts || source?.directory !== undefined) {
    throw notWritable("POOL", `pools of type ${pool.type}`);
  }
  return write(
    rules,
    node("pool", { type: pool.type }, [
      textNode("name", pool.name),
      textNode("uuid", pool.uuid),
      source &&
        node("source", {}, [
          ...(source.devices ?? []).map((path) => node("device", { path })),
          textNode("name", source.name),
          nodeIfAny("format", { type: source.format }),
        ]),
      nodeIfAny("target", {}, [textNode("path", pool.path), permissionsNode(pool.permissions)]),
    ]),
  );
}
