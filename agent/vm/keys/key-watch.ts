import type { Clock } from "../../kernel/clock.ts";
import { toSocleError } from "../../kernel/errors.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import type { KeyWrap } from "./key-wrap.ts";
import type { SampledVms } from "../model/vm.ts";

/** The key is read for each look: its file may be put back, or changed, while the agent runs. */
const LOOK_EVERY_MS = 60_000;
const MOST_NAMES = 5;

/**
 * Finds out before a guest is to be started that it cannot be, since this host has not, or not any more, the volume key
 * that its passphrases were sealed by. `tell` hears it in words, and undefined where all can be opened.
 */
export function keyWatch(options: {
  readonly table: SampledVms;
  readonly wrap: Pick<KeyWrap, "id">;
  readonly tell: (problem: string | undefined) => void;
  readonly clock: Clock;
}): Service {
  const { table, wrap, tell, clock } = options;
  return {
    name: "volume key",
    async run(signal, ready) {
      ready();
      try {
        for (;;) {
          await table.untilComplete(signal);
          tell(await problemOf(table, wrap));
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
  const why = typeof own === "string" ? `this host has ${own}: bring back the one before` : own.message;
  return `not to be started again: ${names.join(", ")}${more}; sealed by the volume key ${[...ids].join(", ")}, and ${why}`;
}
