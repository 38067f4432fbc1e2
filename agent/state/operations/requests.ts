import type { BootClock } from "../../kernel/boot-clock.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { JournalOptions } from "../journal/options.ts";
import type { BoundsOptions } from "./bounds.ts";
import type { Selection } from "./operation-index.ts";
import type { Behalf, Operation } from "./operation.ts";

export interface OperationsOptions
  extends
    BoundsOptions,
    Pick<JournalOptions, "log" | "mustExist" | "compactAboveBytes" | "onUnreadable" | "beforeRefused"> {
  readonly directory: string;
  readonly clock: Clock;
  /** Without it, retention over restarts is on the wall clock. */
  readonly boot?: BootClock;
  /**
   * Returns the step that must succeed before this end is shown, or undefined for none. The end is durable as decided
   * before the step runs. While the step fails the operation is `outcome_unknown`; endAgain() retries it.
   */
  readonly beforeShown?: (ended: Operation) => (() => Promise<void>) | undefined;
  /** The state is older than this operation's run: the operation is not continued. */
  readonly isOutdated?: (id: string) => boolean;
  /** How long an ended operation and its request id are kept. */
  readonly retentionMs: number;
}

export interface BeginRequest {
  readonly requestId: string;
  /** Request ids are per caller: the same id of another caller is another request. */
  readonly caller: string;
  readonly behalf?: Behalf | undefined;
  /** Upper snake: CREATE_VM. */
  readonly kind: string;
  readonly vmId: string;
  /** The instance of its VM. */
  readonly instance?: string | undefined;
  /** The newest operation recorded in the VM's domain: this one sorts after it, even if the journal has lost it. */
  readonly newestOperation?: string | undefined;
  /** The VM's tenant, whose limits the operation counts against. Without one, the caller's limits. */
  readonly tenant?: string | undefined;
  /** The caller is restricted to that tenant: it may use a part of each limit, the provider the whole. */
  readonly byTenant?: boolean | undefined;
  /** Digest of the request's body without its id. */
  readonly fingerprint: string;
  /** JSON; kept until the operation is done. */
  readonly intent: unknown;
  /** It relieves the host, as a stop does: it is admitted beyond the limit for others. */
  readonly urgent?: boolean;
}

export interface ListOptions extends Selection {
  /** Continues after the last operation of the previous page. */
  readonly afterId?: string;
  readonly limit: number;
}
