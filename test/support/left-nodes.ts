import { virsh } from "./virsh.ts";

/** Gives QEMU nodes of the names that libvirt chooses next, as one that dies before it records them. */
export async function leaveNodes(uri: string, vm: string, count: number): Promise<void> {
  const ask = async (execute: string, args: object = {}): Promise<string> =>
    await virsh(uri, ["qemu-monitor-command", vm, JSON.stringify({ execute, arguments: args })]);
  const nodes = await ask("query-named-block-nodes");
  const last = Math.max(...[...nodes.matchAll(/"libvirt-(\d+)-/g)].map(([, number]) => Number(number)));
  for (let number = last + 1; number <= last + count; number += 1)
    for (const kind of ["storage", "format"])
      await ask("blockdev-add", { driver: "null-co", "node-name": `libvirt-${number}-${kind}` });
}
