import { toSocleError, SocleError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import { fingerprintOf, readPersonKeys, type PersonKey } from "./person-keys.ts";
import { verifyPerson, type Person, type PersonRules } from "./person-token.ts";

interface PeopleOptions {
  /** The file of the identity provider's public keys; null: no token is accepted. */
  readonly keys: string | null;
  readonly rules: () => PersonRules;
  readonly now: () => number;
  readonly log: Logger;
}

/** Identifies the person behind a caller by the identity provider's token. Keys are read at the start and on reload. */
export class People {
  readonly #options: PeopleOptions;
  #keys: readonly PersonKey[] = [];

  constructor(options: PeopleOptions) {
    this.#options = options;
  }

  /** Throws as verifyPerson; `unavailable` PERSON_KEYS_MISSING without keys. */
  verify(token: string): Person {
    const { keys, rules, now } = this.#options;
    if (this.#keys.length > 0) return verifyPerson(token, this.#keys, rules(), now());
    const message =
      keys === null
        ? "this host accepts no person's token: people.keys names no file of the identity provider's keys"
        : `the identity provider's keys in ${keys} are not in use, see the log: no token can be checked`;
    throw new SocleError("unavailable", "PERSON_KEYS_MISSING", message);
  }

  /**
   * Reads the keys; resolves to their fingerprint if they changed, or to why they are unusable: then the last good ones stay.
   * Never rejects.
   */
  async reload(): Promise<{ readonly changedTo?: string; readonly problem?: string }> {
    const { keys: path, log } = this.#options;
    if (path === null) return {};
    try {
      const before = fingerprintOf(this.#keys);
      this.#keys = await readPersonKeys(path);
      const fingerprint = fingerprintOf(this.#keys);
      if (fingerprint === before) return {};
      log.info({ path, keys: this.#keys.length, fingerprint }, "the identity provider's keys are in use");
      return { changedTo: fingerprint };
    } catch (thrown) {
      const { reason, message } = toSocleError(thrown);
      const rest = this.#keys.length === 0 ? "no token is accepted" : "the last good ones stay in use";
      log.error({ reason }, `${message}; ${rest}`);
      return { problem: reason };
    }
  }
}
