import type { Backup__Output } from "../../gen/socle/v1/Backup.ts";
import { summaryOf, takeBackup, type BackupOptions } from "../backup/take-backup.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import { enumWord, formatBytes, formatTime, printable } from "../format.ts";
import type { Command } from "../session.ts";
import { renderTable, type Column } from "../table.ts";

type CreateOptions = BackupOptions & { readonly to?: string };

export const createBackup: Command = async (session, [vm = ""], options: CreateOptions) => {
  const { to: directory = "" } = options;
  const { backup, fullBecause } = await takeBackup(session, vm, directory, options);
  const isFull = backup.disks.every(({ base }) => base === undefined);
  session.show({ directory, ...(fullBecause !== undefined && { fullBecause }), backup }, () => {
    const kind = isFull ? "full" : "increment";
    return `backup ${printable(vm)}: ${session.paint("green", "done")}, ${kind}, ${summaryOf(backup)}\n  id: ${backup.id}\n`;
  });
  return undefined;
};

export const listBackups: Command = async (session, [vm = ""]) => {
  const agent = await session.agent();
  const answer = await agent.ask(agent.contract.backups.ListBackups, { vm });
  if (session.json) session.printJson(answer);
  else if (answer.backups.length === 0) session.print("no backups\n");
  else session.print(renderTable(columns, answer.backups, session.paint));
  return undefined;
};

const columns: Column<Backup__Output>[] = [
  { title: "BACKUP", cell: ({ backupId }) => backupId },
  { title: "CREATED", cell: ({ createdAt }) => formatTime(createdAt) },
  { title: "STATE", cell: ({ state }) => enumWord(state, "BACKUP_STATE") },
  { title: "BASE", cell: ({ baseBackup }) => baseBackup || "-" },
  { title: "QUIESCED", cell: ({ quiesced }) => (quiesced ? "yes" : "no") },
  { title: "DISKS", cell: ({ disks }) => disks.map(({ disk }) => printable(disk)).join(", ") },
  {
    title: "SCRATCH",
    cell: ({ scratchBytes, scratchUsedBytes }) =>
      scratchBytes === 0 ? "-" : `${formatBytes(scratchUsedBytes)} of ${formatBytes(scratchBytes)}`,
  },
  { title: "LEASE UNTIL", cell: ({ leaseExpiresAt }) => formatTime(leaseExpiresAt), spare: true },
];

export const endBackup: Command = (session, [vm = "", backupId = ""], options: MutationOptions) =>
  mutate(session, options, ({ backups }) => backups.FinishBackup, { vm, backupId, success: false });
