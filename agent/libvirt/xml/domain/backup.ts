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

export interface DomainBackup {
  /** push: QEMU writes the copies. pull: a client reads them from an NBD server, a unix socket. */
  readonly mode: (typeof modes)[number];
  /** The checkpoint since which to copy; everything where it is absent. */
  readonly incremental?: string;
  /** Pull: the path of the NBD server's unix socket. Servers on TCP are read only. */
  readonly socket?: string;
  /** Every disk where it is absent. */
  readonly disks?: readonly BackupDisk[];
}

const rules: DocumentRules = {
  root: "domainbackup",
  rule: {
    attributes: { mode: modes },
    children: {
      incremental: { text: "name" },
      server: { attributes: { transport: ["unix"], socket: "path" } },
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
    socket: root.child("server")?.attr("socket"),
    disks: some(root.all("disks/disk").map((disk) => readDisk(disk, targetOf(mode)))),
  });
}

/** For `virDomainBackupBegin`. */
export function buildBackup({ mode, incremental, socket, disks }: DomainBackup): string {
  return write(
    rules,
    node("domainbackup", { mode }, [
      textNode("incremental", incremental),
      socket === undefined ? undefined : node("server", { transport: "unix", socket }),
      disks &&
        node(
          "disks",
          {},
          disks.map((disk) => diskNode(disk, targetOf(mode))),
        ),
    ]),
  );
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
