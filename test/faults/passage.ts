import { connect, type Socket } from "node:net";
import {
  connectDomainEventCallbackRegisterAny,
  connectGetAllDomainStats,
  connectListAllDomains,
  connectListAllStoragePools,
} from "../../agent/libvirt/index.ts";
import type { Procedure } from "../../agent/libvirt/rpc/procedure.ts";
import type { Fault, ProxyLane } from "./fault.ts";
import { CALL, FrameCutter, refusal, REMOTE_PROGRAM, REPLY, truncated, type RawFrame } from "./frames.ts";

interface Door {
  /** Asked once for each call that comes by. */
  faultFor(procedure: number, lane: ProxyLane): Fault | undefined;
  inFlight(calls: number): void;
  closed(): void;
  readonly tap?: Tap | undefined;
}

/** Follows the calls of one connection. */
export interface Tap {
  /** Calls that it waits for the answers of: until there are none, the daemon does not lose its client. */
  readonly waiting: number;
  /** Called before the daemon gets it. */
  called(call: RawFrame): void;
  /** The daemon has answered; called before the client gets that, which it does not where `isLost`. */
  answered(reply: RawFrame, isLost: boolean): void;
  /** Nothing is answered any more. */
  ended(): void;
}

const laneOf = new Map<number, ProxyLane>([
  [connectGetAllDomainStats.number, "observation"],
  [connectDomainEventCallbackRegisterAny.number, "events"],
]);

const lists = new Map<number, Procedure<unknown, unknown>>(
  [connectGetAllDomainStats, connectListAllDomains, connectListAllStoragePools].map((list) => [
    list.number,
    list,
  ]),
);

/** One client's connection and its own to the daemon. */
export class Passage {
  lane: ProxyLane = "command";
  /** Frames that are being held back. */
  held = 0;
  readonly #client: Socket;
  readonly #daemon: Socket;
  readonly #maxRequests: number;
  readonly #door: Door;
  /** What is to become of the answers to the calls that wait for one, by serial. */
  readonly #inFlight = new Map<number, Fault | undefined>();
  /** Read from the client, and waiting until it has fewer calls in flight. */
  readonly #waiting: RawFrame[] = [];
  #isLeft = false;
  #isEnded = false;

