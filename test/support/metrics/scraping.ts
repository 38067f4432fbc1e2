import { silentLog } from "../../../agent/kernel/log.ts";
import { systemClock, type Clock } from "../../../agent/kernel/clock.ts";
import { allCollectors } from "../../../agent/metrics/collectors/index.ts";
import type { Collector } from "../../../agent/metrics/collector.ts";
import type { Format } from "../../../agent/metrics/family.ts";
import { Exposition, type Selection } from "../../../agent/metrics/render.ts";
import type { Sources } from "../../../agent/metrics/sources.ts";
import { fixedSources, nowMs } from "./fixed-sources.ts";

export const everything: Selection = { collect: [], exclude: [] };
/** A fixed clock, so that durations are the same each time. */
export const stillClock: Clock = { ...systemClock, now: () => nowMs, monotonicMs: () => 0 };

export function exposition(
  changes: Partial<Sources> = {},
  collectors: readonly Collector[] = allCollectors(),
  options: { clock?: Clock; disabled?: readonly string[] } = {},
): Exposition {
  return new Exposition({
    collectors,
    disabled: options.disabled ?? [],
    sources: fixedSources(changes),
    clock: options.clock ?? stillClock,
    log: silentLog,
  });
}

export async function text(
  from: Exposition,
  selection: Partial<Selection> = {},
  format: Format = "text",
): Promise<string> {
  return Buffer.concat(await from.render(format, { ...everything, ...selection }, 10_000)).toString();
}

/** The value of each series whose line begins with `start`. */
export function samples(exposed: string, start: string): Record<string, number> {
  return Object.fromEntries(
    exposed
      .split("\n")
      .filter((line) => line.startsWith(start))
      .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );
}
