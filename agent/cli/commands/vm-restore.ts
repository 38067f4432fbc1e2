import { requestLine, requireAcceptance, undecided } from "../backup/acceptance.ts";
import { inDirectory } from "../backup/backup-directory.ts";
import { requireManifest } from "../backup/manifest.ts";
import { requireCreatable, restoreBackup } from "../backup/restore-backup.ts";
import { planRestore, type PlanOptions, type RestorePlan, type Source } from "../backup/restore-plan.ts";
import { formatBytes, printable } from "../format.ts";
import type { Command, Session } from "../session.ts";

export type Options = PlanOptions & { readonly start?: boolean; readonly dryRun?: boolean };

export const restoreVm: Command = async (session, [directory = ""], options: Options) => {
  const source = { manifest: await requireManifest(directory), openSource: inDirectory(directory) };
  await makeVm(session, source, options);
  return undefined;
};

/** Makes a VM of a backup or an archive: the spec in it may be of another machine. */
export async function makeVm(session: Session, source: Source, options: Options): Promise<void> {
  const plan = await planRestore(session, source, options);
  const { backup, requests, spec, notes } = plan;
  if (options.dryRun === true) {
    const open = undecided(requests);
    if (open.length === 0) await requireCreatable(session, plan);
    const name = spec.name ?? "";
    session.show({ name, backupId: backup.id, spec, requests, undecided: open, notes }, () => planText(plan));
    return;
  }
  await requireAcceptance(session, spec.name ?? "", requests);
  const { vmId, name } = await restoreBackup(session, plan, options);
  session.show({ vmId, name, backupId: backup.id, requests, notes }, () => {
    const done = session.paint("green", "done");
    const asOf = printable(backup.createdAt);
    return `restore VM ${printable(name)}: ${done}, as of ${asOf}\n  id: ${vmId}\n  backup: ${backup.id}\n`;
  });
}

function planText({ spec, backup, disks, requests, notes }: RestorePlan): string {
  const size = `${spec.vcpus ?? 0} vCPUs, ${formatBytes(Number(spec.memoryBytes ?? 0))}`;
  const pools = new Map((spec.disks ?? []).map(({ name, newVolume }) => [name, newVolume?.pool ?? ""]));
  const lines = [
    `VM ${spec.name ?? ""}, as of ${backup.createdAt}: ${size}`,
    ...disks.map(
      ({ disk, capacityBytes }) =>
        `  disk ${disk}: ${formatBytes(capacityBytes)} in pool ${pools.get(disk) ?? ""}`,
    ),
    ...requests.map((request) => `  ${requestLine(request)}`),
    ...notes.map((note) => `  ${note}`),
    ...decisionLines(requests),
    "nothing changed (--dry-run)",
  ];
  return lines.map((line) => `${printable(line)}\n`).join("");
}

function decisionLines(requests: RestorePlan["requests"]): readonly string[] {
  const open = undecided(requests).join(",");
  return open === "" ? [] : [`not decided: --accept ${open}, or --without ${open}`];
}
