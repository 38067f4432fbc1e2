import { luksNode, luksRule } from "../luks.ts";
import type { ElementRule } from "../writer.ts";
import { node, nodeIfAny, type XmlNode } from "../writer.ts";
import type { XmlElement } from "../element.ts";
import { present } from "../present.ts";

/** A file or block device that libvirt makes or fills: an overlay, a backup, the scratch space of one. */
export interface BlockTarget {
  readonly type: "file" | "block";
  readonly path: string;
  /** raw or qcow2; qcow2 where it is absent. */
  readonly format?: string;
  /** LUKS, with the passphrase in this libvirt secret. */
  readonly encryptionSecretUuid?: string;
}

export const formatRule: ElementRule = { attributes: { type: ["raw", "qcow2"] } };
export const targetRule: ElementRule = {
  attributes: { file: "path", dev: "path" },
  children: { encryption: luksRule },
};

/** `<driver>` and the element of this name, which stand side by side. */
export function blockTargetNodes(name: string, target: BlockTarget | undefined): (XmlNode | undefined)[] {
  if (target === undefined) return [];
  const { type, path, format, encryptionSecretUuid } = target;
  return [
    nodeIfAny("driver", { type: format }),
    node(name, type === "file" ? { file: path } : { dev: path }, [luksNode(encryptionSecretUuid)]),
  ];
}

export function readBlockTarget(disk: XmlElement, name: string): BlockTarget | undefined {
  const type = disk.attr("type") === "block" ? "block" : "file";
  const target = disk.child(name);
  const path = target?.attr(type === "file" ? "file" : "dev");
  if (path === undefined) return undefined;
  return present<BlockTarget>({
    type,
    path,
    format: disk.child("driver")?.attr("type"),
    encryptionSecretUuid: target?.child("encryption/secret")?.attr("uuid"),
  });
}
