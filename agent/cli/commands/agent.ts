import type { ExitCode } from "../errors.ts";
import type { Command } from "../session.ts";

export const runAgent: Command = async (session, _args, options) =>
  (await session.io.startAgent(String(options.config))) as ExitCode;
