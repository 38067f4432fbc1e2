import { join } from "node:path";
import { AuditLog, type Actor } from "../audit/index.ts";
import { tenantRules } from "../config/tenants.ts";
import type { Clock } from "../kernel/clock.ts";
import { SocleError, toSocleError } from "../kernel/errors.ts";
import { bootClock } from "../kernel/boot-clock.ts";
import { ControlEpochs } from "../state/records/control-epochs.ts";
import { exists } from "../state/journal/durable-file.ts";
import { EventLog } from "../state/events/event-log.ts";
import { HostRecord } from "../state/records/host-record.ts";
import { asUnreadable } from "../state/journal/refusals.ts";
import { Operations } from "../state/operations/operations.ts";
import { Permit } from "../state/operations/permit.ts";
import { Position } from "../state/records/position.ts";
import { ReservationBook } from "../state/reservations/reservation-book.ts";
import { Watermark } from "../state/records/watermark.ts";
import { openStateDirectory, type StateDirectory } from "../state/records/state-directory.ts";
import { isShownByWatermarkAlone } from "../vm/operations/outdated.ts";
import type { Basis } from "./basis.ts";
import { within } from "../kernel/concurrency/deadline.ts";

/** The durable state, read from the state directory, which this process owns until `close`. */
export interface State {
  readonly directory: StateDirectory;
  readonly record: HostRecord;
  readonly controlEpochs: ControlEpochs<Actor>;
  readonly position: Position;
  readonly operations: Operations;
  readonly reservations: ReservationBook;
  readonly events: EventLog;
  readonly watermark: Watermark;
  readonly audit: AuditLog;
  /** Whether this agent may make changes. */
  readonly permit: Permit;
  /** Of the host's present boot. */
  readonly bootId: string;
  /** Writes pending changes, and releases the directory. */
  close(): Promise<void>;
}

const HOUR_MS = 3_600_000;
const MIB = 2 ** 20;
const PUBLISH_MS = 2000;

/** Throws as its parts: for a directory that is unusable, in use, or has unreadable files. */
export async function openState({ config, version, clock, log }: Basis): Promise<State> {
  const { maxEvents, operationRetentionHours } = config.state;
  const taken = await openStateDirectory(config.state.directory, log);
  try {
    const { path: directory } = taken;
    const permit = new Permit();
    const onUnreadable = (why: SocleError): void => {
      log.error(why.message);
      permit.refuse("state", why);
    };
    const known = await HostRecord.open(directory).catch((thrown: unknown) => {
      const why = asUnreadable(thrown);
      if (why === undefined) throw thrown;
      onUnreadable(why);
      return why;
    });
    const events = await EventLog.open({
      directory,
      maxEvents,
      agentEpoch: known instanceof HostRecord ? known.agentEpoch : undefined,
      clock,
      log,
    });
    const { agentEpoch } = events;
    const record = known instanceof HostRecord ? known : HostRecord.unreadable(directory, known, agentEpoch);
    const retentionMs = operationRetentionHours * HOUR_MS;
    const audit = await AuditLog.open({
      directory: join(directory, "audit"),
      mustExist: record.hasJournals,
      retentionMs: config.audit.retentionDays * 24 * HOUR_MS,
      maxBytes: config.audit.maxMiB === null ? undefined : config.audit.maxMiB * MIB,
      clock,
      log,
    });
    if (audit.failure !== undefined) onUnreadable(audit.failure);
    audit.note({ act: "agent_started", details: { version, agentEpoch } });
    const boot = await bootClock();
    const watermark = await Watermark.open(directory, (why) => permit.refuse("watermark", why));
    const journals = { directory, clock, boot, log, retentionMs, permit, onUnreadable };
    const reservationsPath = join(directory, "reservations.journal");
    const operations = await Operations.open({
      ...journals,
      // The operations' journal is created first.
      mustExist: record.hasJournals || (await exists(reservationsPath)),
      isOutdated: (id) => watermark.isOutdated(id),
      async beforeRefused() {
        if (!(await watermark.raise())) throw new Error("libvirt refuses the watermark of the state");
      },
      // Also reported where libvirt refuses the number: no operation may depend on the disk of its secrets.
      beforeShown: (ended) =>
        isShownByWatermarkAlone(ended)
          ? () => watermark.raise().then(() => undefined, notRecorded)
          : undefined,
      quotaOf: (tenant) => {
        const { keptOperations, runningOperations } = tenantRules(config.tenants, tenant).quotas;
        return { kept: keptOperations, running: runningOperations };
      },
    });
    const reservations = await ReservationBook.open({ ...journals, mustExist: record.hasJournals });
    // If it cannot be written, the next start retries.
    if (!record.hasJournals) await record.journalsMade().catch(() => undefined);
    return {
      directory: taken,
      record,
      controlEpochs: new ControlEpochs<Actor>(
        record,
        ({ from, to, by }) =>
          audit.record({
            act: "control_epoch_raised",
            caller: by,
            outcome: "allowed",
            details: { from, to },
          }),
        () => published(watermark, clock),
      ),
      position: new Position({ agentEpoch }),
      operations,
      reservations,
      events,
      watermark,
      audit,
      permit,
      bootId: boot.bootId,
      async close() {
        await operations.drain(0);
        await reservations.close();
        await events.flush();
        audit.note({ act: "agent_stopped" });
        await audit.close();
        await taken.release();
      },
    };
  } catch (thrown) {
    await taken.release();
    throw thrown;
  }
}

/**
 * Resolves when the lease in libvirt has the durable state, or after a while: no command may depend on libvirt's secrets.
 * The lease then catches up with its next beat. Never rejects.
 */
async function published(watermark: Watermark, clock: Clock): Promise<void> {
  await within(clock, PUBLISH_MS, watermark.raise()).catch(() => undefined);
}

function notRecorded(thrown: unknown): never {
  const { reason, message } = toSocleError(thrown);
  const why =
    `the end of the operation is decided, and shown once libvirt and the state directory record the watermark: ${message}; ` +
    "make libvirt answer and the state directory writable (socle doctor shows the fault); the agent then continues";
  throw new SocleError("outcome_unknown", reason, why, { cause: thrown });
}
