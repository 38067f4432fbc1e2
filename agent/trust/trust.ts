import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../kernel/clock.ts";
import { toSocleError, type SocleError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import type { Service } from "../kernel/service.ts";
import { Topic } from "../kernel/topic.ts";
import { files, readMaterial, type Material } from "./material.ts";

export interface TrustOptions {
  readonly directory: string;
  /** The part of identities that says whose cloud this is; null: no TLS. */
  readonly domain: string | null;
  /** Where agent.crt's key is; absent: agent.key beside it. */
  readonly keyPath?: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How often the files are looked at, and certificates of open connections for their end. */
const LOOK_MS = 15_000;

/**
 * What this host proves itself with and checks others by, as the files of its trust directory say. They are read again
 * when they change: what does not fit is refused, and the last good set stays in use.
 */
export class Trust implements Service {
  readonly name = "trust";
  readonly #options: TrustOptions;
  readonly #log: Logger;
  readonly #changes = new Topic<void>();
  #material: Material | undefined;
  #problem: SocleError | undefined;
  #seen = "";

  constructor(options: TrustOptions) {
    this.#options = options;
    this.#log = options.log.child({ component: "trust" });
  }

  /** Whether whoever is met over the network must prove who they are. */
  get isRequired(): boolean {
    return this.#options.domain !== null;
  }

  /** Undefined until this host is enrolled. */
  get material(): Material | undefined {
    return this.#material;
  }

  /** Why the files as they are now are not in use. */
  get problem(): SocleError | undefined {
    return this.#problem;
  }

  /** After each change of `material`, and at a steady pace, since certificates run out by themselves. */
  subscribe(signal: AbortSignal): AsyncIterable<unknown> {
    return this.#changes.subscribe(signal, 1);
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    if (this.isRequired) await this.reload();
    ready();
    for (;;) {
      try {
        await this.#options.clock.sleep(LOOK_MS, signal);
      } catch {
        return;
      }
      if (this.isRequired && (await this.#stamp()) !== this.#seen) await this.reload();
      this.#changes.publish();
    }
  }

  /** Reads the files now. Never throws: what is wrong with them is told by `problem` and by the log. */
  async reload(): Promise<void> {
    const { directory, domain, keyPath } = this.#options;
    if (domain === null) return;
    this.#seen = await this.#stamp();
    try {
      const material = await readMaterial(directory, domain, keyPath);
      const isNew = JSON.stringify(material.tls) !== JSON.stringify(this.#material?.tls);
      this.#material = material;
      this.#problem = undefined;
      if (!isNew) return;
      const { serial, notAfterMs, revoked, identity } = material;
      const until = new Date(notAfterMs).toISOString();
      this.#log.info(
        { identity: identity.uri, serial, until, revoked: revoked.size },
        "certificates are in use",
      );
      this.#changes.publish();
    } catch (thrown) {
      this.#problem = toSocleError(thrown);
      const { reason, message } = this.#problem;
      const level = reason === "NOT_ENROLLED" ? "warn" : "error";
      const rest =
        this.#material === undefined
          ? "no connection over the network is possible"
          : "the last good ones stay in use";
      this.#log[level]({ reason }, `${message}; ${rest}`);
    }
  }

  /** What tells that a file is another one. */
  async #stamp(): Promise<string> {
    const stamps = Object.values(files).map(async (name) => {
      try {
        const { ino, mtimeMs, size } = await stat(join(this.#options.directory, name));
        return `${ino} ${mtimeMs} ${size}`;
      } catch {
        return "";
      }
    });
    return (await Promise.all(stamps)).join("\n");
  }
}
