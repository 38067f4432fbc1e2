import type { FakeHandlers } from "./fake-agent.ts";
import { operation } from "./samples.ts";

export const running = operation({
  state: "STATE_RUNNING",
  done: false,
  progress: 0.5,
  steps: [{ name: "define", startedAt: { seconds: 1000, nanos: 0 }, outcome: "" }],
  endedAt: null,
});

/** An operation that runs at first and is done one message later. */
export const endsWith = (
  ...ends: readonly ReturnType<typeof operation>[]
): NonNullable<FakeHandlers["operations"]> => ({
  WatchOperations: (call) => {
    for (const end of [running, ...ends]) call.write(end);
  },
});
