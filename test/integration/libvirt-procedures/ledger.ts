import assert from "node:assert/strict";
import * as libvirtDoor from "../../../agent/libvirt/index.ts";
import type { EventProcedure, Procedure } from "../../../agent/libvirt/index.ts";
import { LibvirtError } from "../../../agent/libvirt/index.ts";

/** The caller: the client, or a bare connection. */
export interface Caller {
  call<A, R>(procedure: Procedure<A, R>, args: A): Promise<R>;
}

export const everyProcedure = Object.values<unknown>(libvirtDoor).filter(
  (value): value is Procedure<unknown, unknown> =>
    typeof value === "object" && value !== null && "args" in value && "result" in value,
);
export const everyEvent = Object.values<unknown>(libvirtDoor).filter(
  (value): value is EventProcedure<unknown> => typeof value === "object" && value !== null && "body" in value,
);

/** The procedures that libvirt answered, and those that it refused, with the reason. */
export class Ledger {
  readonly #answered = new Set<unknown>();
  readonly #refused = new Map<unknown, string>();

  by(caller: Caller): Proof {
    return new Proof(this, caller);
  }

  answered(procedure: object): void {
    this.#answered.add(procedure);
  }

  refused(procedure: object, reason: string): void {
    this.#refused.set(procedure, reason);
  }

  /** Names of procedures that were never called. */
  get untried(): string[] {
    const tried = (each: object): boolean => this.#answered.has(each) || this.#refused.has(each);
    return everyProcedure.filter((each) => !tried(each)).map(({ name }) => name);
  }

  /** Names of procedures with only expected refusals, with their reasons. */
  get onlyRefused(): Record<string, string> {
    return Object.fromEntries(
      everyProcedure
        .filter((each) => !this.#answered.has(each))
        .flatMap((each) => {
          const reason = this.#refused.get(each);
          return reason === undefined ? [] : [[each.name, reason]];
        }),
    );
  }

  get answeredCount(): number {
    return this.#answered.size;
  }
}

export class Proof {
  readonly #ledger: Ledger;
  readonly #caller: Caller;

  constructor(ledger: Ledger, caller: Caller) {
    this.#ledger = ledger;
    this.#caller = caller;
  }

  async answers<A, R>(procedure: Procedure<A, R>, args: A): Promise<R> {
    const result = await this.#caller.call(procedure, args);
    this.#ledger.answered(procedure);
    return result;
  }

  /** libvirt refuses the call, with this reason if one is given. */
  async refuses<A, R>(procedure: Procedure<A, R>, args: A, reason?: string): Promise<void> {
    await assert.rejects(this.#caller.call(procedure, args), (thrown) => {
      assert.ok(isRefusal(thrown, reason === undefined ? undefined : [reason]));
      this.#ledger.refused(procedure, thrown.reason);
      return true;
    });
  }

  /** For calls that depend on the machine: the answer, or undefined after a refusal with one of these reasons. */
  async answersUnless<A, R>(
    procedure: Procedure<A, R>,
    args: A,
    reasons: readonly string[],
  ): Promise<R | undefined> {
    try {
      return await this.answers(procedure, args);
    } catch (thrown) {
      assert.ok(isRefusal(thrown, reasons));
      this.#ledger.refused(procedure, thrown.reason);
      return undefined;
    }
  }
}

/** Rethrows other errors, so that the report shows them. */
function isRefusal(thrown: unknown, reasons?: readonly string[]): thrown is LibvirtError {
  if (!(thrown instanceof LibvirtError) || reasons?.includes(thrown.reason) === false) throw thrown;
  assert.equal(thrown.details.metadata?.libvirtCode === undefined, false, "libvirt itself refuses");
  return true;
}
