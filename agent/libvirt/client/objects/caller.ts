import type { Subscribable } from "../../internal/topic.ts";
import type { Procedure } from "../../rpc/procedure.ts";
import type { LibvirtStream } from "../../rpc/stream.ts";
import type { LibvirtEvent } from "../events.ts";
import type { CallSettings, StreamSettings } from "../options.ts";

/** What the objects need of the client. */
export interface Caller {
  readonly events: Subscribable<LibvirtEvent>;
  call<A, R>(procedure: Procedure<A, R>, args: A, settings?: CallSettings): Promise<R>;
  openStream<A, R>(procedure: Procedure<A, R>, args: A, settings?: StreamSettings): Promise<LibvirtStream<R>>;
}

/** `flags` are the flags of libvirt's function, e.g. `DomainCreateFlags.START_PAUSED`; 0 by default. */
export interface ActSettings extends CallSettings {
  readonly flags?: number | undefined;
}

export interface ListSettings extends CallSettings {
  /** Running or not; both by default. */
  readonly active?: boolean | undefined;
}

/** ConnectListAll...Flags are not the same for all kinds: `active` and `inactive` are those of the kind. */
export const listFlags = (
  active: boolean | undefined,
  bits: { readonly ACTIVE: number; readonly INACTIVE: number },
): number => (active === undefined ? 0 : active ? bits.ACTIVE : bits.INACTIVE);
