import { writeFile } from "node:fs/promises";
import { messageOf } from "../../kernel/thrown.ts";
import { usageError } from "../errors.ts";
import { formatBytes, printable } from "../format.ts";
import type { Command } from "../session.ts";

interface Options {
  readonly output?: string;
  readonly screen?: number;
}

/** The file is written once the whole picture is there. */
export const takeScreenshot: Command = async (session, [vm = ""], { output = "-", screen = 0 }: Options) => {
  if (output === "-" && session.json) throw usageError("--json and --output - both write to stdout");
  const agent = await session.agent();
  const pieces: Buffer[] = [];
  for await (const { png } of agent.watch(agent.contract.screens.GetScreenshot, { vm, screen }))
    pieces.push(png);
  const picture = Buffer.concat(pieces);
  if (output === "-") {
    session.io.stdout.write(picture);
    return undefined;
  }
  try {
    await writeFile(output, picture);
  } catch (thrown) {
    throw usageError(`${output} cannot be written: ${messageOf(thrown)}`);
  }
  const bytes = picture.length;
  session.show(
    { vm, file: output, bytes },
    () => `screenshot ${printable(vm)}: ${output}, ${formatBytes(bytes)}\n`,
  );
  return undefined;
};
