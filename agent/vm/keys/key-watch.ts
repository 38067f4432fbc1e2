import type { Clock } from "../../kernel/clock.ts";
import { toSocleError } from "../../kernel/errors.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import type { KeyWrap } from "./key-wrap.ts";
import type { SampledVms } from "../model/vm.ts";

/** The key is read at each look: its file may be restored or changed while the agent runs. */
const LOOK_EVERY_MS = 60_000;
const MOST_NAMES = 5;

/**
 * Finds VMs that could not be started because this host lacks the volume key that sealed their passphrases. `report`
 * gets the problem as a text; undefined if there is none.
 */
export function keyWatch(options: {
  readonly table: SampledVms;
  readonly wrap: Pick<KeyWrap, "id">;
  readonly report: (problem: string | undefined) => void;
  readonly clock: Clock;
}): Service {
  const { table, wrap, report, clock } = options;
  return {
    name: "volume key",
    async run(signal, ready) {
      ready();
      try {
        for (;;) {
          await table.untilComplete(signal);
          report(await problemOf(table, wrap));
          await clock.sleep(LOOK_EVERY_MS, signal);
        }
      } catch (thrown) {
        if (!signal.aborted) throw thrown;
      }
    },
  };
}

async function problemOf(table: SampledVms, wrap: Pick<KeyWrap, "id">): Promise<string | undefined> {
  const sealed = table.all().filter(({ sealedBy = [] }) => sealedBy.length > 0);
  if (sealed.length === 0) return undefined;
  const own = await wrap.id().catch(toSocleError);
  const isOther = (id: string): boolean => id !== own;
  const shut = sealed.filter(({ sealedBy }) => sealedBy?.some(isOther));
  if (shut.length === 0) return undefined;
  const names = shut.slice(0, MOST_NAMES).map(({ name }) => name);
  const more = shut.length > names.length ? ` and ${shut.length - names.length} more` : "";
  const ids = new Set(shut.flatMap(({ sealedBy = [] }) => sealedBy).filter(isOther));
  const why = typeof own === "string" ? `this host has ${own}: restore the previous key` : own.message;
  return `cannot be started again: ${names.join(", ")}${more}; sealed by the volume key ${[...ids].join(", ")}, and ${why}`;
}