  constructor(client: Socket, options: { daemonPath: string; maxRequests?: number }, door: Door) {
    this.#client = client;
    this.#daemon = connect(options.daemonPath);
    this.#maxRequests = options.maxRequests ?? Infinity;
    this.#door = door;
    const calls = new FrameCutter();
    const answers = new FrameCutter();
    client.on("data", (chunk: Buffer) => {
      this.#waiting.push(...calls.push(chunk));
      this.#pump();
    });
    this.#daemon.on("data", (chunk: Buffer) => {
      for (const frame of answers.push(chunk)) this.#fromDaemon(frame);
    });
    client.on("error", () => undefined);
    this.#daemon.on("error", () => undefined);
    client.on("close", () => this.drop());
    this.#daemon.on("close", () => this.destroy());
  }

  /** It has calls that no answer will come to. */
  get hasUnanswered(): boolean {
    return [...this.#inFlight.values()].some(
      (fault) => fault?.kind === "hang" || fault?.kind === "drop_reply",
    );
  }

  toClient(bytes: Buffer): void {
    if (!this.#client.destroyed) this.#client.write(bytes);
  }

  /** The client is gone; what it asked for and is held back still reaches the daemon. */
  drop(): void {
    this.#client.destroy();
    this.#isLeft = true;
    this.#endWhenDone();
  }

  destroy(): void {
    this.#client.destroy();
    this.#daemon.destroy();
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#door.tap?.ended();
    this.#door.closed();
  }

  #pump(): void {
    while (this.#inFlight.size < this.#maxRequests) {
      const frame = this.#waiting.shift();
      if (frame === undefined) break;
      this.#fromClient(frame);
    }
    if (this.#waiting.length > 0) this.#client.pause();
    else this.#client.resume();
  }

  #fromClient(frame: RawFrame): void {
    if (frame.program !== REMOTE_PROGRAM || frame.type !== CALL) {
      this.#toDaemon(frame);
      return;
    }
    this.lane = laneOf.get(frame.procedure) ?? this.lane;
    const fault = this.#door.faultFor(frame.procedure, this.lane);
    this.#inFlight.set(frame.serial, fault);
    this.#door.inFlight(this.#inFlight.size);
    this.#strikeCall(frame, fault);
  }

  #strikeCall(frame: RawFrame, fault: Fault | undefined): void {
    switch (fault?.kind) {
      case "delay":
        this.#later(
          pause(fault.ms).then(() => fault.until),
          () => this.#toDaemon(frame),
        );
        break;
      case "hang":
        break;
      case "refuse":
        this.#inFlight.delete(frame.serial);
        this.toClient(refusal(frame, fault.code, "the fault proxy refuses").bytes);
        break;
      case "cut_call":
        // What else is on its way keeps a connection that is tapped.
        if (this.#door.tap === undefined) this.#daemon.end(frame.bytes.subarray(0, frame.bytes.length / 2));
        this.#client.destroy();
        break;
      case "tell":
        if (fault.at === "call") this.#later(act(fault), () => this.#toDaemon(frame));
        else this.#toDaemon(frame);
        break;
      default:
        this.#toDaemon(frame);
    }
  }

  #fromDaemon(frame: RawFrame): void {
    if (frame.program !== REMOTE_PROGRAM || frame.type !== REPLY) {
      this.toClient(frame.bytes);
      return;
    }
    const fault = this.#inFlight.get(frame.serial);
    this.#door.tap?.answered(frame, this.#client.destroyed || isKept(fault));
    // A call that is never answered takes up its place for ever, as it does in the daemon.
    if (fault?.kind !== "drop_reply") this.#inFlight.delete(frame.serial);
    this.#strikeReply(frame, fault);
    this.#endWhenDone();
    if (!this.#client.destroyed) this.#pump();
  }

  #strikeReply(frame: RawFrame, fault: Fault | undefined): void {
    switch (fault?.kind) {
      case "drop_reply":
        break;
      case "delay_reply":
        this.#later(pause(fault.ms), () => this.toClient(frame.bytes));
        break;
      case "cut_reply":
        this.#client.end(frame.bytes.subarray(0, frame.bytes.length / 2));
        this.#client.destroySoon();
        if (this.#door.tap === undefined) this.#daemon.destroy();
        break;
      case "garble_reply":
        this.toClient(frame.withBody(Buffer.from([0xff, 0xff, 0xff, 0xff])).bytes);
        break;
      case "truncate": {
        const list = lists.get(frame.procedure);
        const cut = list !== undefined && frame.isOk ? truncated(frame, list, fault.keep) : frame;
        this.toClient(cut.bytes);
        break;
      }
      case "tell":
        if (fault.at === "reply") this.#later(act(fault), () => this.toClient(frame.bytes));
        else this.toClient(frame.bytes);
        break;
      default:
        this.toClient(frame.bytes);
    }
  }

  #toDaemon(frame: RawFrame): void {
    if (this.#daemon.destroyed) return;
    if (frame.program === REMOTE_PROGRAM && frame.type === CALL) this.#door.tap?.called(frame);
    this.#daemon.write(frame.bytes);
  }

  #later(until: Promise<void>, deliver: () => void): void {
    this.held += 1;
    void until.then(() => {
      this.held -= 1;
      deliver();
      this.#endWhenDone();
    });
  }

  /** A call that was held back is written first, and answered: a daemon drops what a client that left had asked. */
  #endWhenDone(): void {
    const isHolding =
      this.held > 0 ||
      (this.#door.tap?.waiting ?? 0) > 0 ||
      [...this.#inFlight.values()].some((fault) => fault?.kind === "delay");
    if (this.#isLeft && !isHolding) this.destroy();
  }
}

/** The answer does not get to the client. */
const isKept = (fault: Fault | undefined): boolean =>
  fault?.kind === "drop_reply" || fault?.kind === "cut_reply" || fault?.kind === "garble_reply";

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** A campaign's own act that fails is the campaign's to notice: the frame passes all the same. */
async function act(fault: Extract<Fault, { kind: "tell" }>): Promise<void> {
  try {
    await fault.act();
  } catch {
    // Told by the campaign.
  }
}
