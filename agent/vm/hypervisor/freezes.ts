import type { Clock } from "../../kernel/clock.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";
import { buildFreeze, freezeMark, parseFreeze } from "../model/vm-domain.ts";
import type { LibvirtCalls } from "./certainty.ts";
import type { GuestAgents } from "./guest-agents.ts";
import { AHEAD, reference } from "./stamps.ts";

/** The guest of a VM; its tenant is charged for the calls. */
interface Guest {
  readonly id: string;
  readonly tenant: string;
}

/** The longest that a guest stays frozen for a snapshot. */
const SNAPSHOT_MS = 30_000;
const RETRY_MS = 5000;
const MOST_REFUSALS = 3;
/** So often a restored guest is tried to be thawed that may have no agent. */
const MOST_TRIES = 12;
/** Errors after which the guest was not asked to freeze. */
const NOT_ASKED: ReadonlySet<string> = new Set([
  "GUEST_AGENT_NOT_CONNECTED",
  "GUEST_AGENT_BUSY",
  "VM_STATE_CONFLICT",
  "QUEUE_FULL",
]);
const { LIVE } = libvirt.DomainModificationImpact;

/**
 * Frozen filesystems of guests. The deadline of each freeze is on the run of the guest before it begins, in the live
 * metadata of its domain, so that any later agent thaws it. What is frozen is thawed at that deadline and at the agent's start.
 */
export class Freezes {
  readonly #libvirt: LibvirtCalls;
  readonly #clock: Clock;
  readonly #agents: GuestAgents;
  /** The guests that are to be thawed, with the end of their timers. */
  readonly #armed = new Map<string, AbortController>();
  /** The guests that are being asked to freeze: the end of a second request would remove the mark of the first. */
  readonly #asked = new Set<string>();
  #isClosed = false;
  /** The guests that are frozen for work, and whether another caller may have thawed them. */
  readonly #working = new Map<string, { isThawed: boolean }>();

  constructor(calls: LibvirtCalls, clock: Clock, agents: GuestAgents) {
    this.#libvirt = calls;
    this.#clock = clock;
    this.#agents = agents;
  }

