import { randomUUID } from "node:crypto";
import { SocleError } from "../../kernel/errors.ts";
import type { Command } from "../session.ts";

export const showEpoch: Command = async (session) => {
  const agent = await session.agent();
  const { controlEpoch } = await agent.ask(agent.contract.host.GetHost, {});
  if (controlEpoch === undefined)
    throw new SocleError("unsupported", "UNIMPLEMENTED", "the agent does not report its control epoch");
  if (session.json) session.printJson({ controlEpoch });
  else session.print(controlEpoch === 0 ? "no control epoch accepted yet (0)\n" : `${controlEpoch}\n`);
};

export const resetEpoch: Command = async (session, _args, options) => {
  const agent = await session.agent();
  const answer = await agent.ask(agent.contract.host.ResetControlEpoch, {
    requestId: randomUUID(),
    controlEpoch: Number(options["to"]),
  });
  if (session.json) session.printJson(answer);
  else session.print(`the control epoch is ${answer.controlEpoch}; it was ${answer.previousControlEpoch}\n`);
};
