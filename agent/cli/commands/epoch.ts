import { randomUUID } from "node:crypto";
import type { Command } from "../session.ts";

export const resetEpoch: Command = async (session, _args, options) => {
  const agent = await session.agent();
  const answer = await agent.ask(agent.contract.host.ResetControlEpoch, {
    requestId: randomUUID(),
    controlEpoch: Number(options["to"]),
  });
  if (session.json) session.printJson(answer);
  else session.print(`the control epoch is ${answer.controlEpoch}; it was ${answer.previousControlEpoch}\n`);
  return undefined;
};
