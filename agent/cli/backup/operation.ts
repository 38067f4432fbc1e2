import { randomUUID } from "node:crypto";
import { SocleError, toSocleError, type ErrorKind } from "../../kernel/errors.ts";
import type { Operation__Output } from "../../gen/socle/v1/Operation.ts";
import type { Contract } from "../../contract/load.ts";
import type { Agent, Method } from "../client.ts";
import { follow } from "../follow.ts";
import { enumWord, printable } from "../format.ts";
import { fromStatus } from "../rpc-error.ts";
import type { Session } from "../session.ts";

/** A line for people; programs get what they need in the JSON. */
export function remark(session: Session, text: string): void {
  if (!session.json) session.note(`  ${printable(text)}`);
}

/** Follows a new operation to its success, with its steps on stderr. Throws its error. */
export async function succeed<Request extends { readonly requestId?: string }>(
  session: Session,
  agent: Agent,
  method: (contract: Contract) => Method<Request, Operation__Output>,
  request: Omit<Request, "requestId"> & { readonly requestId?: string },
): Promise<Operation__Output> {
  const asked = { requestId: randomUUID(), ...request } as Request;
  const begun = await agent.ask(method(agent.contract), asked);
  return requireSuccess(agent, await follow(session, agent, begun, undefined));
}

/** Errors that do not show whether a request was accepted. */
const unanswered: readonly ErrorKind[] = [
  "unavailable",
  "timeout",
  "cancelled",
  "outcome_unknown",
  "out_of_range",
  "internal",
];

/** Whether a new request that failed so may have begun its operation. Repeating it shows that. */
export const isUnanswered = (thrown: unknown): boolean => unanswered.includes(toSocleError(thrown).kind);

export function requireSuccess(agent: Agent, ended: Operation__Output): Operation__Output {
  if (ended.error !== null) throw fromStatus(agent.contract, ended.error);
  if (ended.state === "STATE_SUCCEEDED") return ended;
  const how = enumWord(ended.state, "STATE").replaceAll("_", " ");
  throw new SocleError("internal", "OPERATION_NOT_DONE", `the operation ended as ${how}`);
}
