import type { Backup__Output } from "../../gen/socle/v1/Backup.ts";
import type { Agent } from "../client.ts";
import { formatBytes } from "../format.ts";
import { allPages } from "../pages.ts";

const PAGE_SIZE = 250;

/** Of a VM, by its name or id, or of all. */
export async function allBackups(
  agent: Agent,
  { vm = "", onlyOpen = false }: { readonly vm?: string; readonly onlyOpen?: boolean },
): Promise<readonly Backup__Output[]> {
  const pages = await allPages((pageToken) =>
    agent.ask(agent.contract.backups.ListBackups, { vm, onlyOpen, pageSize: PAGE_SIZE, pageToken }),
  );
  return pages.flatMap(({ backups }) => backups);
}

/** What an open one keeps on the host: "1.5 MiB of 10 GiB". */
export const scratchText = ({ scratchUsedBytes, scratchBytes }: Backup__Output): string =>
  `${formatBytes(scratchUsedBytes)} of ${formatBytes(scratchBytes)}`;
