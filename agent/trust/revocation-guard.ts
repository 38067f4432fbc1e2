import type { SocleError } from "../kernel/errors.ts";
import type { Service } from "../kernel/lifecycle/service.ts";
import type { Trust } from "./trust.ts";

/** `Permit` of the state: whether this agent may change anything. */
interface Permit {
  refuse(part: string, reason: SocleError): void;
  allow(part: string): void;
}

const part = "revocations";

/** Refuses changes while a revocation list in force is older than one that was in force on this host before. */
export class RevocationGuard implements Service {
  readonly name = "revocation guard";
  readonly #trust: Pick<Trust, "listTimes" | "noteListTimes" | "rolledBack" | "subscribe">;
  readonly #permit: Permit;
  readonly #publish: () => Promise<boolean>;
  #published = "";

  /** `publish` keeps `listTimes` outside of the state directory, which may be rolled back; false where that is refused. */
  constructor(trust: Trust, permit: Permit, publish: () => Promise<boolean>) {
    this.#trust = trust;
    this.#permit = permit;
    this.#publish = publish;
  }

  /** `Trust.listTimes`. */
  get listTimes(): Trust["listTimes"] {
    return this.#trust.listTimes;
  }

  /** Takes in what an agent before this one knew. When this returns, changes are refused where they have to be. */
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

  /** Never rejects: what could not be published is tried again with the next look. */
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
