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

/** `flags` adds flags of the kind to those of `active`. */
export interface ListSettings extends ActSettings {
  /** Running or not; both by default. */
  readonly active?: boolean | undefined;
}

/** The arguments of CONNECT_LIST_ALL_...; its flags differ by the kind of object. */
export function listArgs(
  { active, flags = 0 }: ListSettings,
  bits: { readonly ACTIVE: number; readonly INACTIVE: number },
): { needResults: boolean; flags: number } {
  const wanted = active === undefined ? 0 : active ? bits.ACTIVE : bits.INACTIVE;
  return { needResults: true, flags: flags | wanted };
}

/** A definition's XML: its own, or what `build` writes for a document. */
export function xmlOf<T extends object>(definition: string | T, build: (document: T) => string): string {
  return typeof definition === "string" ? definition : build(definition);
}
