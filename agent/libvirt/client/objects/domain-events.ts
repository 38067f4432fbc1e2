import type { DomainEvent, ResyncEvent } from "../events.ts";
import type { Caller } from "./caller.ts";

/** An event of a domain, or a notice that events were missed: read the state again. */
export type ObservedDomainEvent = DomainEvent | ResyncEvent;
export type DomainEventKind = ObservedDomainEvent["kind"];

/** A listener in use. `close`, or `using` where the language has it, ends it. */
export interface Subscription extends Disposable {
  close(): void;
}

/**
 * Events of the domain with that UUID, or of all domains, from this call on. Ends when the signal aborts, the loop is left
 * or the client is closed. Passes on notices of missed events in either case.
 */
export function domainEvents(
  caller: Caller,
  uuid: string | undefined,
  signal: AbortSignal = new AbortController().signal,
): AsyncIterable<ObservedDomainEvent> {
  // Subscribed at once, not at the first read: what happens meanwhile must not be missed.
  const items = caller.events.subscribe(signal);
  return {
    async *[Symbol.asyncIterator]() {
      for await (const item of items) {
        if (item.kind === "overflow") yield { kind: "resync", family: "hypervisor", reason: "overflow" };
        else if (item.value.kind === "resync") {
          if (item.value.family === "hypervisor") yield item.value;
        } else if ("domain" in item.value) {
          if (uuid === undefined || item.value.domain.uuid === uuid) yield item.value;
        }
      }
    },
  };
}

/** Calls the listener for each event of that kind. An error that it throws is an unhandled rejection. */
export function onDomainEvent<K extends DomainEventKind>(
  caller: Caller,
  uuid: string | undefined,
  kind: K,
  listener: (event: Extract<ObservedDomainEvent, { readonly kind: K }>) => void,
): Subscription {
  const ending = new AbortController();
  const isWanted = (
    event: ObservedDomainEvent,
  ): event is Extract<ObservedDomainEvent, { readonly kind: K }> => event.kind === kind;
  const events = domainEvents(caller, uuid, ending.signal);
  void (async () => {
    for await (const event of events) if (isWanted(event) && !ending.signal.aborted) listener(event);
  })();
  const close = (): void => ending.abort();
  return { close, [Symbol.dispose]: close };
}
