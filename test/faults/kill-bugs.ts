import type { CampaignBug } from "./planted-run.ts";

/** Bugs that the campaign `kill` must find: each shows in an operation of its own. */
export const killBugs: readonly CampaignBug[] = [
  {
    what: "an interrupted suspension counts as done",
    edit: {
      file: "vm/operations/suspend.ts",
      find: "if ((await isSaved(context, vmId)) !== true) {",
      replace: "if ((await isSaved(context, vmId)) === undefined) {",
    },
    found: /^SUSPEND victim-1 .*"state":"running"/m,
  },
  {
    what: "a discarded state stays on the disk",
    edit: {
      file: "vm/operations/discard-saved-state.ts",
      find: "() => domains.savedStates.remove(vmId)",
      replace: "() => Promise.resolve()",
    },
    found: /^DISCARD victim-1 .*"isSaved":true/m,
  },
  {
    what: "the end of a rescue leaves its volume",
    edit: {
      file: "vm/operations/rescue-note.ts",
      find: "  await context.volumes.remove(overlayOf(rescue));\n",
      replace: "",
    },
    found: /^UNRESCUE victim-1 .*"volumes":3/m,
  },
  {
    what: "a volume does not grow",
    edit: {
      file: "vm/operations/resize-volume.ts",
      find: "() => context.volumes.grow(volume, capacityBytes)",
      replace: "() => Promise.resolve()",
    },
    found: /^GROW VOLUME, .* has 1048576 bytes/m,
  },
  {
    what: "a deleted volume stays",
    edit: {
      file: "vm/operations/delete-volume.ts",
      find: "await step(DELETE, () => volumes.remove(volume), 0.2);",
      replace: "",
    },
    found: /^DROP VOLUME, .* has \d+ bytes/m,
  },
];
