import type { Clock } from "../kernel/clock.ts";
import { SocleError, toSocleError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import type { Service } from "../kernel/lifecycle/service.ts";
import { Mutex } from "../kernel/concurrency/mutex.ts";
import { Topic } from "../kernel/concurrency/topic.ts";
import type { Material } from "./material.ts";
import { latestTimes, type ListTimes } from "./revocation.ts";
import { TrustFiles, type ReplaceFile } from "./trust-files.ts";
import {
  fingerprintOf,
  isSameSet,
  listsRolledBack,
  listTimesAfter,
  renewedTexts,
  successorOf,
  trustSetOf,
  type TrustSet,
  type TrustTexts,
} from "./trust-set.ts";

interface TrustOptions {
  readonly directory: string;
  /** The domain of identities, which names the cloud; null: no TLS. */
  readonly domain: string | null;
  /** The key of agent.crt; absent: agent.key beside it. */
  readonly keyPath?: string;
  readonly replaceFile: ReplaceFile;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Interval for checking the files, and the expiry of open connections' certificates. */
const LOOK_MS = 15_000;

/**
 * This host's certificate and its rules for peers. A set is checked whole before it replaces the one in use, whether it
 * comes from the files, which are reread when they change, or from the authority. An invalid one is refused; the last good
 * set stays in use, also over restarts.
 */
export class Trust implements Service {
  readonly name = "trust";
  readonly #options: TrustOptions;
  readonly #log: Logger;
  readonly #files: TrustFiles;
  readonly #changes = new Topic<void>();
  #current: TrustSet | undefined;
  #fileProblem: SocleError | undefined;
  #renewalProblem: SocleError | undefined;
  #listTimes: ListTimes = {};
  #rolledBack: SocleError | undefined;
  #seen = "";
  readonly #mutex = new Mutex();

  constructor(options: TrustOptions) {
    this.#options = options;
    this.#log = options.log.child({ component: "trust" });
    this.#files = new TrustFiles(options.directory, options.keyPath, options.replaceFile);
  }

  /** Whether peers on the network must authenticate. */
  get isRequired(): boolean {
    return this.#options.domain !== null;
  }

  /** Undefined until this host is enrolled. */
  get material(): Material | undefined {
    return this.#current?.material;
  }

  /** Why the current files, or the authority's last answer, are not in use. */
  get problem(): SocleError | undefined {
    return this.#fileProblem ?? this.#renewalProblem;
  }

  /** Times of the newest revocation lists ever in force on this host, as far as known. */
  get listTimes(): ListTimes {
    return this.#listTimes;
  }

  /** Adds times from before this start: the trust directory may be an older copy. */
  noteListTimes(before: ListTimes): void {
    this.#listTimes = latestTimes(this.#listTimes, before);
    this.#rolledBack = this.#judged();
  }

  /** A list in force is older than an earlier one. */
  get rolledBack(): SocleError | undefined {
    return this.#rolledBack;
  }

  /** Set even while the files are unusable. */
  get isEnrolled(): boolean {
    return this.#current !== undefined || this.#fileProblem?.reason !== "NOT_ENROLLED";
  }

  /** After each change of `material`, and periodically, since certificates expire. */
  subscribe(signal: AbortSignal): AsyncIterable<unknown> {
    return this.#changes.subscribe(signal, 1);
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    if (this.isRequired) await this.reload();
    ready();
    // A renewal needs this chunk of the bundle, and an upgrade of the package deletes it before the agent starts again.
    if (this.isRequired) await import("./x509.ts");
    for (;;) {
      try {
        await this.#options.clock.sleep(LOOK_MS, signal);
      } catch {
        return;
      }
      if (this.isRequired && (await this.#files.stamp()) !== this.#seen) await this.reload();
      this.#changes.publish();
    }
  }

  /** Reads the files now. Never throws: faults are in `problem` and in the log. */
  async reload(): Promise<void> {
    const { domain } = this.#options;
    if (domain === null) return;
    await this.#mutex.run(() => this.#reload(domain));
  }

  /**
   * Puts an authority's answer to a renewal in use, durably. Throws `internal` CERTIFICATE_UNFIT, `denied` AUTHORITY_CHANGED
   * or IDENTITY_CHANGED for a refused answer, and writes nothing then.
   */
  async renew(answer: TrustTexts): Promise<Material> {
    return await this.#mutex.run(async () => {
      try {
        const current = this.#current;
        if (current === undefined) throw unfit("this host is not enrolled");
        const { domain } = current.material;
        const texts = renewedTexts(await trustSetOf(answer, domain), current);
        const material = await this.#install(await trustSetOf(texts, domain));
        this.#renewalProblem = undefined;
        return material;
      } catch (thrown) {
        this.#renewalProblem = unfitOf(thrown);
        throw this.#renewalProblem;
      }
    });
  }

  /**
   * As `renew`, for a first certificate or another authority's. `expected`: this host's identity, and the fingerprint of the
   * authority that the administrator named.
   */
  async enroll(answer: TrustTexts, expected: { identity: string; authority: string }): Promise<Material> {
    const domain = this.#options.domain ?? "";
    return await this.#mutex.run(async () => {
      try {
        const next = await trustSetOf(answer, domain);
        const { uri } = next.material.identity;
        if (uri !== expected.identity) throw unfit(`it is of ${uri}; this host is ${expected.identity}`);
        if (!next.authorities.some((authority) => fingerprintOf(authority) === expected.authority))
          throw unfit("the authority that the token names is not in it");
        const material = await this.#install(next);
        this.#renewalProblem = undefined;
        return material;
      } catch (thrown) {
        throw unfitOf(thrown);
      }
    });
  }

  async #install(next: TrustSet): Promise<Material> {
    const set = await successorOf(next, this.#current, this.#options.clock.now());
    await this.#files.install(set.texts);
    this.#seen = await this.#files.stamp();
    this.#fileProblem = undefined;
    this.#use(set);
    return set.material;
  }

  async #reload(domain: string): Promise<void> {
    this.#seen = await this.#files.stamp();
    if (this.#current === undefined) await this.#recover(domain);
    const current = this.#current;
    try {
      const read = await trustSetOf(await this.#files.read(), domain);
      const isNew = current !== undefined && !isSameSet(read, current);
      const next = isNew ? await successorOf(read, current, this.#options.clock.now()) : read;
      this.#fileProblem = undefined;
      if (current !== undefined && isSameSet(next, current)) return;
      await this.#files.keepAsLastGood(next.texts).catch((thrown: unknown) => {
        this.#log.error(
          { err: thrown },
          "the trust set in use was not stored: a restart only reads the files",
        );
      });
      this.#use(next);
    } catch (thrown) {
      const error = toSocleError(thrown);
      const isGone = error.reason === "NOT_ENROLLED" && current !== undefined;
      this.#fileProblem = isGone ? new SocleError("invalid", "TRUST_INVALID", error.message) : error;
      const { reason, message } = this.#fileProblem;
      const rest =
        current === undefined
          ? "no connection over the network is possible"
          : "the last good set stays in use";
      this.#log[reason === "NOT_ENROLLED" ? "warn" : "error"]({ reason }, `${message}; ${rest}`);
    }
  }

  /** Restores the set in use before this start, and completes its interrupted installation. */
  async #recover(domain: string): Promise<void> {
    try {
      const kept = await this.#files.readLastGood();
      if (kept === undefined) return;
      const set = await trustSetOf(kept.texts, domain);
      if (kept.installing) await this.#files.finishInstall(set.texts);
      this.#use(set);
    } catch (thrown) {
      const { reason, message } = toSocleError(thrown);
      this.#log.error({ reason }, `the last good trust set cannot be used: ${message}`);
    }
  }

  #use(set: TrustSet): void {
    this.#current = set;
    this.#listTimes = listTimesAfter(this.#listTimes, set, this.#options.clock.now());
    this.#rolledBack = this.#judged();
    const { serial, notAfterMs, revoked, identity, roots } = set.material;
    const until = new Date(notAfterMs).toISOString();
    const authorities = roots.map(fingerprintOf);
    this.#log.info(
      { identity: identity.uri, serial, until, authorities, revoked: revoked.size },
      "certificates are in use",
    );
    this.#changes.publish();
  }

  #judged(): SocleError | undefined {
    return this.#current === undefined ? undefined : listsRolledBack(this.#current, this.#listTimes);
  }
}

/** A misfit's own reason, if it has a specific one. */
function unfitOf(thrown: unknown): SocleError {
  const error = toSocleError(thrown);
  return error.reason === "TRUST_INVALID" ? unfit(error.message) : error;
}

const unfit = (why: string): SocleError =>
  new SocleError("internal", "CERTIFICATE_UNFIT", `the authority's answer cannot be used: ${why}`);
