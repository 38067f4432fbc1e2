import { collectDefaultMetrics, Registry } from "prom-client";
import type { Collector, FamilyText } from "../collector.ts";
import { formatValue, samplePrefix, type Family, type FamilyKind } from "../family.ts";

// Of the default metrics, these are gauges named like counters, which Prometheus' own linter refuses; the same numbers
// are there without `_total`, by kind.
const misnamed = new Set([
  "nodejs_active_handles_total",
  "nodejs_active_requests_total",
  "nodejs_active_resources_total",
]);

/** How often the event loop is looked at. prom-client's own 10 ms would wake a process at rest 100 times a second. */
const lagPrecisionMs = 100;
/** What is known of the looks since the last scrape; each but stddev tells the time between two looks, pause and all. */
const ofLooks = /^nodejs_eventloop_lag_(min|max|mean|stddev|p\d+)_seconds$/;

/** The agent's own process under the standard names (process_*, nodejs_*), from prom-client's default metrics. */
export function processCollector(): Collector {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: lagPrecisionMs });
  for (const name of misnamed) registry.removeSingleMetric(name);
  return {
    name: "process",
    families: registry.getMetricsAsArray().map(({ name, help, type }) => family(name, help, type)),
    *collect() {
      const texts: FamilyText[] = [];
      // Never prom-client's own OpenMetrics text: rendering it once renames the counters for good.
      const metrics = registry.getMetricsAsJSON().then((read) => {
        // Two scrapes so close together that nobody looked between them: the second has nothing to tell.
        const looked = !read.some(
          ({ name, values }) => ofLooks.test(name) && values.some(({ value }) => isNaN(value)),
        );
        for (const { name, help, type, values } of read) {
          if (ofLooks.test(name) && !looked) continue;
          const lines = values.map((sample) => {
            const sampleName = "metricName" in sample ? String(sample.metricName) : name;
            const labels = Object.entries(sample.labels);
            const prefix = samplePrefix(
              sampleName,
              labels.map(([label]) => label),
              labels.map(([, value]) => value ?? ""),
            );
            const isPaused = ofLooks.test(name) && !name.includes("stddev");
            const value = isPaused ? Math.max(0, sample.value - lagPrecisionMs / 1000) : sample.value;
            return `${prefix}${formatValue(value)}\n`;
          });
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
