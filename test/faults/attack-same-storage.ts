import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { access, mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { toSocleError } from "../../agent/kernel/errors.ts";
import { bootSector } from "../support/socle-host.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Try } from "./attack-runner.ts";
import type { SpareHost } from "./attack-spare-host.ts";

const END_WITHIN_MS = 60_000;
const SHARED = "shared.qcow2";
const execute = promisify(execFile);

/** A second path of the pool's directory; undefined: this machine does not allow it. */
type SecondName = (spare: SpareHost) => Promise<{ path: string; remove: () => Promise<void> } | undefined>;

/** libvirt itself refuses a second pool over the same path. */
const link: SecondName = async ({ host: { libvirtd } }) => {
  const path = join(libvirtd.directory, `link-${randomUUID().slice(0, 8)}`);
  await symlink(libvirtd.imagesDirectory, path);
  return { path, remove: () => rm(path) };
};

/** libvirtd has its own mount namespace, which gets the same mount as the agent's. */
function bindMount(stage: Stage): SecondName {
  return async ({ host: { libvirtd } }) => {
    const path = join(libvirtd.directory, `bound-${randomUUID().slice(0, 8)}`);
    await mkdir(path);
    const mount = ["--bind", libvirtd.imagesDirectory, path];
    try {
      await execute("mount", mount);
    } catch (thrown) {
      stage.run.log(`no try of a bind mount: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
      return undefined;
    }
    const remove = async (): Promise<void> => {
      await libvirtd.run("umount", ["--lazy", path]).catch(() => undefined);
      await execute("umount", ["--lazy", path]);
    };
    try {
      await libvirtd.run("mount", mount);
    } catch (thrown) {
      await remove();
      throw thrown;
    }
    return { path, remove };
  };
}

/** One disk that two VMs write to, or that is deleted with another VM, through a second path of its directory. */
export async function sameStorage(stage: Stage): Promise<Try[]> {
  const spare = await stage.spare();
  return (
    [
      ["through a second pool over a link", link],
      ["through a second pool over a bind mount", bindMount(stage)],
    ] as const
  ).map(([how, name]) => ({ what: `a disk in use, ${how}`, attack: () => takesTwice(spare, name) }));
}

async function takesTwice(spare: SpareHost, name: SecondName): Promise<Outcome> {
  const { host } = spare;
  const { witness, libvirtd } = host;
  const second = await name(spare);
  if (second === undefined) return "inert";
  const pool = `second-${randomUUID().slice(0, 8)}`;
  const specOf = (vm: string, of: string): VmSpec =>
    bootSector(vm, { disks: [{ name: "root", volume: { pool: of, volume: SHARED } }] });
  try {
    await witness.virsh("vol-create-as", "images", SHARED, "1MiB", "--format", "qcow2");
    await witness.virsh("pool-create-as", pool, "dir", "--target", second.path);
    await access(join(second.path, SHARED));
    const create = async (vm: string, of: string) => {
      const request = { requestId: randomUUID(), spec: specOf(vm, of), leaveStopped: true };
      return await host.ended(await host.client.ask(spare.contract.vms.CreateVm, request), END_WITHIN_MS);
    };
    const first = await create("first", "images");
    if (first.state !== "STATE_SUCCEEDED") throw new Error(host.describe(first));
    const reason = await create("second", pool).then(
      (end) => (end.state === "STATE_SUCCEEDED" ? undefined : spare.failureOf(end)?.reason),
      (thrown: unknown) => toSocleError(thrown).reason,
    );
    const domains = [...(await witness.states()).keys()];
    if (domains.includes("second"))
      return { letThrough: `two VMs write to ${join(libvirtd.imagesDirectory, SHARED)}` };
    if (reason === "VOLUME_IN_USE") return "refused";
    return { letThrough: `it is refused otherwise: ${reason ?? "done"}` };
  } finally {
    await spare.clear();
    await witness.virsh("pool-destroy", pool).catch(() => undefined);
    await witness.virsh("vol-delete", SHARED, "--pool", "images").catch(() => undefined);
    await second.remove();
  }
}
