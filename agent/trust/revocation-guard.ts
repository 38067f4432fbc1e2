import type { SocleError } from "../kernel/errors.ts";
import type { Service } from "../kernel/lifecycle/service.ts";
import type { Trust } from "./trust.ts";

/** `Permit` of the state: whether this agent may make changes. */
interface Permit {
  refuse(part: string, reason: SocleError): void;
  allow(part: string): void;
}

const part = "revocations";

/** Refuses changes while a revocation list in force is older than an earlier one on this host. */
export class RevocationGuard implements Service {
  readonly name = "revocation guard";
  readonly #trust: Pick<Trust, "listTimes" | "noteListTimes" | "rolledBack" | "subscribe">;
  readonly #permit: Permit;
  readonly #publish: () => Promise<boolean>;
  #published = "";

  /** `publish` stores `listTimes` outside of the state directory, which may be rolled back; returns false if refused. */
  constructor(trust: Trust, permit: Permit, publish: () => Promise<boolean>) {
    this.#trust = trust;
    this.#permit = permit;
    this.#publish = publish;
  }

  /** `Trust.listTimes`. */
  get listTimes(): Trust["listTimes"] {
    return this.#trust.listTimes;
  }

  /** Takes over the times of the agent before this one. On return, changes are refused where necessary. */
  note(before: Trust["listTimes"]): void {
    this.#trust.noteListTimes(before);
    this.#judge();
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const changes = this.#trust.subscribe(signal);
    ready();
    for await (const _ of changes) {
      this.#judge();
      await this.#publishNew();
    }
  }

  /** Never rejects: a failed publication is retried at the next check. */
  async #publishNew(): Promise<void> {
    const times = JSON.stringify(this.listTimes);
    if (times === this.#published) return;
    const isPublished = await this.#publish().catch(() => false);
    if (isPublished) this.#published = times;
  }

  #judge(): void {
    const { rolledBack } = this.#trust;
    if (rolledBack === undefined) this.#permit.allow(part);
    else this.#permit.refuse(part, rolledBack);
  }
}
