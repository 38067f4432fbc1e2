import { randomUUID } from "node:crypto";
import type { Clock } from "../../kernel/clock.ts";
import { SocleError } from "../../kernel/errors.ts";
import { hasEnded, ownIdentity } from "../../kernel/lifecycle/process-identity.ts";
import * as libvirt from "../../libvirt/index.ts";
import type { LibvirtCalls } from "./certainty.ts";
import { successionSchema, type FoundSuccession } from "./lease-record.ts";
import { UniqueSecret } from "./unique-secret.ts";

const usage = "socle-agent-lease-succession";
/** Deadline of a takeover. */
const WITHIN_MS = 30_000;
/** A succession secret that another agent has seen for this long belongs to no living takeover. */
const LEFT_MS = 60_000;

/**
 * One agent at a time takes over the lease of an ended holder. Reading that lease and replacing it are two calls, and
 * another agent could act between them. A second secret, which libvirt grants to one agent, excludes the others
 * meanwhile.
 */
export class LeaseSuccession {
  readonly #secrets: UniqueSecret<typeof successionSchema>;
  readonly #clock: Clock;
  readonly #holder: string;
  #seen: { readonly uuid: string; readonly sinceMs: number } | undefined;

  constructor(calls: Pick<LibvirtCalls, "call">, clock: Clock, holder: string) {
    this.#secrets = new UniqueSecret(calls, usage, successionSchema);
    this.#clock = clock;
    this.#holder = holder;
  }

  /**
   * Runs the work while no other agent takes over; `requireAlone` throws after its deadline. Returns `refused` if
   * libvirt does not take the secret. Throws `unavailable` LEASE_CONTENDED if another agent takes over now, and libvirt's
   * errors.
   */
  async alone<T>(
    work: (requireAlone: () => void) => Promise<T>,
    refused: (refusal: unknown) => T,
  ): Promise<T> {
    const found = await this.#secrets.find();
    if (found !== undefined) {
      if (!(await this.#isOver(found))) throw sought();
      await this.#secrets.remove(found.secret);
    }
    const deadlineMs = this.#clock.monotonicMs() + WITHIN_MS;
    const uuid = randomUUID();
    const own = { socle: "succession", holder: this.#holder, process: await ownIdentity() } as const;
    try {
      await this.#secrets.define(uuid, own);
    } catch (thrown) {
      const now = await this.#secrets.find();
      if (now?.secret.uuid === uuid) await this.#secrets.remove(now.secret);
      if (now !== undefined && now.secret.uuid !== uuid) throw sought();
      return refused(thrown);
    }
    try {
      return await work(() => {
        if (this.#clock.monotonicMs() >= deadlineMs) throw sought();
      });
    } finally {
      // If it stays, this agent or the next removes it.
      const secret = { uuid, usageType: libvirt.SecretUsageType.TLS, usageId: usage };
      await this.#secrets.remove(secret).catch(() => undefined);
    }
  }

  async #isOver({ secret: { uuid }, record }: FoundSuccession): Promise<boolean> {
    if (record?.holder === this.#holder) return true;
    if (record !== undefined && (await hasEnded(record.process))) return true;
    const nowMs = this.#clock.monotonicMs();
    if (this.#seen?.uuid !== uuid) this.#seen = { uuid, sinceMs: nowMs };
    return nowMs - this.#seen.sinceMs >= LEFT_MS;
  }
}

const sought = (): SocleError =>
  new SocleError("unavailable", "LEASE_CONTENDED", "another agent is taking over the lease of this libvirt");
