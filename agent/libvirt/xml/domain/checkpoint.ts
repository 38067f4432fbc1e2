import { parseDocument } from "../document.ts";
import { oneOf, present, some } from "../present.ts";
import { type DocumentRules, node, textNode, write } from "../writer.ts";

const kinds = ["no", "bitmap"] as const;

export interface CheckpointDisk {
  /** Target of the disk, e.g. `vda`. */
  readonly name: string;
  readonly checkpoint?: (typeof kinds)[number];
  /** The bitmap's name in the image; the checkpoint's name where it is absent. */
  readonly bitmap?: string;
}

export interface DomainCheckpoint {
  /** libvirt chooses one where it is absent. */
  readonly name?: string;
  readonly description?: string;
  /** Every disk where it is absent; where it is there, disks that are not in it have no part in the checkpoint. */
  readonly disks?: readonly CheckpointDisk[];
  /** Only on parse, as what follows. */
  readonly createdAtSeconds?: number;
  readonly parent?: string;
}

const rules: DocumentRules = {
  root: "domaincheckpoint",
  rule: {
    children: {
      name: { text: "name" },
      description: { text: "prose" },
      disks: { children: { disk: { attributes: { name: "word", checkpoint: kinds, bitmap: "word" } } } },
    },
  },
};

export function parseCheckpoint(xml: string): DomainCheckpoint {
  const root = parseDocument(xml, "domaincheckpoint");
  const disks = root.all("disks/disk").map((disk) =>
    present<CheckpointDisk>({
      name: disk.requireAttr("name"),
      checkpoint: oneOf(disk.attr("checkpoint"), kinds),
      bitmap: disk.attr("bitmap"),
    }),
  );
  return present<DomainCheckpoint>({
    name: root.textAt("name"),
    description: root.textAt("description"),
    disks: some(disks),
    createdAtSeconds: root.integerAt("creationTime"),
    parent: root.textAt("parent/name"),
  });
}

/** For `virDomainCheckpointCreateXML`, and beside a backup for `virDomainBackupBegin`. */
export function buildCheckpoint({ name, description, disks }: DomainCheckpoint): string {
  return write(
    rules,
    node("domaincheckpoint", {}, [
      textNode("name", name),
      textNode("description", description),
      disks &&
        node(
          "disks",
          {},
          disks.map((disk) => node("disk", { ...disk })),
        ),
    ]),
  );
}
