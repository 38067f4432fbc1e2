import { randomUUID } from "node:crypto";
import type { Host__Output } from "../../gen/socle/v1/Host.ts";
import type { ExitCode } from "../errors.ts";
import { enumWord } from "../format.ts";
import type { Command, Session } from "../session.ts";
import { because } from "./health.ts";

export const cordon: Command = (session, _args, options) =>
  setState(session, "LIFECYCLE_STATE_CORDONED", String(options.reason));

export const uncordon: Command = (session) => setState(session, "LIFECYCLE_STATE_ACTIVE", "");

async function setState(
  session: Session,
  state: "LIFECYCLE_STATE_CORDONED" | "LIFECYCLE_STATE_ACTIVE",
  reason: string,
): Promise<ExitCode | undefined> {
  const agent = await session.agent();
  const host = await agent.ask(agent.contract.host.SetSchedulingState, {
    requestId: randomUUID(),
    state,
    reason,
  });
  if (session.json) session.printJson(host);
  else if (host.schedulingState === "LIFECYCLE_STATE_CORDONED") session.print("cordoned: no new VMs\n");
  else session.print(`active${outlook(host)}\n`);
  return undefined;
}

/** Conditions can forbid scheduling too. */
function outlook({ health }: Host__Output): string {
  const schedulable = enumWord(health?.schedulable ?? "TRUTH_UNKNOWN", "TRUTH");
  if (schedulable === "true") return ": new VMs are accepted";
  return `, but schedulable is ${schedulable}${because(health?.blockingConditions ?? [])}: no new VMs`;
}
