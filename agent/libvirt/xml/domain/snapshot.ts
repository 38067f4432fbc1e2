import { parseDocument } from "../document.ts";
import type { XmlElement } from "../element.ts";
import { oneOf, present, some } from "../present.ts";
import { type DocumentRules, node, textNode, write, type XmlNode } from "../writer.ts";
import {
  type BlockTarget,
  blockTargetNodes,
  formatRule,
  readBlockTarget,
  targetRule,
} from "./block-target.ts";

const places = ["no", "internal", "external"] as const;
export type SnapshotPlace = (typeof places)[number];

export interface SnapshotDisk {
  /** Target of the disk, e.g. `vda`. */
  readonly name: string;
  readonly snapshot?: SnapshotPlace;
  /** Of an external snapshot: the overlay that the guest writes to from then on. libvirt names one where it is absent. */
  readonly overlay?: BlockTarget;
}

export interface DomainSnapshot {
  /** libvirt chooses one where it is absent. */
  readonly name?: string;
  readonly description?: string;
  readonly memory?: { readonly snapshot: SnapshotPlace; readonly path?: string };
  /** Disks that are not here get the snapshot that their kind has by default. */
  readonly disks?: readonly SnapshotDisk[];
  /** The domain's state when it was taken; only on parse, as what follows. */
  readonly state?: string;
  readonly createdAtSeconds?: number;
  readonly parent?: string;
}

const rules: DocumentRules = {
  root: "domainsnapshot",
  rule: {
    children: {
      name: { text: "name" },
      description: { text: "prose" },
      memory: { attributes: { snapshot: places, file: "path" } },
      disks: {
        children: {
          disk: {
            attributes: { name: "word", snapshot: places, type: ["file", "block"] },
            children: { driver: formatRule, source: targetRule },
          },
        },
      },
    },
  },
};

export function parseSnapshot(xml: string): DomainSnapshot {
  const root = parseDocument(xml, "domainsnapshot");
  const memory = root.child("memory");
  const snapshot = oneOf(memory?.attr("snapshot"), places);
  return present<DomainSnapshot>({
    name: root.textAt("name"),
    description: root.textAt("description"),
    memory:
      snapshot && present<NonNullable<DomainSnapshot["memory"]>>({ snapshot, path: memory?.attr("file") }),
    disks: some(root.all("disks/disk").map(readDisk)),
    state: root.textAt("state"),
    createdAtSeconds: root.integerAt("creationTime"),
    parent: root.textAt("parent/name"),
  });
}

/** For `virDomainSnapshotCreateXML`. */
export function buildSnapshot({ name, description, memory, disks }: DomainSnapshot): string {
  return write(
    rules,
    node("domainsnapshot", {}, [
      textNode("name", name),
      textNode("description", description),
      memory && node("memory", { snapshot: memory.snapshot, file: memory.path }),
      disks && node("disks", {}, disks.map(diskNode)),
    ]),
  );
}

function readDisk(element: XmlElement): SnapshotDisk {
  return present<SnapshotDisk>({
    name: element.requireAttr("name"),
    snapshot: oneOf(element.attr("snapshot"), places),
    overlay: readBlockTarget(element, "source"),
  });
}

function diskNode({ name, snapshot, overlay }: SnapshotDisk): XmlNode {
  return node("disk", { name, snapshot, type: overlay?.type }, blockTargetNodes("source", overlay));
}
