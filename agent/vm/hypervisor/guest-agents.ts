import type { Clock } from "../../kernel/clock.ts";
import { LATE, within } from "../../kernel/concurrency/deadline.ts";
import { KeyedLock } from "../../kernel/concurrency/keyed-lock.ts";
import { Semaphore } from "../../kernel/concurrency/semaphore.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";
import { parseVmDomain } from "../model/vm-domain.ts";
import type { LibvirtCalls } from "./certainty.ts";
import { reference } from "./stamps.ts";

export const GUEST_AGENT_CHANNEL = "org.qemu.guest_agent.0";

/** How long a guest's agent may take for one answer. A stop of a guest whose agent hangs waits as long before ACPI. */
const ANSWER_SECONDS = 3;
/** How long a caller waits for an exchange, which may consist of several calls. */
const EXCHANGE_MS = 20_000;
/**
 * Above libvirt's own limits (30 s for the agent's lock, then some answers): a connection with calls that were given up
 * is replaced, and takes the calls of other guests with it.
 */
const SETTINGS = { lane: "guest", timeoutMs: 120_000 } as const;
/** As many as the lane's connection has in flight: each may hold one of libvirt's workers. */
const AT_ONCE = 4;
const AT_ONCE_OF_TENANT = 2;
/** A larger answer, or one with more values, is not parsed: that would hold the event loop. Output is one long text. */
const MOST_ANSWER_LENGTH = 800_000;
const MOST_SEPARATORS = 4000;
const MOST_TEXT_LENGTH = 200;

/** The guest agent's own commands in use. All others are libvirt's calls. */
type GuestCommand = "guest-info" | "guest-exec" | "guest-exec-status" | "guest-fstrim";

/** A VM's agent during one exchange. */
export interface AgentCalls {
  readonly dom: libvirt.Domain;
  readonly call: <A, R>(procedure: libvirt.Procedure<A, R>, args: A) => Promise<R>;
  /** Returns the parsed JSON. */
  readonly command: (name: GuestCommand, args?: object, answerSeconds?: number) => Promise<unknown>;
}

interface Exchange {
  /** The guest may have done what was asked when its answer is missing. */
  readonly changes: boolean;
  /** The guest's own text may repeat a secret, so it is not in the error. */
  readonly isSecret?: boolean;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * The agents inside guests. A guest may hang, lie and flood: each exchange has a deadline, one guest has one exchange at a
 * time, one tenant half of all, and they have a connection of their own.
 */
export class GuestAgents {
  readonly #libvirt: LibvirtCalls;
  readonly #clock: Clock;
  readonly #guests = new KeyedLock(4);
  readonly #tenants = new KeyedLock(256, AT_ONCE_OF_TENANT);
  readonly #all = new Semaphore(AT_ONCE, 1024, "guest agents");

  constructor(calls: LibvirtCalls, clock: Clock) {
    this.#libvirt = calls;
    this.#clock = clock;
  }

  /**
   * Limits how long libvirt waits for the agent of this VM, also for shutdowns. It needs no answer of the guest. Without
   * the limit, a call to an agent that hangs holds the agent's lock for ever.
   */
  async limit(id: string): Promise<void> {
    const args = { dom: reference(id), timeout: ANSWER_SECONDS, flags: 0 };
    await this.#libvirt.call(libvirt.domainAgentSetResponseTimeout, args, SETTINGS);
  }

  /**
   * One exchange with a VM's agent. Throws `unavailable` GUEST_AGENT_NOT_CONNECTED and GUEST_AGENT_BUSY; without
   * an answer `timeout` GUEST_AGENT_NOT_ANSWERING, or for a change `outcome_unknown` GUEST_OUTCOME_UNKNOWN; `conflict`
   * GUEST_REFUSED; `exhausted` QUEUE_FULL.
   */
  async exchange<T>(
    { id, tenant }: { readonly id: string; readonly tenant: string },
    talk: (agent: AgentCalls) => Promise<T>,
    options: Exchange,
  ): Promise<T> {
    const { signal, timeoutMs = EXCHANGE_MS } = options;
    const waiting = new AbortController();
    const permitted = () => this.#all.run(tenant, () => this.#talk(id, talk, options), waiting.signal);
    const ofTenant = () => this.#tenants.run(tenant, permitted, waiting.signal);
    // An exchange that has begun keeps its places until libvirt has ended it.
    const work = this.#guests.run(id, ofTenant, waiting.signal);
    const answer = await within(this.#clock, timeoutMs, work, signal);
    if (answer !== LATE) return answer;
    waiting.abort();
    signal?.throwIfAborted();
    throw notAnswering(options);
  }

  async #talk<T>(id: string, talk: (agent: AgentCalls) => Promise<T>, options: Exchange): Promise<T> {
    const dom = reference(id);
    const call: AgentCalls["call"] = (procedure, args) => this.#libvirt.call(procedure, args, SETTINGS);
    const command: AgentCalls["command"] = async (execute, args, timeout = ANSWER_SECONDS) => {
      const cmd = JSON.stringify({ execute, arguments: args });
      const { result } = await call(libvirt.domainAgentCommand, { dom, cmd, timeout, flags: 0 });
      return parsed(result ?? "");
    };
    try {
      await this.limit(id);
      return await talk({ dom, call, command });
    } catch (thrown) {
      throw await this.#explained(toSocleError(thrown), id, options);
    }
  }

