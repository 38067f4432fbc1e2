import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { SocleError } from "../../kernel/errors.ts";
import type { VmSpec } from "../../gen/socle/v1/VmSpec.ts";
import { exitCodes, usageError } from "../errors.ts";
import { mutate, type MutationOptions } from "../follow.ts";
import type { Command, Session } from "../session.ts";
import { parseSpecFile } from "../spec-file.ts";
import { withFlags, type SpecFlags } from "../vm-spec.ts";
import { codeOf } from "../../kernel/thrown.ts";

type Options = MutationOptions &
  SpecFlags & {
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
  const base = options.file === undefined ? {} : await readSpec(session, options.file);
  const spec = withFlags(base, options);
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

const unreadable = new Map([
  ["ENOENT", "there is no such file"],
  ["EACCES", "this user may not read it"],
  ["EISDIR", "it is a directory"],
]);

async function readSpec(session: Session, file: string): Promise<VmSpec> {
  if (file === "-") return parseSpecFile(await text(session.io.stdin), "stdin");
  const words = await readFile(file, "utf8").catch((cause: unknown) => {
    const code = codeOf(cause) ?? "";
    const message = `${file} cannot be read: ${unreadable.get(code) ?? code}`;
    throw new SocleError(code === "ENOENT" ? "not_found" : "invalid", "FILE_UNREADABLE", message, { cause });
  });
  return parseSpecFile(words, file);
}
