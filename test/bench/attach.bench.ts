// AttachDisk and DetachDisk of a running guest, against virsh attach-device and detach-device
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { linux } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import { bench } from "./bench.ts";
import { startBenchHost, succeeded } from "./bench-host.ts";
import { measurePairs } from "./pairs.ts";

await bench("attach", async (run) => {
  const pairs = run.quick ? 1 : 20;
  const host = await startBenchHost(run);
  const { client, libvirtd } = host;
  for (const name of ["ours.qcow2", "theirs.qcow2"])
    await host.virsh("vol-create-as", "images", name, "8M", "--format", "qcow2");
  const { vms } = client.contract;
  const of = (): { requestId: string; vm: string } => ({ requestId: randomUUID(), vm: "guest" });
  await succeeded(host, host.beginCreate(linux("guest")));
  const disk = { name: "ours", volume: { pool: "images", volume: "ours.qcow2" } };
  const attach = () => succeeded(host, client.ask(vms.AttachDisk, { ...of(), disk }));
  const detach = () => succeeded(host, client.ask(vms.DetachDisk, { ...of(), disk: "ours" }));
  // Only a guest that has booted releases a disk. Also warms up.
  await attach();
  const isDetached = async (): Promise<boolean> => {
    await detach().catch(() => undefined);
    return (await client.ask(vms.GetVm, { vm: "guest" })).spec?.disks.length === 0;
  };
  await eventually(isDetached, { what: "the guest to boot", timeoutMs: 300_000, intervalMs: 1000 });
  const xml = join(libvirtd.directory, "theirs.xml");
  await writeFile(
    xml,
    `<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none' io='native' discard='unmap'/>
     <source file='${join(libvirtd.imagesDirectory, "theirs.qcow2")}'/><target dev='vdx' bus='virtio'/><serial>theirs</serial></disk>`,
  );
  const both = "--live --config";
  const { socleMs, peerMs, ratio } = await measurePairs(run, pairs, () => ({
    socle: async () => {
      await attach();
      await detach();
    },
    // One virsh for both commands, so that its start and connection count once.
    peer: () => host.virsh(`attach-device guest ${xml} ${both}; detach-device guest ${xml} ${both}`),
  }));
  return { figures: { pairs, socleMs, virshMs: peerMs, ratio }, bound: { ratio: { atMost: 1.1 } } };
});
