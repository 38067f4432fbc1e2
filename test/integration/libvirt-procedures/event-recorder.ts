import { systemClock } from "../../../agent/kernel/clock.ts";
import { LibvirtError } from "../../../agent/libvirt/index.ts";
import { decodeWhole, type Frame } from "../../../agent/libvirt/rpc/frame.ts";
import * as p from "../../../agent/libvirt/index.ts";
import type { EventProcedure } from "../../../agent/libvirt/index.ts";
import { programNumbers } from "../../../agent/libvirt/rpc/procedure.ts";
import { openSession, type Session } from "../../../agent/libvirt/client/session.ts";
import { eventually } from "../../support/wait.ts";
import { everyEvent, type Caller, type Ledger } from "./ledger.ts";

interface Received {
  readonly event: EventProcedure<unknown>;
  readonly body: unknown;
}

/** A connection that receives every kind of event and decodes each as declared. */
export class EventRecorder {
  readonly #received: Received[] = [];
  readonly #problems: unknown[] = [];
  readonly #session: Session;

  private constructor(session: Session) {
    this.#session = session;
  }

  static async open(socketPath: string, ledger: Ledger): Promise<EventRecorder> {
    let onEvent: (frame: Frame) => void = () => undefined;
    const session = await openSession(
      { socketPath, uri: "qemu:///system", modular: false },
      {
        clock: systemClock,
        maxInFlight: 4,
        maxQueued: 100,
        connectTimeoutMs: 60_000,
        onEvent: (frame) => onEvent(frame),
      },
      new AbortController().signal,
    );
    const recorder = new EventRecorder(session);
    onEvent = (frame) => recorder.#record(frame);
    await recorder.#listen(ledger);
    return recorder;
  }

  get caller(): Caller {
    const { connection } = this.#session;
    return { call: (procedure, args) => connection.call(procedure, args, { timeoutMs: 30_000 }) };
  }

  get kindsReceived(): ReadonlySet<EventProcedure<unknown>> {
    return new Set(this.#received.map(({ event }) => event));
  }

  /** Waits for the first message of this event that `matches`. */
  async waitFor<T>(event: EventProcedure<T>, matches: (body: T) => boolean): Promise<T> {
    return eventually(
      () => {
        if (this.#problems.length > 0) throw this.#problems[0];
        const bodies = this.#received.filter((each) => each.event === event).map(({ body }) => body as T);
        return bodies.find(matches);
      },
      { what: `${event.name} with the expected content`, timeoutMs: 60_000 },
    );
  }

  close(): void {
    this.#session.connection.close(new LibvirtError("unavailable", "DONE", "the test is over"));
  }

  async #listen(ledger: Ledger): Promise<void> {
    const on = ledger.by(this.caller);
    for (const { eventId } of Object.values(p.domainEvents)) {
      await on.answers(p.connectDomainEventCallbackRegisterAny, { eventId, dom: null });
    }
    for (const { eventId } of Object.values(p.networkEvents)) {
      await on.answers(p.connectNetworkEventRegisterAny, { eventId, net: null });
    }
    for (const { eventId } of Object.values(p.storagePoolEvents)) {
      await on.answers(p.connectStoragePoolEventRegisterAny, { eventId, pool: null });
    }
    for (const { eventId } of Object.values(p.nodeDeviceEvents)) {
      await on.answers(p.connectNodeDeviceEventRegisterAny, { eventId, dev: null });
    }
    for (const { eventId } of Object.values(p.secretEvents)) {
      await on.answers(p.connectSecretEventRegisterAny, { eventId, secret: null });
    }
    await on.answers(p.connectDomainMonitorEventRegister, { dom: null, event: null, flags: 0 });
  }

  #record(frame: Frame): void {
    try {
      const event = everyEvent.find(
        ({ program, number }) => programNumbers[program] === frame.program && number === frame.procedure,
      );
      if (event === undefined) throw new Error(`message ${frame.procedure} is of no declared event`);
      this.#received.push({ event, body: decodeWhole(event.body, frame) });
    } catch (thrown) {
      this.#problems.push(thrown);
    }
  }
}
