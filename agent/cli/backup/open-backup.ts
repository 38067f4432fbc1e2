import type { BeginBackupRequest } from "../../gen/socle/v1/BeginBackupRequest.ts";
import type { Agent } from "../client.ts";
import type { Session } from "../session.ts";
import { remark, succeed } from "./operation.ts";

/** For FinishBackup after an interrupt. */
const CLEANUP_MS = 10_000;

export interface Ending {
  readonly end: (success: boolean) => Promise<void>;
  /** From now on a failure leaves it open: a next run ends it. */
  readonly keepOpen: () => void;
}

/** Begins a backup for work that ends it. If the work throws, it is ended without success. */
export async function openBackup<T>(
  session: Session,
  agent: Agent,
  request: BeginBackupRequest & { readonly vm: string },
  work: (backupId: string, ending: Ending) => Promise<T>,
): Promise<T> {
  const begun = await succeed(session, agent, ({ backups }) => backups.BeginBackup, request);
  const { vm } = request;
  const backupId = begun.result["backup_id"] ?? "";
  const end = async (success: boolean): Promise<void> => {
    await succeed(session, agent, ({ backups }) => backups.FinishBackup, { vm, backupId, success });
  };
  const kept = new AbortController();
  const keepOpen = (): void => kept.abort();
  try {
    return await work(backupId, { end, keepOpen });
  } catch (thrown) {
    if (!kept.signal.aborted) await abandon(session, vm, backupId);
    throw thrown;
  }
}

/** Also after an interrupt. Its lease ends it otherwise. */
async function abandon(session: Session, vm: string, backupId: string): Promise<void> {
  const aside = session.aside(AbortSignal.timeout(CLEANUP_MS));
  try {
    const agent = await aside.agent();
    const { backups } = await agent.ask(agent.contract.backups.ListBackups, { vm });
    if (!backups.some((each) => each.backupId === backupId && each.state === "BACKUP_STATE_OPEN")) return;
    const finish = { vm, backupId, success: false };
    await succeed(aside, agent, (contract) => contract.backups.FinishBackup, finish);
  } catch {
    remark(
      session,
      `backup ${backupId} stays open on the host until its lease ends, or: socle vm backup end`,
    );
  } finally {
    await aside.close();
  }
}
