import type { Backup__Output } from "../../gen/socle/v1/Backup.ts";
import type { Agent } from "../client.ts";
import { formatBytes } from "../format.ts";

const PAGE_SIZE = 250;

/** Of a VM, by its name or id, or of all. */
export async function allBackups(
  agent: Agent,
  { vm = "", onlyOpen = false }: { readonly vm?: string; readonly onlyOpen?: boolean },
): Promise<readonly Backup__Output[]> {
  const all: Backup__Output[] = [];
  for (let pageToken = ""; ;) {
    const asked = { vm, onlyOpen, pageSize: PAGE_SIZE, pageToken };
    const { backups, nextPageToken } = await agent.ask(agent.contract.backups.ListBackups, asked);
    all.push(...backups);
    if (nextPageToken === "") return all;
    pageToken = nextPageToken;
  }
}

/** What an open one keeps on the host: "1.5 MiB of 10 GiB". */
export const scratchText = ({ scratchUsedBytes, scratchBytes }: Backup__Output): string =>
  `${formatBytes(scratchUsedBytes)} of ${formatBytes(scratchBytes)}`;
