import { inDirectory } from "../backup/backup-directory.ts";
import { requireManifest } from "../backup/manifest.ts";
import { restoreBackup, type Restored } from "../backup/restore-backup.ts";
import { printable } from "../format.ts";
import type { Command, Session } from "../session.ts";

type Options = Parameters<typeof restoreBackup>[2];

export const restoreVm: Command = async (session, [directory = ""], options: Options) => {
  const source = { manifest: await requireManifest(directory), openSource: inDirectory(directory) };
  // The directory is of this operator, unlike an archive.
  showRestored(session, await restoreBackup(session, source, { ...options, keepVolumes: true }));
  return undefined;
};

export const showRestored = (session: Session, { vmId, name, backup, notes }: Restored): void =>
  session.show({ vmId, name, backupId: backup.id, notes }, () => {
    const done = session.paint("green", "done");
    return `restore VM ${printable(name)}: ${done}, as of ${backup.createdAt}\n  id: ${vmId}\n  backup: ${backup.id}\n`;
  });
