import type { Service } from "../../kernel/lifecycle/service.ts";
import type { Operations } from "./operations.ts";

const MARGIN_MS = 2000;

/**
 * Lets operations under way end before what they work with stops: it is to start after libvirt and all that observes
 * it, and so stops before them. What has not ended within the time is settled by the next start.
 */
export function operationDrain(operations: Operations, drainMs: number): Service {
  return {
    name: "operation-drain",
    stopTimeoutMs: drainMs + MARGIN_MS,
    async run(signal, ready) {
      ready();
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener("abort", () => resolve(), { once: true });
      });
      await operations.drain(drainMs);
    },
  };
}
