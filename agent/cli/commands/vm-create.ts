import { withCloudInitFlags, type CloudInitFlags } from "../cloud-init.ts";
import type { VmSpec } from "../../gen/socle/v1/VmSpec.ts";
import { exitCodes, usageError } from "../errors.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import type { Command, Session } from "../session.ts";
import { parseSpecFile } from "../spec-file.ts";
import { readText } from "../text-file.ts";
import { withFlags, type SpecFlags } from "../vm-spec.ts";

type Options = MutationOptions &
  SpecFlags &
  CloudInitFlags & {
    readonly reservation?: string;
    readonly file?: string;
    readonly leaveStopped?: boolean;
    readonly dryRun?: boolean;
    readonly example?: boolean;
  };

export const createVm: Command = async (session, _args, options: Options) => {
  if (options.example === true) {
    if (session.json) throw usageError("--example prints a commented file: leave out --json");
    session.print((await import("../spec-help.ts")).exampleSpec());
    return exitCodes.ok;
  }
  const { file, userData, networkConfig } = options;
  if ([file, userData, networkConfig].filter((name) => name === "-").length > 1)
    throw usageError("stdin (-) can be one of --file, --user-data and --network-config");
  const base =
    file === undefined
      ? {}
      : await parseSpecFile(await readText(session, file), file === "-" ? "stdin" : file);
  const cloudInit = await withCloudInitFlags(session, base.cloudInit, options);
  const spec = {
    ...withFlags(base, await withImagePool(session, base, options)),
    ...(cloudInit === undefined ? {} : { cloudInit }),
  };
  const missing = [
    ["--name", spec.name],
    ["--vcpus", spec.vcpus],
    ["--memory", spec.memoryBytes],
  ].filter(([, value]) => value === undefined);
  if (missing.length > 0) {
    const options = missing.map(([option]) => option).join(", ");
    throw usageError(`a VM needs ${options}: give it as an option or in a file (-f)`);
  }
  const validateOnly = options.dryRun === true;
  return await mutate(session, options, ({ vms }) => vms.CreateVm, {
    spec,
    leaveStopped: options.leaveStopped === true,
    validateOnly,
    reservationId: options.reservation ?? "",
  });
};

/** A new disk is in the pool of its image. */
async function withImagePool(session: Session, { tenant }: VmSpec, options: Options): Promise<Options> {
  if (options.image === undefined) return options;
  const agent = await session.agent();
  const request = { image: options.image, tenant: options.tenant ?? tenant ?? "" };
  const { pool } = await agent.ask(agent.contract.images.GetImage, request);
  return { ...options, imagePool: pool };
}
