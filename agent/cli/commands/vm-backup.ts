import { randomUUID } from "node:crypto";
import type { Backup__Output } from "../../gen/socle/v1/Backup.ts";
import { allBackups, scratchText } from "../backup/all-backups.ts";
import { openBackup } from "../backup/open-backup.ts";
import { summaryOf, takeBackup, type BackupOptions } from "../backup/take-backup.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import { enumWord, formatTime, printable } from "../format.ts";
import type { Command, Session } from "../session.ts";
import { renderTable, type Column } from "../table.ts";
import { allVms } from "../vm-sight.ts";

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

interface ListOptions {
  readonly open?: boolean;
}

export const listBackups: Command = async (session, [vm = ""], { open: onlyOpen = false }: ListOptions) => {
  const agent = await session.agent();
  const backups = await allBackups(agent, { vm, onlyOpen });
  if (session.json) session.printJson({ backups });
  else if (backups.length === 0) session.print("no backups\n");
  else {
    const { vms } = vm === "" ? await allVms(agent) : { vms: [] };
    const names = new Map(vms.map(({ vmId, name }) => [vmId, name]));
    const ofVm: Column<Backup__Output> = {
      title: "VM",
      cell: ({ vmId }) => printable(names.get(vmId) ?? vmId),
    };
    const shown = vm === "" ? [ofVm, ...columns] : columns;
    session.print(renderTable(shown, backups, session.paint));
  }
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
    cell: (backup) => (backup.scratchBytes === 0 ? "-" : scratchText(backup)),
  },
  { title: "LEASE UNTIL", cell: ({ leaseExpiresAt }) => formatTime(leaseExpiresAt), spare: true },
];

interface OpenOptions {
  readonly nbdTls?: boolean;
  readonly allowEncrypted?: boolean;
  readonly base?: string;
  readonly quiesce?: boolean;
  readonly disk?: readonly string[];
  readonly requestId?: string;
  readonly wait?: boolean;
  /** In milliseconds. */
  readonly lease?: number;
}

/** The backup stays open unless its address cannot be printed. With --no-wait only the operation is printed. */
export const openForReaders: Command = async (session, [vm = ""], options: OpenOptions) => {
  const { base: baseBackup = "", quiesce = false, nbdTls = false, disk: disks = [] } = options;
  const { requestId, wait, allowEncrypted = false } = options;
  const read = { quiesce, nbdTls, allowEncrypted };
  const asked = { vm, disks: [...disks], baseBackup, ...read, leaseSeconds: secondsOf(options) };
  if (wait === false) return await mutate(session, options, ({ backups }) => backups.BeginBackup, asked);
  const agent = await session.agent();
  const request = { ...asked, requestId: requestId ?? randomUUID() };
  await openBackup(session, agent, { request, isRepeatable: requestId !== undefined }, async (backupId) => {
    const backup = await agent.ask(agent.contract.backups.GetBackup, { vm, backupId });
    show(session, vm, backup);
  });
  return undefined;
};

export const renewBackup: Command = async (session, [vm = "", backupId = ""], options: OpenOptions) => {
  const agent = await session.agent();
  const request = { requestId: randomUUID(), vm, backupId, leaseSeconds: secondsOf(options) };
  show(session, vm, await agent.ask(agent.contract.backups.RenewBackup, request));
  return undefined;
};

/** 0: the host's usual. */
const secondsOf = ({ lease = 0 }: OpenOptions): number => Math.ceil(lease / 1000);

function show(session: Session, vm: string, backup: Backup__Output): void {
  session.show(backup, () => {
    const { backupId, nbdUri, disks } = backup;
    const exports = disks.map(({ disk, nbdExport, incremental, fullReason }) => {
      const kind = incremental ? "increment" : fullReason === "" ? "full" : `full (${fullReason})`;
      return `  ${printable(disk)}: export ${printable(nbdExport)}, ${kind}\n`;
    });
    const until = `open until ${formatTime(backup.leaseExpiresAt)}`;
    return `backup ${printable(vm)}: ${until}\n  id: ${backupId}\n  nbd: ${printable(nbdUri)}\n${exports.join("")}`;
  });
}

type EndOptions = MutationOptions & { readonly complete?: boolean };

export const endBackup: Command = (session, [vm = "", backupId = ""], options: EndOptions) =>
  mutate(session, options, ({ backups }) => backups.FinishBackup, {
    vm,
    backupId,
    success: options.complete === true,
  });
