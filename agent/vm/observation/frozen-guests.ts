import { toSocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import { isActive } from "../hypervisor/domains.ts";
import type { Freezes } from "../hypervisor/freezes.ts";
import type { VmTable } from "./vm-table.ts";

/**
 * Thaws the guests that an earlier agent left frozen, once this one may change its host. At the end of the agent the next one
 * thaws those that are frozen then.
 */
export function frozenGuests(options: {
  readonly table: VmTable;
  readonly freezes: Pick<Freezes, "frozenUntil" | "thawLeft" | "close">;
  readonly untilAllowed: (signal: AbortSignal) => Promise<void>;
  readonly log: Logger;
}): Service {
  const { table, freezes, untilAllowed, log } = options;
  const thawAll = async (signal: AbortSignal): Promise<void> => {
    await table.untilComplete(signal);
    await untilAllowed(signal);
    for (const { id, tenant, managed, state } of table.all()) {
      if (signal.aborted) return;
      if (!managed || !isActive({ state })) continue;
      try {
        if ((await freezes.frozenUntil(id)) === undefined) continue;
        log.warn({ vm: id }, "an earlier agent left the guest's file systems frozen: thawing them");
        freezes.thawLeft({ id, tenant });
      } catch (thrown) {
        log.warn({ vm: id, err: toSocleError(thrown) }, "it is not known whether the guest is frozen");
        freezes.thawLeft({ id, tenant });
      }
    }
  };
  return {
    name: "frozen guests",
    async run(signal, ready) {
      ready();
      try {
        await thawAll(signal);
        await new Promise<void>((resolve) => {
          if (signal.aborted) resolve();
          else signal.addEventListener("abort", () => resolve(), { once: true });
        });
      } catch (thrown) {
        if (!signal.aborted) throw thrown;
      } finally {
        freezes.close();
      }
    },
  };
}
