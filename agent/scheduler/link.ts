import { createHash } from "node:crypto";
import type { Config } from "../config/schema.ts";
import { Backoff } from "../kernel/concurrency/backoff.ts";
import { SocleError, toSocleError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import type { Service } from "../kernel/lifecycle/service.ts";
import type { Peer, Trust } from "../trust/index.ts";
import type { SchedulerServiceDefinition } from "../gen/socle/v1/SchedulerService.ts";
import { Contact } from "./contact.ts";
import { contactCredentials, type ContactCredentials } from "./credentials.ts";
import type { Reconnect, Terms } from "./answers.ts";
import { Session, type SessionOptions } from "./session.ts";
import { defined } from "../kernel/defined.ts";
import { aborted } from "../kernel/concurrency/deadline.ts";

interface SchedulerLinkOptions extends Omit<
  SessionOptions,
  "contactTimeoutMs" | "onWelcome" | "onAck" | "fence"
> {
  readonly config: Config["scheduler"];
  /** Authenticates both sides; where it is not required, the scheduler must be on loopback. */
  readonly trust: Trust;
  readonly service: SchedulerServiceDefinition;
  readonly log: Logger;
  readonly controlEpochs: LinkedEpochs;
  /** Records a scheduler whose session was refused for its control epoch. */
  readonly onEpochRefused?: (reason: string, by: SchedulerActor) => void;
  /** Time for the scheduler's first response, then for its welcome; default 10 s. */
  readonly contactTimeoutMs?: number;
  /** For jitter; between 0 and 1. */
  readonly random?: () => number;
}

/** The highest accepted control epoch, which a scheduler's session raises. */
interface LinkedEpochs {
  readonly controlEpoch: number;
  /** Resolves when it is audited and durable. */
  raise(epoch: number, by: SchedulerActor): Promise<void>;
}

/** The scheduler, for the audit log. */
export interface SchedulerActor {
  readonly name: string;
  readonly role: "scheduler";
  readonly certificateSerial?: string;
  readonly peer: string;
}

/** The link's state, for metrics and people. */
interface LinkStatus {
  readonly state: "disabled" | "connecting" | "connected";
  readonly sinceMs: number;
  /** Sessions that the scheduler welcomed since the start. */
  readonly connects: number;
  /** The position that the scheduler acknowledged, and the time of that. */
  readonly acked?: { readonly generation: number; readonly eventSequence: number };
  readonly lastAckAtMs?: number;
}

const firstDelayMs = 500;
const maxDelayMs = 30_000;
/** Random addition to the delay that a scheduler requests, so that hosts do not reconnect at once. */
const reconnectJitter = 0.2;
/** After a session of this length the backoff starts anew. */
const goodSessionMs = 10_000;

/**
 * The agent's link to its scheduler: dials, reports and reconnects as long as the agent runs. Without a scheduler the agent
 * works alone.
 */
export class SchedulerLink implements Service {
  readonly name = "scheduler";
  readonly #options: SchedulerLinkOptions;
  readonly #log: Logger;
  readonly #backoff: Backoff;
  readonly #contactTimeoutMs: number;
  #status: LinkStatus;
  #terms: Terms = { controlEpoch: 0, heartbeatMs: 0, reconnectSpreadMs: 0 };
  #welcomedMs: number | undefined;
  #isQuiet = false;

  constructor(options: SchedulerLinkOptions) {
    this.#options = options;
    this.#log = options.log.child({ component: "scheduler" });
    this.#contactTimeoutMs = options.contactTimeoutMs ?? 10_000;
    this.#backoff = new Backoff(defined({ baseMs: firstDelayMs, capMs: maxDelayMs, random: options.random }));
    this.#status = { state: "disabled", sinceMs: options.clock.now(), connects: 0 };
  }

  get status(): LinkStatus {
    return this.#status;
  }

  /** Throws `unsupported` NOT_LOOPBACK when the address requires certificates. */
  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { config, clock } = this.#options;
    if (config.address === null) {
      ready();
      await aborted(signal);
      return;
    }
    this.#requireReachable(config.address);
    this.#become("connecting");
    ready();
    let address = config.address;
    const isOver = (): boolean => signal.aborted;
    while (!isOver()) {
      const reconnect = await this.#visit(address, signal);
      if (isOver()) return;
      this.#become("connecting");
      // Another address applies to one session only.
      address = this.#placeOf(reconnect) ?? config.address;
      await clock.sleep(this.#delayMs(reconnect), signal).catch(() => undefined);
    }
  }

  /** One session; its failure is logged, not thrown. */
  async #visit(address: string, signal: AbortSignal): Promise<Reconnect | undefined> {
    const { clock, service, trust } = this.#options;
    this.#welcomedMs = undefined;
    const over = new AbortController();
    let contact: Contact | undefined;
    let actor: (() => SchedulerActor) | undefined;
    try {
      const credentials = contactCredentials(trust, clock);
      const to = { address, credentials: credentials.channel };
      const signals = { dial: signal, session: over.signal };
      contact = await Contact.open(to, service, this.#contactTimeoutMs, signals);
      void this.#endWhenInvalid(credentials, over);
      actor = actorOf(address, () => credentials.peer);
      const reconnect = await new Session(contact, this.#sessionOptions(address, actor), signal).run();
      this.#log.info({ address, reconnect }, "the scheduler ended the session");
      return reconnect;
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (signal.aborted) return undefined;
      this.#logFailure(address, error);
      if (actor !== undefined && error.reason.startsWith("CONTROL_EPOCH_"))
        this.#options.onEpochRefused?.(error.reason, actor());
      return undefined;
    } finally {
      if (signal.aborted && contact !== undefined) await Session.sayGoodbye(contact, clock);
      contact?.close();
      over.abort();
    }
  }

  /** Ends the session once the scheduler's certificate is no longer valid. */
  async #endWhenInvalid(credentials: ContactCredentials, over: AbortController): Promise<void> {
    for await (const _look of this.#options.trust.subscribe(over.signal)) {
      try {
        credentials.requireStillValid();
      } catch (thrown) {
        over.abort(thrown);
      }
    }
  }

  #requireReachable(address: string): void {
    if (!this.#options.trust.isRequired) requireLoopback(address);
  }

  #sessionOptions(address: string, actor: () => SchedulerActor): SessionOptions {
    const { controlEpochs } = this.#options;
    return {
      ...this.#options,
      fence: controlEpochs,
      contactTimeoutMs: this.#contactTimeoutMs,
      onWelcome: (terms) => {
        this.#terms = terms;
        // A lower epoch is refused afterwards. If this fails, the next welcome or command retries.
        const { rolledBack } = this.#options.trust;
        const raised =
          rolledBack === undefined
            ? controlEpochs.raise(terms.controlEpoch, actor())
            : Promise.reject(rolledBack);
        raised.catch((thrown: unknown) => {
          this.#log.error({ err: thrown }, "the scheduler's control epoch was not accepted");
        });
        this.#welcomedMs = this.#options.clock.monotonicMs();
        this.#isQuiet = false;
        this.#become("connected");
        this.#status = { ...this.#status, connects: this.#status.connects + 1 };
        this.#log.info({ address, ...terms }, "reporting to the scheduler");
      },
      onAck: (acked) => {
        this.#status = { ...this.#status, acked, lastAckAtMs: this.#options.clock.now() };
      },
    };
  }

  /** The first delay after a session is this host's share of the spread, so that hosts do not reconnect at once. */
  #delayMs(reconnect: Reconnect | undefined): number {
    const { clock, identity, random = Math.random } = this.#options;
    if (this.#welcomedMs === undefined) return this.#backoff.nextMs();
    const share = spreadShare(identity().id, this.#terms.reconnectSpreadMs);
    const asked = (reconnect?.delayMs ?? 0) * (1 + reconnectJitter * random());
    if (clock.monotonicMs() - this.#welcomedMs < goodSessionMs) return asked + share + this.#backoff.nextMs();
    this.#backoff.reset();
    return asked + share;
  }

  #placeOf(reconnect: Reconnect | undefined): string | undefined {
    if (reconnect === undefined || reconnect.address === "") return undefined;
    try {
      this.#requireReachable(reconnect.address);
      return reconnect.address;
    } catch (thrown) {
      this.#log.warn({ err: thrown }, "the scheduler's redirect address is refused");
      return undefined;
    }
  }

  /** Logs once at warn, then at debug until it is back: a scheduler may be away for days. */
  #logFailure(address: string, error: SocleError): void {
    const { reason, message } = error;
    const level = this.#isQuiet && error.kind === "unavailable" ? "debug" : "warn";
    this.#isQuiet = true;
    this.#log[level]({ address, reason }, `${message}; the agent continues without it and retries`);
  }

  #become(state: LinkStatus["state"]): void {
    if (state === this.#status.state) return;
    this.#status = { ...this.#status, state, sinceMs: this.#options.clock.now() };
  }
}

function actorOf(address: string, peer: () => Peer | undefined): () => SchedulerActor {
  return () => {
    const { identity, serial } = peer() ?? {};
    return defined({
      name: identity?.uri ?? `tcp:${address}`,
      role: "scheduler",
      certificateSerial: serial,
      peer: address,
    });
  };
}

/** A host's own delay below `spreadMs`: the first 32 bits of SHA-256 of its id, modulo the spread. */
export function spreadShare(hostId: string, spreadMs: number): number {
  if (spreadMs <= 0) return 0;
  return createHash("sha256").update(hostId).digest().readUInt32BE(0) % Math.ceil(spreadMs);
}

function requireLoopback(address: string): void {
  const host = address.slice(0, address.lastIndexOf(":"));
  if (host === "localhost" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host)) return;
  const message = `${address} is not a loopback address: without trust.domain the agent reports to loopback only`;
  throw new SocleError("unsupported", "NOT_LOOPBACK", message);
}
