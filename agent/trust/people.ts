import { toSocleError, SocleError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import { fingerprintOf, readPersonKeys, type PersonKey } from "./person-keys.ts";
import { verifyPerson, type Person, type PersonRules } from "./person-token.ts";

export interface PeopleOptions {
  /** The file of the identity provider's public keys; null: nobody's token is believed. */
  readonly keys: string | null;
  readonly rules: () => PersonRules;
  readonly now: () => number;
  readonly log: Logger;
}

/** Who acts behind a caller, by the identity provider's word. Its keys are read at the start and on reload. */
export class People {
  readonly #options: PeopleOptions;
  #keys: readonly PersonKey[] = [];

  constructor(options: PeopleOptions) {
    this.#options = options;
  }

  /** Throws as verifyPerson does; `unavailable` PERSON_KEYS_MISSING where there is no key to check by. */
  verify(token: string): Person {
    const { keys, rules, now } = this.#options;
    if (this.#keys.length > 0) return verifyPerson(token, this.#keys, rules(), now());
    const message =
      keys === null
        ? "this host takes no tokens of people: people.keys names no file of the identity provider's keys"
        : `the identity provider's keys in ${keys} are not in use, see the log: nobody's token can be checked`;
    throw new SocleError("unavailable", "PERSON_KEYS_MISSING", message);
  }

  /**
   * Reads the keys now; resolves to their fingerprint where there are others, or to why they cannot be used: the last good
   * ones stay. Never rejects.
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
      const rest = this.#keys.length === 0 ? "nobody's token is believed" : "the last good ones stay in use";
      log.error({ reason }, `${message}; ${rest}`);
      return { problem: reason };
    }
  }
}
