import { inDirectory, openChain, verifyFile } from "../backup/backup-directory.ts";
import { ByteProgress } from "../backup/byte-progress.ts";
import {
  chainOf,
  requireBackup,
  requireManifest,
  type Manifest,
  type StoredDisk,
} from "../backup/manifest.ts";
import type { OpenSource } from "../backup/backup-directory.ts";
import { toSocleError } from "../../kernel/errors.ts";
import { exitCodes } from "../errors.ts";
import { formatBytes, printable } from "../format.ts";
import type { Command, Session } from "../session.ts";
import { renderTable, type Column } from "../table.ts";

interface Finding {
  readonly file: string;
  readonly disk: string;
  readonly sizeBytes: number;
  /** What is wrong; "": nothing. */
  readonly problem: string;
}

/** Reads all files of a directory again; needs no agent. */
export const verifyBackup: Command = async (session, [directory = ""], { backup }: { backup?: string }) => {
  const manifest = await requireManifest(directory);
  const wanted = backup === undefined ? manifest.backups : [requireBackup(manifest, backup)];
  const disks = new Set(wanted.flatMap((each) => each.disks).flatMap((disk) => chainOf(manifest, disk)));
  const findings = await findingsIn(session, inDirectory(directory), manifest, [...disks]);
  const damaged = findings.filter(({ problem }) => problem !== "");
  session.show({ directory, vm: manifest.vm, files: findings }, () =>
    renderTable(columns, findings, session.paint),
  );
  if (damaged.length === 0) return exitCodes.ok;
  for (const { problem } of session.json ? [] : damaged) session.note(`  ${printable(problem)}`);
  return exitCodes.failed;
};

const columns: Column<Finding>[] = [
  { title: "FILE", cell: ({ file }) => file },
  { title: "DISK", cell: ({ disk }) => disk },
  { title: "SIZE", cell: ({ sizeBytes }) => formatBytes(sizeBytes), align: "right" },
  { title: "STATE", cell: ({ problem }) => (problem === "" ? "as written" : "damaged") },
];

async function findingsIn(
  session: Session,
  openSource: OpenSource,
  manifest: Manifest,
  disks: readonly StoredDisk[],
): Promise<Finding[]> {
  const total = disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const progress = new ByteProgress(session, "verify", total);
  const findings: Finding[] = [];
  try {
    for (const disk of disks) {
      const { file, sizeBytes } = disk;
      let problem = "";
      try {
        await verifyFile(openSource, disk, (bytes) => progress.add(bytes), session.interrupt);
        await (await openChain(openSource, chainOf(manifest, disk).slice(0, 1))).close();
      } catch (thrown) {
        if (session.interrupt.aborted) throw thrown;
        problem = toSocleError(thrown).message;
      }
      findings.push({ file, disk: disk.disk, sizeBytes, problem });
    }
  } finally {
    progress.end(false);
  }
  return findings;
}
