import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { SocleHost } from "../support/socle-host.ts";

const execute = promisify(execFile);

interface Where {
  /** Of the scratch file. */
  readonly pool: string;
  readonly copy: string;
}

/** A backup of the disk vdb of a running guest into a raw file by virsh and nbdcopy. */
export async function peerBackup(
  host: SocleHost,
  guest: string,
  { pool, copy }: Where,
): Promise<() => Promise<void>> {
  const socket = join(host.libvirtd.socketDirectory, `${guest}.peer.sock`);
  const xml = join(host.libvirtd.directory, `${guest}.peer.xml`);
  await writeFile(
    xml,
    `<domainbackup mode='pull'><server transport='unix' socket='${socket}'/><disks><disk name='vda' backup='no'/>` +
      `<disk name='vdb' type='file'><scratch file='${pool}/${guest}.peer.scratch'/></disk></disks></domainbackup>`,
  );
  return async () => {
    await host.virsh("backup-begin", guest, xml);
    await execute("nbdcopy", [`nbd+unix:///vdb?socket=${socket}`, copy]);
    await host.virsh("domjobabort", guest);
  };
}
