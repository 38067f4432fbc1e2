import type { Edit } from "./history/plant.ts";

interface Planted {
  readonly edits: readonly Edit[];
  readonly found: RegExp;
}

const uncompared: Planted = {
  edits: [
    {
      file: "vm/operations/import-image.ts",
      find: "else if (sha256 !== wanted.sha256) throw wrongDigest(wanted, sha256);",
      replace: 'else if (sha256 === "") throw wrongDigest(wanted, sha256);',
    },
  ],
  found: /one byte changed, .*: it was published/,
};

const deletedInUse: Planted = {
  edits: [
    {
      file: "vm/operations/delete-image.ts",
      find: "  if (found.size === 0) return;",
      replace: "  if (found.size < 1000) return;",
    },
  ],
  found: /in the race: CREATE_VM failed|, which is deleted/,
};

const leftOver: Planted = {
  edits: [
    {
      file: "vm/operations/import-image.ts",
      find: ".undo(transferOf(intent), () => volumes.remove(wanted))",
      replace: ".undo(transferOf(intent), () => Promise.resolve())",
    },
    {
      file: "vm/images/image-store.ts",
      find: "for (const part of leftovers) await this.#removeLeftover(part);",
      replace: "if (leftovers.length > 1000) await this.#removeLeftover(leftovers[0] as FoundImage);",
    },
  ],
  found: /one byte changed, .*: left over: socle-image-/,
};

/** Bugs that the campaign `image` must find, by agent; the third image is the one with a changed byte. */
export const imageBugs: Readonly<Record<string, readonly Planted[]>> = {
  "the digest is computed and not compared, and an image is deleted under its VMs": [
    uncompared,
    deletedInUse,
  ],
  "a failed import keeps its volume": [leftOver],
};
