import { SocleError } from "../../kernel/errors.ts";
import type { Slice } from "../../kernel/concurrency/slice.ts";
import type { HostEvent } from "../../state/events/event.ts";
import type { Event } from "../../gen/socle/v1/Event.ts";
import type { EventServiceHandlers } from "../../gen/socle/v1/EventService.ts";
import { eventKinds, eventToProto } from "../convert/event.ts";
import type { ServiceDependencies } from "./dependencies.ts";
import type { Methods } from "./handler.ts";

export const eventService = ({ events }: ServiceDependencies): Methods<EventServiceHandlers> => ({
  Subscribe: ({ afterSequence, fromNow, kinds, logId }, context) => {
    const wanted = new Set(kinds.map((kind) => eventKinds.fromProto("kinds", kind)));
    const from = { afterSequence, logId, fromNow: fromNow && afterSequence === 0 };
    const wants = (event: HostEvent): boolean => wanted.size === 0 || wanted.has(event.kind);
    return subscribe(events.subscribe(from, context.signal), {
      wants,
      logId: () => events.logId,
      slice: context.slice(),
    });
  },
});

async function* subscribe(
  events: AsyncIterable<HostEvent | { readonly kind: "overflow" }>,
  {
    wants,
    logId,
    slice,
  }: {
    readonly wants: (event: HostEvent) => boolean;
    readonly logId: () => string;
    readonly slice: Slice;
  },
): AsyncGenerator<Event, void, undefined> {
  for await (const event of events) {
    if (event.kind === "overflow") {
      const message = "events were dropped before they were read; list again, then subscribe from now";
      throw new SocleError("out_of_range", "EVENTS_EXPIRED", message);
    }
    if (wants(event)) yield { ...eventToProto(event), logId: logId() };
    else if (slice.over) await slice.rest();
  }
}
