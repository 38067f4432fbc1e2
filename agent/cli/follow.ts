import { randomUUID } from "node:crypto";
import { SocleError } from "../kernel/errors.ts";
import type { Operation__Output } from "../gen/socle/v1/Operation.ts";
import type { Agent, Method } from "./client.ts";
import type { Contract } from "../contract/load.ts";
import type { ExitCode } from "./errors.ts";
import { enumWord, formatDuration, printable, toMs } from "./format.ts";
import { Progress } from "./progress.ts";
import { fromStatus } from "./rpc-error.ts";
import type { Session } from "./session.ts";

/** Options that every mutation takes. */
export interface MutationOptions {
  readonly requestId?: string;
  readonly wait?: boolean;
  /** In milliseconds. */
  readonly timeout?: number;
}

/**
 * Sends a mutation and follows its operation to the end: steps on stderr, the outcome on stdout. Throws the
 * operation's own error when it fails.
 */
export async function mutate<Request extends { readonly requestId?: string }>(
  session: Session,
  options: MutationOptions,
  method: (contract: Contract) => Method<Request, Operation__Output>,
  request: Omit<Request, "requestId">,
): Promise<ExitCode | undefined> {
  const agent = await session.agent();
  const requestId = options.requestId ?? randomUUID();
  const begun = await begin();
  if (options.wait === false && !begun.done) {
    session.show(begun, () => `${begun.operationId}\n`);
    return undefined;
  }
  conclude(session, agent, await follow(session, agent, begun, options.timeout), nameIn(request));
  return undefined;

  async function begin(): Promise<Operation__Output> {
    try {
      return await agent.ask(method(agent.contract), { ...request, requestId } as Request);
    } catch (thrown) {
      throw maybeTaken(thrown, requestId);
    }
  }
}

/** The finished operation. Throws `timeout` at the deadline. */
export async function follow(
  session: Session,
  agent: Agent,
  begun: Operation__Output,
  timeoutMs: number | undefined,
): Promise<Operation__Output> {
  const progress = new Progress(session);
  const { operationId } = begun;
  const later = `it goes on; see socle operations wait ${operationId}`;
  try {
    progress.update(begun);
    if (begun.done) return begun;
    const { WatchOperations } = agent.contract.operations;
    for await (const operation of agent.watch(WatchOperations, { operationId }, { timeoutMs })) {
      progress.update(operation);
      if (operation.done) return operation;
    }
    throw new SocleError("unavailable", "STREAM_ENDED", `the agent ended the connection: ${later}`);
  } catch (thrown) {
    if (!(thrown instanceof SocleError)) throw thrown;
    if (thrown.kind === "timeout" && timeoutMs !== undefined) {
      const limit = formatDuration(timeoutMs);
      throw new SocleError("timeout", "STILL_RUNNING", `the operation did not end in ${limit}: ${later}`);
    }
    if (thrown.kind !== "cancelled" && thrown.kind !== "unavailable") throw thrown;
    throw new SocleError(thrown.kind, thrown.reason, `${thrown.message}: ${later}`, { cause: thrown });
  } finally {
    progress.end();
  }
}

/** The name of the VM, the image or the volume in a request. */
const nameIn = (request: {
  readonly vm?: string;
  readonly image?: string;
  readonly name?: string;
  readonly spec?: { readonly name?: string } | null;
}): string => request.vm ?? request.image ?? request.name ?? request.spec?.name ?? "";

/** Prints an operation's outcome, with the name of its VM or image if known; throws its error unless it is done. */
export function conclude(session: Session, agent: Agent, operation: Operation__Output, name = ""): void {
  if (session.json) session.printJson(operation);
  if (operation.error !== null) throw fromStatus(agent.contract, operation.error);
  if (operation.state !== "STATE_SUCCEEDED") {
    const how = enumWord(operation.state, "STATE").replaceAll("_", " ");
    throw new SocleError("internal", "OPERATION_NOT_DONE", `the operation ended as ${how}`);
  }
  if (session.json) return;
  const tookMs = (toMs(operation.endedAt) ?? 0) - (toMs(operation.createdAt) ?? 0);
  const what = operation.kind.replaceAll("_", " ").toLowerCase();
  const id = operation.vmId || operation.imageId || operation.volume;
  const shown = printable(name === "" ? id : name);
  // A request that only validates makes no operation.
  const isMade = operation.operationId !== "";
  const outcome = isMade ? `${session.paint("green", "done")} in ${formatDuration(tookMs)}` : "possible";
  session.print(`${what} ${shown}: ${outcome}\n`);
  const facts = shown === id ? operation.result : { id, ...operation.result };
  for (const [key, value] of Object.entries(facts)) {
    session.print(`  ${printable(key)}: ${printable(value)}\n`);
  }
  if (!isMade) session.print("nothing changed (--dry-run)\n");
}

/** Without an answer the agent may still have begun: repeating with the same id is safe. */
function maybeTaken(cause: unknown, requestId: string): unknown {
  if (!(cause instanceof SocleError) || (cause.kind !== "timeout" && cause.kind !== "cancelled"))
    return cause;
  return new SocleError(
    cause.kind,
    cause.reason,
    `${cause.message}; the agent may have begun: repeat it with --request-id ${requestId} to find out`,
    { cause },
  );
}
