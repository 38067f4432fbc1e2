import { ifPresent, toSocleError } from "../../kernel/errors.ts";
import type { BeginBackupRequest } from "../../gen/socle/v1/BeginBackupRequest.ts";
import type { Operation__Output } from "../../gen/socle/v1/Operation.ts";
import type { Agent } from "../client.ts";
import { follow } from "../follow.ts";
import type { Session } from "../session.ts";
import { isUnanswered, remark, requireSuccess, succeed } from "./operation.ts";

/** For FinishBackup after an interrupt. */
const CLEANUP_MS = 10_000;

export type BeginRequest = BeginBackupRequest & { readonly vm: string; readonly requestId: string };

export interface Opening {
  readonly request: BeginRequest;
  /** The caller may repeat the request: without an answer, what it has begun stays. */
  readonly isRepeatable?: boolean;
  /** Called once nothing of the request is open any more. */
  readonly onOver?: () => Promise<void>;
}

export interface Ending {
  readonly end: (success: boolean) => Promise<void>;
  /** From now on a failure leaves it open: a next run ends it. */
  readonly keepOpen: () => void;
}

/** Begins a backup for work that ends it. If the answer is lost or the work throws, it is ended without success. */
export async function openBackup<T>(
  session: Session,
  agent: Agent,
  { request, isRepeatable = false, onOver = () => Promise.resolve() }: Opening,
  work: (backupId: string, ending: Ending) => Promise<T>,
): Promise<T> {
  const begun = await begin(session, agent, request).catch(async (thrown: unknown) => {
    if (!isUnanswered(thrown)) await onOver();
    else if (!isRepeatable && (await abandon(session, request))) await onOver();
    throw thrown;
  });
  if (begun.state !== "STATE_SUCCEEDED") await onOver();
  const backupId = requireSuccess(agent, begun).result["backup_id"] ?? "";
  const { vm } = request;
  const end = async (success: boolean): Promise<void> => {
    await succeed(session, agent, ({ backups }) => backups.FinishBackup, { vm, backupId, success });
    await onOver();
  };
  const kept = new AbortController();
  const keepOpen = (): void => kept.abort();
  try {
    return await work(backupId, { end, keepOpen });
  } catch (thrown) {
    if (!kept.signal.aborted && (await abandon(session, request, backupId))) await onOver();
    throw thrown;
  }
}

/** The end of the operation that the request has begun, now or before. */
async function begin(session: Session, agent: Agent, request: BeginRequest): Promise<Operation__Output> {
  return await follow(
    session,
    agent,
    await agent.ask(agent.contract.backups.BeginBackup, request),
    undefined,
  );
}

/** The backup of a request without an answer; undefined: it has none. Throws if this is not known. */
export async function begunBy(
  session: Session,
  agent: Agent,
  request: BeginRequest,
): Promise<string | undefined> {
  try {
    const { state, result } = await begin(session, agent, request);
    return state === "STATE_SUCCEEDED" ? result["backup_id"] : undefined;
  } catch (thrown) {
    // Others may refuse a caller whose request was accepted before.
    const isRefused = ["conflict", "invalid", "not_found", "unsupported"].includes(toSocleError(thrown).kind);
    if (isRefused) return undefined;
    throw thrown;
  }
}

/** Not of a VM that is gone. */
export async function isOpen(agent: Agent, vm: string, backupId: string): Promise<boolean> {
  const list = () => agent.ask(agent.contract.backups.ListBackups, { vm });
  const { backups = [] } = (await ifPresent("VM_NOT_FOUND", list)) ?? {};
  return backups.some((each) => each.backupId === backupId && each.state === "BACKUP_STATE_OPEN");
}

/** Also after an interrupt. Returns whether it is over; its lease ends it otherwise. */
async function abandon(session: Session, request: BeginRequest, known?: string): Promise<boolean> {
  const { vm } = request;
  const aside = session.aside(AbortSignal.timeout(CLEANUP_MS));
  try {
    const agent = await aside.agent();
    const backupId = known ?? (await begunBy(aside, agent, request));
    if (backupId === undefined || !(await isOpen(agent, vm, backupId))) return true;
    const finish = { vm, backupId, success: false };
    await succeed(aside, agent, (contract) => contract.backups.FinishBackup, finish);
    return true;
  } catch {
    const which = known === undefined ? "a backup that this command began" : `backup ${known}`;
    const may = known === undefined ? "may stay" : "stays";
    remark(session, `${which} ${may} open on the host until its lease ends, or: socle vm backup end`);
    return false;
  } finally {
    await aside.close();
  }
}
