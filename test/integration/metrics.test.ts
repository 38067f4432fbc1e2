import assert from "node:assert/strict";
import test from "node:test";
import { systemClock } from "../../agent/kernel/clock.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { allCollectors } from "../../agent/metrics/collectors/index.ts";
import { Exposition } from "../../agent/metrics/render.ts";
import { metricsServer } from "../../agent/metrics/server.ts";
import { Prometheus, prometheusUnavailable, promtoolComplaints } from "../support/prometheus.ts";
import {
  fixedReadings,
  fixedSources,
  fixedValues,
  stats,
  vm,
  vmView,
} from "../support/metrics/fixed-sources.ts";
import { scrapeSickServer } from "../support/metrics/sick-server.ts";

const skip = prometheusUnavailable();

const exposition = (vms = [vm(1)]): Exposition =>
  new Exposition({
    collectors: allCollectors(),
    disabled: [],
    sources: fixedSources({ vms: vmView(vms), readings: fixedReadings(fixedValues) }),
    clock: systemClock,
    log: silentLog,
  });

test("promtool accepts all metrics of the agent", { skip }, async () => {
  const pieces = await exposition().render("text", { collect: [], exclude: [] }, 10_000);
  assert.equal(await promtoolComplaints(Buffer.concat(pieces).toString()), "");
});

test("promtool accepts the metrics of a faulty server", { skip }, async (context) => {
  assert.equal(await promtoolComplaints(await scrapeSickServer(context, "text")), "");
});

test("a real Prometheus scrapes the agent and returns the values", { skip }, async (t) => {
  // A name with all characters that need escaping.
  const name = 'tab\t"quote" \\ line\nend';
  const vms = Array.from({ length: 100 }, (_, index) => vm(index, { stats: stats(index) }));
  vms[7] = vm(7, { name });
  const stop = new AbortController();
  const address = await new Promise<string>((resolve, reject) => {
    const running = metricsServer({
      listen: "127.0.0.1:0",
      exposition: exposition(vms),
      readiness: () => [],
      log: silentLog,
      onListening: ({ port }) => resolve(`127.0.0.1:${port}`),
    }).run(stop.signal, () => undefined);
    running.catch(reject);
    t.after(async () => {
      stop.abort();
      await running;
    });
  });
  const prometheus = await Prometheus.start({ targets: [address], scrapeIntervalMs: 300 });
  t.after(() => prometheus.stop());

  const cpu = await prometheus.queryUntil("socle_vm_cpu_seconds_total", 100);
  const seventh = "00000000-0000-4000-8000-000000000007";
  assert.equal(cpu.find(({ labels }) => labels["vm"] === seventh)?.value, 19.5);
  const [joined] = await prometheus.queryUntil(
    `socle_vm_memory_rss_bytes{vm="${seventh}"} * on (vm) group_left (name) socle_vm_info`,
  );
  assert.equal(joined?.labels["name"], name);
  assert.equal(joined.value, 250_000_007);
  const [running] = await prometheus.queryUntil('sum(socle_vm_state{state="running"})');
  assert.equal(running?.value, 100);
  await prometheus.targetsUp();
  // A counter has its type, so OpenMetrics was negotiated.
  const response = await fetch(`${prometheus.url}/api/v1/targets/metadata?metric=socle_vm_cpu_seconds`);
  const { data } = (await response.json()) as { data: { type: string; unit: string }[] };
  assert.deepEqual(
    data.map(({ type, unit }) => [type, unit]),
    [["counter", "seconds"]],
  );
});
