import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { access, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { DeleteVmRequest } from "../../agent/gen/socle/v1/DeleteVmRequest.ts";
import { toSocleError } from "../../agent/kernel/errors.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Try } from "./attack-runner.ts";
import type { SpareHost } from "./attack-spare-host.ts";

const END_WITHIN_MS = 60_000;
const execute = promisify(execFile);

/** Deletions of a VM whose disk another client has made a backing file of other data. */
export async function dependents(stage: Stage): Promise<Try[]> {
  const spare = await stage.spare();
  return [
    {
      what: "a deletion of a disk with an overlay in another pool that libvirt has not refreshed",
      attack: () => deletesBase(spare),
    },
    {
      what: "an erasure of a disk that the guest no longer uses after a snapshot",
      attack: () => erasesReplaced(spare),
    },
  ];
}

async function deletesBase(spare: SpareHost): Promise<Outcome> {
  const { libvirtd, witness } = spare.host;
  const pool = `overlays-${randomUUID().slice(0, 8)}`;
  const directory = join(libvirtd.directory, pool);
  const { vmId } = await spare.create("base");
  const disk = diskOf(spare, vmId);
  try {
    await mkdir(directory);
    await witness.virsh("pool-create-as", pool, "dir", "--target", directory);
    const overlay = ["-f", "qcow2", "-F", "qcow2", "-b", disk, join(directory, "overlay.qcow2")];
    await execute("qemu-img", ["create", ...overlay]);
    return await isRefused(spare, { vm: vmId, force: true }, "VOLUME_IN_USE", disk);
  } finally {
    // Otherwise the agent refuses to remove the try's remains.
    await rm(directory, { recursive: true, force: true });
    await witness.virsh("pool-destroy", pool).catch(() => undefined);
  }
}

async function erasesReplaced(spare: SpareHost): Promise<Outcome> {
  const { libvirtd, witness } = spare.host;
  const { vmId } = await spare.create("snapshot");
  const disk = diskOf(spare, vmId);
  const replacing = join(libvirtd.imagesDirectory, "replacing.qcow2");
  const snapshot = ["--disk-only", "--no-metadata", "--diskspec", `vda,snapshot=no`];
  try {
    const target = await targetOf(spare, vmId, disk);
    await witness.virsh("snapshot-create-as", vmId, ...snapshot, "--diskspec", `${target},file=${replacing}`);
    return await isRefused(spare, { vm: vmId, force: true, eraseDisks: true }, "DISKS_REPLACED", disk);
  } finally {
    await spare.removeByHand();
    await rm(replacing, { force: true });
  }
}

const diskOf = ({ host }: SpareHost, vmId: string): string =>
  join(host.libvirtd.imagesDirectory, `socle-${vmId}-data.qcow2`);

/** The disk's name on the guest's bus: vdb. */
async function targetOf({ host }: SpareHost, vmId: string, disk: string): Promise<string> {
  const lines = (await host.witness.virsh("domblklist", vmId)).split("\n");
  const [target] =
    lines
      .find((line) => line.includes(disk))
      ?.trim()
      .split(/\s+/) ?? [];
  if (target === undefined) throw new Error(`${vmId} has no disk ${disk}`);
  return target;
}

/** The deletion is refused for this reason, the guest runs on in its process, and the disk exists. */
async function isRefused(
  spare: SpareHost,
  request: DeleteVmRequest & { readonly vm: string },
  wanted: string,
  disk: string,
): Promise<Outcome> {
  const { host, contract } = spare;
  const process = await host.witness.process(request.vm);
  const reason = await host.client.ask(contract.vms.DeleteVm, { requestId: randomUUID(), ...request }).then(
    async (begun) => spare.failureOf(await host.ended(begun, END_WITHIN_MS))?.reason ?? "done",
    (thrown: unknown) => toSocleError(thrown).reason,
  );
  if (!(await spare.runs(request.vm, process))) return { letThrough: `the guest has ended: ${reason}` };
  const isThere = await access(disk).then(
    () => true,
    () => false,
  );
  if (!isThere) return { letThrough: `${disk} was deleted: ${reason}` };
  return reason === wanted ? "refused" : { letThrough: `it is refused with another reason: ${reason}` };
}
