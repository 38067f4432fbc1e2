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

interface ProxyHooks {
  /** Called once for each passing call. */
  faultFor(procedure: number, lane: ProxyLane): Fault | undefined;
  inFlight(calls: number): void;
  closed(): void;
  readonly tap?: Tap | undefined;
}

/** Follows the calls of one connection. */
export interface Tap {
  /** Pending calls: the daemon does not lose its client before they are answered. */
  readonly waiting: number;
  /** Called before the daemon gets the call. */
  called(call: RawFrame): void;
  /** Called after the daemon's reply and before the client gets it; with `isLost`, the client does not get it. */
  answered(reply: RawFrame, isLost: boolean): void;
  /** Drops all further replies. */
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

/** One client's connection, and the matching connection to the daemon. */
export class ProxyConnection {
  lane: ProxyLane = "command";
  /** Frames that are held back. */
  held = 0;
  readonly #client: Socket;
  readonly #daemon: Socket;
  readonly #maxRequests: number;
  readonly #hooks: ProxyHooks;
  /** The faults of pending replies, by serial. */
  readonly #inFlight = new Map<number, Fault | undefined>();
  /** Frames from the client that wait until it has fewer calls in flight. */
  readonly #waiting: RawFrame[] = [];
  #isLeft = false;
  #isEnded = false;

  constructor(client: Socket, options: { daemonPath: string; maxRequests?: number }, hooks: ProxyHooks) {
    this.#client = client;
    this.#daemon = connect(options.daemonPath);
    this.#maxRequests = options.maxRequests ?? Infinity;
    this.#hooks = hooks;
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

  /** It has calls that never get a reply. */
  get hasUnanswered(): boolean {
    return [...this.#inFlight.values()].some(
      (fault) => fault?.kind === "hang" || fault?.kind === "drop_reply",
    );
  }

  toClient(bytes: Buffer): void {
    if (!this.#client.destroyed) this.#client.write(bytes);
  }

  /** The client disconnected; its held-back calls still reach the daemon. */
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
    this.#hooks.tap?.ended();
    this.#hooks.closed();
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
    const fault = this.#hooks.faultFor(frame.procedure, this.lane);
    this.#inFlight.set(frame.serial, fault);
    this.#hooks.inFlight(this.#inFlight.size);
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
        // Other pending frames keep a tapped connection open.
        if (this.#hooks.tap === undefined) this.#daemon.end(frame.bytes.subarray(0, frame.bytes.length / 2));
        this.#client.destroy();
        break;
      case "notify":
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
    this.#hooks.tap?.answered(frame, this.#client.destroyed || isKept(fault));
    // A call without a reply occupies its slot forever, as in the daemon.
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
        if (this.#hooks.tap === undefined) this.#daemon.destroy();
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
      case "notify":
        if (fault.at === "reply") this.#later(act(fault), () => this.toClient(frame.bytes));
        else this.toClient(frame.bytes);
        break;
      default:
        this.toClient(frame.bytes);
    }
  }

  #toDaemon(frame: RawFrame): void {
    if (this.#daemon.destroyed) return;
    if (frame.program === REMOTE_PROGRAM && frame.type === CALL) this.#hooks.tap?.called(frame);
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

  /** Writes held-back calls first and waits for their replies, since a daemon drops the calls of a disconnected client. */
  #endWhenDone(): void {
    const isHolding =
      this.held > 0 ||
      (this.#hooks.tap?.waiting ?? 0) > 0 ||
      [...this.#inFlight.values()].some((fault) => fault?.kind === "delay");
    if (this.#isLeft && !isHolding) this.destroy();
  }
}

/** The reply does not reach the client. */
const isKept = (fault: Fault | undefined): boolean =>
  fault?.kind === "drop_reply" || fault?.kind === "cut_reply" || fault?.kind === "garble_reply";

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** The campaign handles a failure of its own act: the frame passes in any case. */
async function act(fault: Extract<Fault, { kind: "notify" }>): Promise<void> {
  try {
    await fault.act();
  } catch {
    // Reported by the campaign.
  }
}