  /** libvirt has one error for an agent that is not connected and for one that does not answer. */
  async #explained(error: SocleError, id: string, options: Exchange): Promise<SocleError> {
    const { kind, reason } = error;
    if (SILENT.has(reason)) return (await this.#isConnected(id)) ? notAnswering(options) : notConnected();
    if (reason === "LIBVIRT_OPERATION_TIMEOUT") return busy();
    if (reason === "LIBVIRT_OPERATION_INVALID")
      return new SocleError(
        "conflict",
        "VM_STATE_CONFLICT",
        "the VM does not run; start it, then ask its guest",
      );
    if (kind === "internal" || kind === "unsupported")
      return refused(options.isSecret === true ? undefined : error.message);
    return error;
  }

  async #isConnected(id: string): Promise<boolean> {
    try {
      const args = { dom: reference(id), flags: 0 };
      const { xml } = await this.#libvirt.call(libvirt.domainGetXmlDesc, args, SETTINGS);
      const { channels } = parseVmDomain(xml).devices;
      return channels.some(
        ({ targetName, state }) => targetName === GUEST_AGENT_CHANNEL && state === "connected",
      );
    } catch {
      return true;
    }
  }
}

const SILENT: ReadonlySet<string> = new Set([
  "LIBVIRT_AGENT_UNRESPONSIVE",
  "LIBVIRT_AGENT_UNSYNCED",
  "LIBVIRT_AGENT_COMMAND_TIMEOUT",
]);

/** By native searches: a loop over the characters would take longer than to parse them. */
function hasManyValues(text: string): boolean {
  let separators = 0;
  for (const separator of "[{,:")
    for (let at = text.indexOf(separator); at >= 0; at = text.indexOf(separator, at + 1)) {
      separators += 1;
      if (separators > MOST_SEPARATORS) return true;
    }
  return false;
}

function parsed(text: string): unknown {
  if (text.length > MOST_ANSWER_LENGTH || hasManyValues(text)) throw tooLarge();
  try {
    return JSON.parse(text);
  } catch {
    throw refused("its answer is no JSON");
  }
}

const notConnected = (): SocleError =>
  new SocleError(
    "unavailable",
    "GUEST_AGENT_NOT_CONNECTED",
    "the guest's agent is not connected: the guest is booting, or qemu-guest-agent is not installed or not running in it",
    { details: { retryAfterMs: 5000 } },
  );

const ANSWERS_LATER = { retryAfterMs: 5000 };

/** A change may have been made, or be made once the agent goes on. */
const notAnswering = ({ changes }: Exchange): SocleError =>
  changes
    ? new SocleError(
        "outcome_unknown",
        "GUEST_OUTCOME_UNKNOWN",
        "the guest's agent does not answer in time, and may still do what was asked: look into the guest, or repeat the call",
        { details: ANSWERS_LATER },
      )
    : new SocleError(
        "timeout",
        "GUEST_AGENT_NOT_ANSWERING",
        "the guest's agent does not answer in time: retry, or restart qemu-guest-agent in the guest",
        { details: ANSWERS_LATER },
      );

const busy = (): SocleError =>
  new SocleError(
    "unavailable",
    "GUEST_AGENT_BUSY",
    "another client of libvirt uses the guest's agent; nothing was asked, retry",
    { details: { retryAfterMs: 5000 } },
  );

/** `why`: libvirt's or the guest's text, which is truncated. */
export const refused = (why: string | undefined): SocleError =>
  new SocleError(
    "conflict",
    "GUEST_REFUSED",
    `the guest's agent refused: ${why === undefined ? "see its log in the guest" : why.slice(0, MOST_TEXT_LENGTH)}`,
  );

const tooLarge = (): SocleError =>
  new SocleError(
    "out_of_range",
    "GUEST_ANSWER_TOO_LARGE",
    "the guest's answer is too large; have the command write to a file in the guest",
  );
