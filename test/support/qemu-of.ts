import { readdir, readFile } from "node:fs/promises";

/** The process of a VM's QEMU. */
export async function qemuOf(vmId: string): Promise<number> {
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "");
    if (command.startsWith("/usr/bin/qemu") && command.includes(vmId)) return Number(pid);
  }
  throw new Error(`there is no QEMU of ${vmId}`);
}
