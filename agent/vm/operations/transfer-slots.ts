import { KeyedLock } from "../../kernel/concurrency/keyed-lock.ts";
import { Semaphore } from "../../kernel/concurrency/semaphore.ts";
import { tenantOfCaller } from "../../trust/index.ts";

const AT_ONCE = 4;
const MOST_WAITING = 1000;
/** Of one tenant. */
const MOST_WAITING_OF_TENANT = 64;

/**
 * The places of transfers, which take hours of bandwidth and wait for callers and servers that may be slow on purpose. A tenant
 * has one at a time, less than half; all tenants together have all but one. The provider's transfers are next, so they wait for
 * each other alone.
 */
export class TransferSlots {
  readonly #slots: Semaphore;
  readonly #ofTenants: Semaphore;
  readonly #byTenant: KeyedLock;

  /** `byTenant`: one for the slots of all kinds. */
  constructor(subject: string, byTenant: KeyedLock) {
    this.#slots = new Semaphore(AT_ONCE, MOST_WAITING, subject);
    this.#ofTenants = new Semaphore(AT_ONCE - 1, MOST_WAITING, subject);
    this.#byTenant = byTenant;
  }

  static locks(): KeyedLock {
    return new KeyedLock(MOST_WAITING_OF_TENANT);
  }

  /** Throws as `Semaphore.run`. */
  async run<T>(caller: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const tenant = tenantOfCaller(caller);
    if (tenant === undefined) return await this.#slots.run(caller, work, signal, { ahead: true });
    const placed = (): Promise<T> => this.#slots.run(tenant, work, signal);
    const inTurn = (): Promise<T> => this.#ofTenants.run(tenant, placed, signal);
    return await this.#byTenant.run(tenant, inTurn, signal);
  }
}
