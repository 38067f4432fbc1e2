import { aborted } from "../../kernel/concurrency/deadline.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import type { Operations } from "./operations.ts";

const MARGIN_MS = 2000;

/**
 * Waits at stop for running operations, before the services that they use stop. So it must start after libvirt and its
 * observers. The next start settles operations that do not end in time.
 */
export const operationDrain = (operations: Operations, drainMs: number): Service => ({
  name: "operation-drain",
  stopTimeoutMs: drainMs + MARGIN_MS,
  async run(signal, ready) {
    ready();
    await aborted(signal);
    await operations.drain(drainMs);
  },
});