  /**
   * Freezes the guest's filesystems for at most this long; returns their number and the deadline. Throws `conflict`
   * GUEST_FROZEN if they are frozen already, and as GuestAgents.exchange; then the guest is thawed.
   */
  async freeze(
    guest: Guest,
    forMs: number,
    signal?: AbortSignal,
  ): Promise<{ readonly filesystems: number; readonly untilMs: number }> {
    if (this.#asked.has(guest.id)) throw frozen();
    this.#asked.add(guest.id);
    try {
      return await this.#freeze(guest, forMs, signal);
    } finally {
      this.#asked.delete(guest.id);
    }
  }

  async #freeze(
    guest: Guest,
    forMs: number,
    signal?: AbortSignal,
  ): Promise<{ readonly filesystems: number; readonly untilMs: number }> {
    if ((await this.frozenUntil(guest.id)) !== undefined) throw frozen();
    const untilMs = this.#clock.now() + forMs;
    await this.#mark(guest.id, untilMs);
    this.#arm(guest, forMs);
    try {
      const ask = async ({ dom, call }: Parameters<Parameters<GuestAgents["exchange"]>[1]>[0]) =>
        (await call(libvirt.domainFsfreeze, { dom, mountpoints: [], flags: 0 })).filesystems;
      const options = { changes: true, ...(signal === undefined ? {} : { signal }) };
      return { filesystems: await this.#agents.exchange(guest, ask, options), untilMs };
    } catch (thrown) {
      // A guest that was asked may have frozen them anyway.
      if (NOT_ASKED.has(toSocleError(thrown).reason)) await this.#thawed(guest);
      else this.#arm(guest, 0);
      throw thrown;
    }
  }

  /** Thaws the guest's filesystems; returns their number, 0 if none was frozen. Throws as GuestAgents.exchange. */
  async thaw(guest: Guest, signal?: AbortSignal): Promise<number> {
    const ask = async ({ dom, call }: Parameters<Parameters<GuestAgents["exchange"]>[1]>[0]) =>
      (await call(libvirt.domainFsthaw, { dom, mountpoints: [], flags: 0 })).filesystems;
    const options = { changes: true, ...(signal === undefined ? {} : { signal }) };
    const working = this.#working.get(guest.id);
    if (working !== undefined) working.isThawed = true;
    const filesystems = await this.#agents.exchange(guest, ask, options);
    await this.#thawed(guest);
    return filesystems;
  }

  /**
   * Runs the work while the guest is frozen; returns whether it was frozen to the end of the work. `mayBeFrozen`: an earlier
   * run of the work may have left the guest frozen; it is thawed first. Throws as freeze().
   */
  async during(guest: Guest, work: () => Promise<void>, mayBeFrozen = false): Promise<boolean> {
    if (mayBeFrozen && (await this.frozenUntil(guest.id)) !== undefined) await this.thaw(guest);
    const { untilMs } = await this.freeze(guest, SNAPSHOT_MS);
    const working = { isThawed: false };
    this.#working.set(guest.id, working);
    try {
      await work();
      return !working.isThawed && this.#clock.now() < untilMs;
    } finally {
      this.#working.delete(guest.id);
      // Without an answer it is thawed later.
      await this.thaw(guest).catch(() => this.#arm(guest, 0));
    }
  }

  /** The deadline of the guest's freeze, in milliseconds; undefined if it is not frozen. */
  async frozenUntil(id: string): Promise<number | undefined> {
    const args = {
      dom: reference(id),
      type: libvirt.DomainMetadataType.ELEMENT,
      uri: freezeMark.uri,
      flags: LIVE,
    };
    try {
      return parseFreeze((await this.#libvirt.call(libvirt.domainGetMetadata, args, AHEAD)).metadata);
    } catch (thrown) {
      const { kind, reason } = toSocleError(thrown);
      if (reason === "LIBVIRT_NO_DOMAIN_METADATA" || reason === "LIBVIRT_NO_DOMAIN") return undefined;
      // The guest is off.
      if (kind === "conflict" || reason === "LIBVIRT_INVALID_ARG") return undefined;
      throw thrown;
    }
  }

  /** Thaws the guest if it is frozen, as an earlier agent may have left it; tries until it has answered or has stopped. */
  thawLeft(guest: Guest): void {
    if (!this.#armed.has(guest.id)) this.#arm(guest, 0);
  }

  /**
   * Thaws a guest that continues from the memory of an earlier moment, at which it may have been frozen. `wasFrozen`: it was, by
   * an agent; another guest is given up after a minute without an answer.
   */
  async thawRestored(guest: Guest, wasFrozen: boolean): Promise<void> {
    await this.#mark(guest.id, this.#clock.now());
    this.#arm(guest, 0, wasFrozen ? undefined : MOST_TRIES);
  }

  /** Whether the guest is frozen, or may be. */
  isFrozen(id: string): boolean {
    return this.#armed.has(id);
  }

  /** No timer thaws a guest any more, also of a freeze that begins later: the next agent does. */
  close(): void {
    this.#isClosed = true;
    for (const timer of this.#armed.values()) timer.abort();
    this.#armed.clear();
  }

  #arm(guest: Guest, afterMs: number, mostTries = Number.POSITIVE_INFINITY): void {
    this.#armed.get(guest.id)?.abort();
    if (this.#isClosed) return;
    const timer = new AbortController();
    this.#armed.set(guest.id, timer);
    void this.#thawAfter(guest, afterMs, timer, mostTries);
  }

  /** Without the removal of the mark, the guest is thawed once more. */
  async #thawed(guest: Guest): Promise<void> {
    try {
      await this.#mark(guest.id, undefined);
    } catch {
      this.#arm(guest, RETRY_MS);
      return;
    }
    this.#armed.get(guest.id)?.abort();
    this.#armed.delete(guest.id);
  }

  async #thawAfter(guest: Guest, afterMs: number, timer: AbortController, mostTries: number): Promise<void> {
    const { signal } = timer;
    let waitMs = afterMs;
    let refusals = 0;
    for (let tries = 1; ; tries += 1) {
      try {
        await this.#clock.sleep(waitMs, signal);
      } catch {
        return;
      }
      waitMs = RETRY_MS;
      try {
        if ((await this.frozenUntil(guest.id)) === undefined) break;
        await this.thaw(guest);
      } catch (thrown) {
        // libvirt or the guest does not answer: again, until the guest stops. An agent that refuses cannot thaw anything.
        if (toSocleError(thrown).reason === "GUEST_REFUSED") refusals += 1;
        if (refusals === MOST_REFUSALS || tries >= mostTries) await this.#thawed(guest);
      }
    }
    if (this.#armed.get(guest.id) === timer) this.#armed.delete(guest.id);
  }

  async #mark(id: string, untilMs: number | undefined): Promise<void> {
    const args = {
      dom: reference(id),
      type: libvirt.DomainMetadataType.ELEMENT,
      metadata: untilMs === undefined ? null : buildFreeze(untilMs),
      key: freezeMark.key,
      uri: freezeMark.uri,
      flags: LIVE,
    };
    await this.#libvirt.call(libvirt.domainSetMetadata, args);
  }
}

const frozen = (): SocleError =>
  new SocleError(
    "conflict",
    "GUEST_FROZEN",
    "the guest's filesystems are frozen already: thaw them first (socle guest thaw), or leave quiesce out",
  );
