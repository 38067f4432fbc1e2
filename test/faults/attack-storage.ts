import { randomUUID } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { isSocleError } from "../../agent/kernel/errors.ts";
import { bootSector, linux } from "../support/socle-host.ts";
import { hostileImages, makeOverlay } from "./attack-images.ts";
import { Outside } from "./attack-outside.ts";
import { dependents } from "./attack-dependents.ts";
import { sameStorage } from "./attack-same-storage.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";

const END_WITHIN_MS = 120_000;

/** Images of a hostile tenant: none makes the host open, change or call anything outside the pool. */
export async function storage(stage: Stage): Promise<Theme> {
  const { host } = stage;
  const pool = host.libvirtd.imagesDirectory;
  const outside = stage.run.keep(await Outside.make(join(host.libvirtd.directory, "outside")));
  const at = (name: string): string => join(pool, name);
  const tries: Try[] = hostileImages(pool, outside).flatMap(([what, name, make]) => {
    const made = async (spec: VmSpec): Promise<Outcome> => {
      const before = new Set(await filesIn(pool));
      try {
        await make();
        await outside.touched(); // Resets the access by the new second name.
        return await creates(stage, outside, spec);
      } finally {
        for (const file of await filesIn(pool)) if (!before.has(file)) await rm(at(file), { force: true });
      }
    };
    const volume = { pool: "images", volume: name };
    const vm = `storage-${name.replace(/\W/g, "-")}`;
    const newVolume = { pool: "images", baseVolume: name, format: "DISK_FORMAT_QCOW2" as const };
    return [
      {
        what: `${what}, as a disk`,
        attack: () => made(bootSector(vm, { disks: [{ name: "root", volume }] })),
      },
      {
        what: `${what}, as a base`,
        attack: () => made(bootSector(vm, { disks: [{ name: "root", newVolume }] })),
      },
      ...(name.endsWith(".img")
        ? [
            {
              what: `${what}, as a kernel`,
              attack: () => made(linux(vm, { kernelBoot: { kernel: volume } })),
            },
          ]
        : []),
    ];
  });
  /** Valid images are accepted, so the others are refused for their defects. */
  const proper = async (): Promise<Outcome> => {
    await makeOverlay(pool, "proper-1.qcow2", "bootsector.img");
    await makeOverlay(pool, "proper.qcow2", at("proper-1.qcow2"), "qcow2");
    const volume = { pool: "images", volume: "proper.qcow2" };
    const outcome = await creates(
      stage,
      outside,
      bootSector("proper", { disks: [{ name: "root", volume }] }),
    );
    for (const name of ["proper.qcow2", "proper-1.qcow2"]) await rm(at(name));
    if (outcome === "inert") return outcome;
    throw new Error(`it is to be taken: ${JSON.stringify(outcome)}`);
  };
  tries.unshift({ what: "a proper overlay of a proper overlay", attack: proper });
  const sizes = [2 ** 50, 2 ** 60, 2 ** 53 - 1];
  for (const capacityBytes of sizes)
    for (const format of ["DISK_FORMAT_RAW", "DISK_FORMAT_QCOW2"] as const)
      tries.push({
        what: `a new ${format} of ${capacityBytes} bytes`,
        attack: () =>
          creates(
            stage,
            outside,
            bootSector("storage-size", {
              disks: [{ name: "root", newVolume: { pool: "images", capacityBytes, format } }],
            }),
          ),
      });
  tries.push(...(await sameStorage(stage)), ...(await dependents(stage)));
  return { name: "storage", tries };
}

/** The outcome of a creation with this spec. The VM is deleted afterwards. */
async function creates(stage: Stage, outside: Outside, spec: VmSpec): Promise<Outcome> {
  const { host } = stage;
  const { vms } = host.client.contract;
  let end: Operation__Output;
  try {
    end = await host.ended(
      await host.client.ask(vms.CreateVm, { requestId: randomUUID(), spec }),
      END_WITHIN_MS,
    );
  } catch (thrown) {
    if (!isSocleError(thrown) || thrown.kind === "internal") throw thrown;
    return (await isUntouched(outside)) ?? "refused";
  }
  if (!end.done) throw new Error(`it has no end: ${host.describe(end)}`);
  if (end.state !== "STATE_SUCCEEDED") {
    if ((await host.witness.states()).has(spec.name ?? ""))
      throw new Error(`a VM is left: ${host.describe(end)}`);
    return (await isUntouched(outside)) ?? "refused";
  }
  try {
    const process = await host.witness.process(end.vmId);
    const isOpen = process !== undefined && (await outside.openIn(process.pid));
    if (isOpen) return { letThrough: "the guest has the file outside" };
    const foreign = await foreignImages(stage, spec.name ?? "", end.vmId);
    if (foreign !== undefined) return { letThrough: foreign };
    return (await isUntouched(outside)) ?? "inert";
  } finally {
    await host.succeeds({ kind: "DELETE", vm: end.vmId, requestId: randomUUID() });
    await outside.touched();
  }
}

/** An image of the running guest that is outside the pool or another VM's, from QEMU's own list of open images. */
async function foreignImages(stage: Stage, name: string, vmId: string): Promise<string | undefined> {
  const { witness, libvirtd } = stage.host;
  const list = await witness.virsh("qemu-monitor-command", name, '{"execute":"query-named-block-nodes"}');
  const nodes = (JSON.parse(list) as { return: { file?: string; drv?: string }[] }).return;
  const foreign = nodes
    .filter(({ drv }) => drv !== "qcow2" && drv !== "raw")
    .map(({ file = "" }) => file)
    .filter((file) => dirname(file) !== libvirtd.imagesDirectory || isOthers(basename(file), vmId));
  return foreign.length === 0 ? undefined : `its QEMU has ${foreign.join(", ")} open`;
}

const isOthers = (volume: string, vmId: string): boolean =>
  /^socle-[0-9a-f-]{36}-/.test(volume) && !volume.includes(vmId);

async function isUntouched(outside: Outside): Promise<Outcome | undefined> {
  const touched = await outside.touched();
  return touched === undefined ? undefined : { letThrough: touched };
}

const filesIn = (directory: string): Promise<string[]> => readdir(directory);
