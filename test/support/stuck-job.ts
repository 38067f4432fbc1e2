import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Libvirtd } from "./libvirtd.ts";

/** libvirt's record of a domain that runs; undefined for one that is off. */
export const runRecord = (libvirtd: Libvirtd, name: string): Promise<string | undefined> =>
  readFile(recordPath(libvirtd, name), "utf8").catch(() => undefined);

/**
 * Removes the job that a libvirtd left if it ended while it began a backup, as the operator's manual does ("A job that libvirt does
 * not end"). For a libvirtd that does not run. Returns whether there was one.
 */
export async function removeStuckJob(libvirtd: Libvirtd, name: string): Promise<boolean> {
  const record = (await runRecord(libvirtd, name)) ?? "";
  if (!record.includes(" async='backup'") || record.includes("<domainbackup")) return false;
  await writeFile(recordPath(libvirtd, name), record.replace(" async='backup'", ""));
  return true;
}

const recordPath = (libvirtd: Libvirtd, name: string): string =>
  join(libvirtd.runDirectory, "qemu", `${name}.xml`);
