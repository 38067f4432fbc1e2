import { createHash } from "node:crypto";
import { mountOf, type Mount } from "../../hardware/storage/mounts.ts";
import type { PoolSource } from "../../libvirt/xml/index.ts";

/** Default ports, omitted from the id. */
const usualPorts: Readonly<Record<string, readonly string[]>> = {
  netfs: ["2049"],
  iscsi: ["3260"],
  rbd: ["6789", "3300"],
  gluster: ["24007"],
};
/** Filesystems that several hosts can mount. */
const networkFilesystem = /^(nfs\d?|cifs|smb3|ceph|glusterfs|fuse\.glusterfs|lustre|gpfs|beegfs|ocfs2|gfs2)$/;

/**
 * Identifies a pool's storage, the same on every host that has it: SHA-256 over its kind and source, 32 hexadecimal
 * digits. Directories in one local filesystem share its space: `local:` and the filesystem's device. Undefined: the pool
 * is not known to be shared, or its source is incomplete.
 */
export function sharedIdOf(
  { type, source = {}, path }: { type: string; source?: PoolSource; path?: string },
  mounts: readonly Mount[],
): string | undefined {
  const hosts = hostsOf(type, source);
  const [name, directory, [device] = []] = [source.name, source.directory, source.devices];
  switch (type) {
    case "netfs":
      return hosts === undefined ? undefined : digestOf("netfs", [hosts, withoutSlash(directory ?? "")]);
    case "rbd":
      return hosts === undefined ? undefined : digestOf("rbd", [hosts, name ?? ""]);
    case "gluster":
      return hosts === undefined ? undefined : digestOf("gluster", [hosts, name ?? "", directory ?? ""]);
    case "iscsi":
    case "iscsi-direct":
      return hosts === undefined ? undefined : digestOf("iscsi", [hosts, device ?? ""]);
    case "dir":
    case "fs":
      return path === undefined ? undefined : ofFilesystem(mountOf(mounts, path));
    default:
      return undefined;
  }
}

/** A directory in an NFS mount is the same storage as a pool that mounts the export. */
function ofFilesystem(mount: Mount | undefined): string | undefined {
  if (mount === undefined) return undefined;
  if (!networkFilesystem.test(mount.type)) return `local:${mount.device}`;
  const [, host, directory] = /^(\[[^\]]+\]|[^:/]+):(\/.*)$/.exec(mount.source) ?? [];
  if (!mount.type.startsWith("nfs") || host === undefined || directory === undefined)
    return digestOf(mount.type, [mount.source]);
  return digestOf("netfs", [host.toLowerCase(), withoutSlash(directory)]);
}

/** Sorted, so that the order of hosts does not matter. */
function hostsOf(type: string, { hosts = [] }: PoolSource): string | undefined {
  if (hosts.length === 0) return undefined;
  const usual = usualPorts[type === "iscsi-direct" ? "iscsi" : type] ?? [];
  const plain = hosts.map((host) => {
    const [, name = host, port = ""] = /^(.*?):(\d+)$/.exec(host) ?? [];
    return (usual.includes(port) ? name : host).toLowerCase();
  });
  return [...new Set(plain)].sort().join(",");
}

const withoutSlash = (path: string): string => (path === "/" ? path : path.replace(/\/+$/, ""));

const digestOf = (kind: string, parts: readonly string[]): string =>
  createHash("sha256")
    .update(JSON.stringify([kind, ...parts]))
    .digest("hex")
    .slice(0, 32);
