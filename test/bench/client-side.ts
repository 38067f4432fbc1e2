// Socle's side of the client bench; client.py is python3-libvirt's. For each line on stdin, lists the domains of the libvirt
// in argv[2], reads each one's info, and prints [count, milliseconds].
import { createInterface } from "node:readline";
import { silentLog } from "../../agent/kernel/log.ts";
import { connectListAllDomains, domainGetInfo, Libvirt } from "../../agent/libvirt/index.ts";

/** The agent's lane for reads, since the command lane reserves one slot for urgent calls. */
const reading = { lane: "observation" } as const;
const libvirt = await Libvirt.connect({ uri: process.argv[2] ?? "", log: silentLog });
for await (const _ of createInterface(process.stdin)) {
  const startMs = performance.now();
  const { domains } = await libvirt.call(connectListAllDomains, { needResults: true, flags: 0 }, reading);
  const infos = await Promise.all(domains.map((dom) => libvirt.call(domainGetInfo, { dom }, reading)));
  process.stdout.write(`${JSON.stringify([infos.length, performance.now() - startMs])}\n`);
}
await libvirt.close();
