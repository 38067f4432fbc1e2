import type { CampaignBug } from "./planted-run.ts";

/** Bugs that the campaign `chain` must find: each shows in a step of its own. */
export const chainBugs: readonly CampaignBug[] = [
  {
    what: "the scratch volume of an ended backup stays",
    edit: {
      file: "vm/operations/backup-end.ts",
      find: "for (const { pool, scratch: volume } of open.disks) await volumes.remove({ pool, volume });",
      replace: "",
    },
    found: /^FINISH .*: its files: /m,
  },
  {
    what: "an increment lacks what became zeros",
    edit: {
      file: "kernel/nbd/nbd-reader.ts",
      find: "isPart: cRun.is };",
      replace: "isPart: cRun.is && !zRun.is };",
    },
    found: /^BACKUP .*: the increment: \d+ blocks differ/m,
  },
  {
    what: "a revert keeps the base of the next backup",
    edit: {
      file: "vm/operations/revert-snapshot.ts",
      find: "backups: withoutWhole(now.backups),",
      replace: "backups: now.backups,",
    },
    found: /^REVERT .*: its whole backup: \w{16}, not none/m,
  },
  {
    what: "a deleted snapshot leaves the guest's memory",
    edit: {
      file: "vm/operations/delete-snapshot.ts",
      find: "memory === undefined ? now : noteMemory(now, memory)",
      replace: "now",
    },
    found: /^UNSNAP .*: its files of memory: /m,
  },
  {
    what: "a deleted snapshot leaves its layer",
    edit: {
      file: "vm/operations/delete-snapshot.ts",
      find: 'step("delete volumes", () => removeLoose(context, spec, loose))',
      replace: "Promise.resolve(snapshots)",
    },
    found: /^UNSNAP .*: its files: /m,
  },
  {
    what: "an increment of an encrypted disk is written in clear",
    edit: {
      file: "cli/backup/file-image.ts",
      find: "if (passphrase === undefined) return",
      replace: "if (passphrase === undefined || backing !== undefined) return",
    },
    found: /^BACKUP of the encrypted disk, .*: \S+ has data in clear/m,
  },
];
