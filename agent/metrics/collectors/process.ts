import { collectDefaultMetrics, Registry } from "prom-client";
import type { Collector, FamilyText } from "../collector.ts";
import { formatValue, samplePrefix, type Family, type FamilyKind } from "../family.ts";
import { boundText } from "../histogram-samples.ts";

/**
 * Default metrics that are not shown. Some are gauges named like counters, which Prometheus' own linter refuses; the same
 * numbers exist without `_total`, by kind. The event loop's lag is the costliest, and each scrape would reset it for all
 * scrapers: the agent has its own, `socle_agent_event_loop_lag_*`.
 */
const leftOut = /^nodejs_(active_(handles|requests|resources)_total|eventloop_lag_.*)$/;
// Its sampling interval is made so long that it hardly wakes an idle process.
const lagPrecisionMs = 3_600_000;

/** The agent's own process under the standard names (process_*, nodejs_*), from prom-client's default metrics. */
export function processCollector(): Collector {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: lagPrecisionMs });
  for (const { name } of registry.getMetricsAsArray())
    if (leftOut.test(name)) registry.removeSingleMetric(name);
  return {
    name: "process",
    families: registry.getMetricsAsArray().map(({ name, help, type }) => family(name, help, type)),
    *collect() {
      const texts: FamilyText[] = [];
      // Not prom-client's OpenMetrics text: rendering it once renames the counters permanently.
      const metrics = registry.getMetricsAsJSON().then((read) => {
        for (const { name, help, type, values } of read) {
          const lines = values.map((sample) => {
            const sampleName = "metricName" in sample ? String(sample.metricName) : name;
            const labels = Object.entries(sample.labels);
            const prefix = samplePrefix(
              sampleName,
              labels.map(([label]) => label),
              labels.map(([label, value]) =>
                label === "le" && typeof value === "number" ? boundText(value) : (value ?? ""),
              ),
            );
            return `${prefix}${formatValue(sample.value)}\n`;
          });
          if (lines.length > 0)
            texts.push({ family: family(name, help, type), lines: [Buffer.from(lines.join(""))] });
        }
      });
      yield metrics;
      return { texts, readAtMs: undefined };
    },
  };
}

const family = (name: string, help: string, type: unknown): Family => ({
  name,
  help,
  kind: String(type) as FamilyKind,
  labels: [],
});
