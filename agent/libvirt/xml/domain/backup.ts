import { parseDocument } from "../document.ts";
import type { XmlElement } from "../element.ts";
import { oneOf, present, some } from "../present.ts";
import { type DocumentRules, node, textNode, write, yes, yesNo, type XmlNode } from "../writer.ts";
import {
  type BlockTarget,
  blockTargetNodes,
  formatRule,
  readBlockTarget,
  targetRule,
} from "./block-target.ts";

const modes = ["push", "pull"] as const;
const diskModes = ["full", "incremental"] as const;

export interface BackupDisk {
  /** Target of the disk, e.g. `vda`. */
  readonly name: string;
  /** False: the disk has no part in the backup. */
  readonly backup?: boolean;
  readonly mode?: (typeof diskModes)[number];
  /** The checkpoint since which to copy, where it is not the whole backup's. */
  readonly incremental?: string;
  /** Pull: the names of the disk and of its bitmap at the NBD server. */
  readonly exportName?: string;
  readonly exportBitmap?: string;
  /** Push: where the copy goes. Pull: scratch space for what the guest overwrites meanwhile. */
  readonly target?: BlockTarget;
}

/** Where QEMU serves NBD: the path of a unix socket, or an address and a port, always with TLS. */
export type BackupServer =
  | { readonly socket: string }
  | { readonly address: string; readonly port: number; readonly tls: true };

export interface DomainBackup {
  /** push: QEMU writes the copies. pull: a client reads them from an NBD server, a unix socket. */
  readonly mode: (typeof modes)[number];
  /** The checkpoint since which to copy; everything where it is absent. */
  readonly incremental?: string;
  /** Pull: the NBD server. */
  readonly server?: BackupServer;
  /** Every disk where it is absent. */
  readonly disks?: readonly BackupDisk[];
}

const rules: DocumentRules = {
  root: "domainbackup",
  rule: {
    attributes: { mode: modes },
    children: {
      incremental: { text: "name" },
      server: {
        attributes: {
          transport: ["unix", "tcp"],
          socket: "path",
          name: "address",
          port: "integer",
          tls: ["yes"],
        },
      },
      disks: {
        children: {
          disk: {
            attributes: {
              name: "word",
              backup: yesNo,
              type: ["file", "block"],
              backupmode: diskModes,
              incremental: "name",
              exportname: "word",
              exportbitmap: "word",
            },
            children: { driver: formatRule, target: targetRule, scratch: targetRule },
          },
        },
      },
    },
  },
};

export function parseBackup(xml: string): DomainBackup {
  const root = parseDocument(xml, "domainbackup");
  const mode = oneOf(root.attr("mode"), modes) ?? "push";
  return present<DomainBackup>({
    mode,
    incremental: root.textAt("incremental"),
    server: readServer(root.child("server")),
    disks: some(root.all("disks/disk").map((disk) => readDisk(disk, targetOf(mode)))),
  });
}

/** For `virDomainBackupBegin`. */
export function buildBackup({ mode, incremental, server, disks }: DomainBackup): string {
  return write(
    rules,
    node("domainbackup", { mode }, [
      textNode("incremental", incremental),
      server && serverNode(server),
      disks &&
        node(
          "disks",
          {},
          disks.map((disk) => diskNode(disk, targetOf(mode))),
        ),
    ]),
  );
}

function serverNode(server: BackupServer): XmlNode {
  if ("socket" in server) return node("server", { transport: "unix", socket: server.socket });
  return node("server", { transport: "tcp", name: server.address, port: server.port, tls: "yes" });
}

/** Undefined for a server without TLS on TCP, which is never written. */
function readServer(server: XmlElement | undefined): BackupServer | undefined {
  const socket = server?.attr("socket");
  if (socket !== undefined) return { socket };
  const [address, port] = [server?.attr("name"), server?.integerAttr("port")];
  if (address === undefined || port === undefined || server?.attr("tls") !== "yes") return undefined;
  return { address, port, tls: true };
}

function targetOf(mode: DomainBackup["mode"]): "target" | "scratch" {
  return mode === "push" ? "target" : "scratch";
}

function readDisk(element: XmlElement, target: "target" | "scratch"): BackupDisk {
  return present<BackupDisk>({
    name: element.requireAttr("name"),
    backup: element.flagAttr("backup"),
    mode: oneOf(element.attr("backupmode"), diskModes),
    incremental: element.attr("incremental"),
    exportName: element.attr("exportname"),
    exportBitmap: element.attr("exportbitmap"),
    target: readBlockTarget(element, target),
  });
}

function diskNode(disk: BackupDisk, target: "target" | "scratch"): XmlNode {
  const attributes = {
    name: disk.name,
    backup: yes(disk.backup),
    type: disk.target?.type,
    backupmode: disk.mode,
    incremental: disk.incremental,
    exportname: disk.exportName,
    exportbitmap: disk.exportBitmap,
  };
  return node("disk", attributes, blockTargetNodes(target, disk.target));
}
