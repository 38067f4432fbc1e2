import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { eventually } from "../support/wait.ts";
import type { CampaignRun } from "./campaign.ts";
import type { FaultyHost } from "./host.ts";
import type { Killer, Trap } from "./killer.ts";

const END_WITHIN_MS = 90_000;

/**
 * Requests an operation whose agent dies in the trap, and requests it again from the next agent. Returns its end. A violation: it
 * has none; the repeated request has another operation; an end that a caller knew has changed.
 */
export async function interrupted(
  run: CampaignRun,
  host: FaultyHost,
  { killer, trap, begin }: { killer: Killer; trap: Trap; begin: () => Promise<Operation__Output> },
): Promise<Operation__Output> {
  let received: Operation__Output | undefined;
  const work = (async () => {
    try {
      received = await begin();
      received = await host.ended(received, END_WITHIN_MS);
    } catch {
      await new Promise(() => undefined); // The agent died, which the trap reports.
    }
  })();
  await trap.spring(work);
  await killer.revive();
  const again = await eventually(begin, {
    what: "the operation to be accepted again",
    timeoutMs: 40_000,
    intervalMs: 100,
  });
  compare(run, host, received, again);
  const end = await host.ended(again, END_WITHIN_MS);
  if (!end.done) run.violation(`no end: ${host.describe(end)}`);
  return end;
}

/** A repeated request has the same reply after every restart of the agent. */
function compare(
  run: CampaignRun,
  host: FaultyHost,
  received: Operation__Output | undefined,
  again: Operation__Output,
): void {
  if (received === undefined) return;
  run.demand(
    received.operationId === again.operationId,
    `the repeated request of operation ${received.operationId} returns ${again.operationId}`,
  );
  run.demand(
    !received.done || received.state === again.state,
    `an ended operation changed: ${host.describe(received)}, then ${host.describe(again)}`,
  );
}
