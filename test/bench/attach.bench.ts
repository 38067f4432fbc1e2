// AttachDisk and DetachDisk of a running guest, against virsh attach-device and detach-device
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Agent } from "../../agent/cli/client.ts";
import { fromStatus } from "../../agent/cli/rpc-error.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { guestFilesIn, linuxCommandLine } from "../support/guest.ts";
import { Libvirtd } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";
import { eventually } from "../support/wait.ts";
import { bench } from "./bench.ts";
import { connectTo, startShippedAgent } from "./shipped-agent.ts";
import { median, timed } from "./statistics.ts";

const MIB = 2 ** 20;

await bench("attach", async (run) => {
  const pairs = run.quick ? 1 : 20;
  const libvirtd = run.keep(await Libvirtd.start());
  const { uri, imagesDirectory } = libvirtd;
  await guestFilesIn(imagesDirectory);
  await virsh(uri, ["pool-create-as", "images", "dir", "--target", imagesDirectory]);
  for (const name of ["ours.qcow2", "theirs.qcow2"])
    await virsh(uri, ["vol-create-as", "images", name, "8M", "--format", "qcow2"]);
  const agent = await startShippedAgent(run, { libvirt: { uri } });
  const client = await connectTo(run, agent);
  const { vms } = client.contract;
  const of = (): { requestId: string; vm: string } => ({ requestId: randomUUID(), vm: "guest" });
  const spec: VmSpec = {
    name: "guest",
    vcpus: 1,
    memoryBytes: 128 * MIB,
    // Not every KVM runs this guest.
    accelerator: "ACCELERATOR_TCG",
    kernelBoot: {
      kernel: { pool: "images", volume: "vmlinuz" },
      initrd: { pool: "images", volume: "initrd" },
      commandLine: linuxCommandLine,
    },
  };
  await eventually(
    async () => (await client.ask(vms.ListVms, {})).observation?.presence === "PRESENCE_PRESENT",
    { what: "the agent to see libvirt" },
  );
  await ended(client, await client.ask(vms.CreateVm, { requestId: randomUUID(), spec }));
  const disk = { name: "ours", volume: { pool: "images", volume: "ours.qcow2" } };
  const attach = async (): Promise<void> => {
    await ended(client, await client.ask(vms.AttachDisk, { ...of(), disk }));
  };
  const detach = async (): Promise<void> => {
    await ended(client, await client.ask(vms.DetachDisk, { ...of(), disk: "ours" }));
  };
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
     <source file='${join(imagesDirectory, "theirs.qcow2")}'/><target dev='vdx' bus='virtio'/><serial>theirs</serial></disk>`,
  );
  const both = "--live --config";
  const sides = {
    socle: async () => {
      await attach();
      await detach();
    },
    // One virsh for both commands, so that its start and connection count once.
    virsh: () => virsh(uri, [`attach-device guest ${xml} ${both}; detach-device guest ${xml} ${both}`]),
  };
  const tookMs = { socle: [] as number[], virsh: [] as number[] };
  for (let pair = 0; pair < pairs; pair += 1) {
    for (const side of pair % 2 === 0 ? (["socle", "virsh"] as const) : (["virsh", "socle"] as const))
      tookMs[side].push(await timed(sides[side]));
    run.log(
      `pair ${pair + 1}: socle ${tookMs.socle[pair]?.toFixed(0)} ms, virsh ${tookMs.virsh[pair]?.toFixed(0)} ms`,
    );
  }
  return {
    figures: {
      pairs,
      socleMs: median(tookMs.socle),
      virshMs: median(tookMs.virsh),
      ratio: median(tookMs.socle.map((ms, pair) => ms / (tookMs.virsh[pair] ?? NaN))),
    },
    bound: { ratio: { atMost: 1.1 } },
  };
});

/** Throws the operation's error unless it succeeds. */
async function ended(client: Agent, { operationId }: Operation__Output): Promise<void> {
  const { operations } = client.contract;
  const { state, error } = await client.ask(operations.WaitOperation, {
    operationId,
    timeout: { seconds: 60, nanos: 0 },
  });
  if (state === "STATE_SUCCEEDED") return;
  throw error === null ? new Error(`the operation is ${state}`) : fromStatus(client.contract, error);
}
