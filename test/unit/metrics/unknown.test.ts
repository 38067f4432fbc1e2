import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { unlisted } from "../../support/host/unlisted.ts";
import {
  fixedReadings,
  fixedSources,
  fixedValues,
  hostSnapshot,
  nowMs,
  stats,
  vm,
  vmView,
} from "../../support/metrics/fixed-sources.ts";
import { exposition, samples, text } from "../../support/metrics/scraping.ts";

const id = "00000000-0000-4000-8000-000000000001";

describe("unknown and old values", () => {
  test("an unknown value is left out, never zero", async () => {
    const { rssBytes: _, ...unknownRss } = stats(1);
    const exposed = await text(exposition({ vms: vmView([vm(1, { stats: unknownRss })]) }));
    assert.deepEqual(samples(exposed, "socle_vm_memory_rss_bytes"), {});
    assert.deepEqual(samples(exposed, "socle_vm_vcpu_delay_seconds_total"), {
      [`socle_vm_vcpu_delay_seconds_total{vm="${id}",vcpu="0"}`]: 0.25,
    });
    assert.deepEqual(samples(exposed, "socle_host_memory_bytes"), {});
  });

  test("a reading older than three intervals is left out, and its age is shown", async () => {
    const hung = stats(1, {
      sampledAtMs: nowMs - 30_001,
      sampledAtMonotonicMs: nowMs - 30_001,
      unresponsive: true,
    });
    const exposed = await text(exposition({ vms: vmView([vm(1, { stats: hung }), vm(2)]) }));
    const other = "00000000-0000-4000-8000-000000000002";
    assert.deepEqual(Object.keys(samples(exposed, "socle_vm_cpu_seconds_total")), [
      `socle_vm_cpu_seconds_total{vm="${other}"}`,
    ]);
    assert.equal(samples(exposed, "socle_vm_stats_age")[`socle_vm_stats_age_seconds{vm="${id}"}`], 30.001);
    assert.equal(samples(exposed, "socle_vm_unres")[`socle_vm_unresponsive{vm="${id}"}`], 1);
  });

  test("an old reading of a guest is left out, and libvirt's own values of the VM are shown", async () => {
    const paused = stats(1, { guestReportedAtMs: nowMs - 30_001 });
    const { guestReportedAtMs: _, ...mute } = stats(2);
    const exposed = await text(
      exposition({ vms: vmView([vm(1, { stats: paused }), vm(2, { stats: mute })]) }),
    );
    assert.deepEqual(samples(exposed, "socle_vm_guest"), {});
    assert.equal(Object.keys(samples(exposed, "socle_vm_memory_rss_bytes")).length, 2);
  });

  test("a VM that libvirt does not report has the state unknown", async () => {
    const exposed = await text(exposition({ vms: vmView([vm(1, { presence: "unknown" })]) }));
    const states = samples(exposed, "socle_vm_state{");
    assert.equal(states[`socle_vm_state{vm="${id}",state="unknown"}`], 1);
    assert.equal(states[`socle_vm_state{vm="${id}",state="running"}`], 0);
  });

  test("a step of the wall clock makes no value old", async () => {
    const stepped = { nowMs: () => nowMs + 86_400_000 };
    const exposed = await text(exposition({ vms: vmView([vm(1)]), ...stepped }));
    assert.equal(
      samples(exposed, "socle_vm_cpu_seconds_total")[`socle_vm_cpu_seconds_total{vm="${id}"}`],
      13.5,
    );
    assert.equal(samples(exposed, "socle_vm_stats_age")[`socle_vm_stats_age_seconds{vm="${id}"}`], 2);
  });

  test("the host's collectors have the age of their last read", async () => {
    const exposed = await text(exposition());
    const shown = samples(exposed, "socle_collector_last_success");
    const agesMs = ["host_info", "host_capacity", "host_storage"].map(
      (name) =>
        nowMs - 1000 * (shown[`socle_collector_last_success_timestamp_seconds{collector="${name}"}`] ?? 0),
    );
    assert.deepEqual(agesMs, [20_000, 20_000, 19_000]);
  });

  test("claims of VMs are left out before the VMs were listed, not zero", async () => {
    const host = { ...fixedSources().host, snapshot: () => unlisted(hostSnapshot) };
    const exposed = await text(exposition({ host }));
    assert.deepEqual(samples(exposed, "socle_host_capacity_allocated"), {});
    assert.deepEqual(samples(exposed, "socle_host_capacity_available"), {});
    assert.notDeepEqual(samples(exposed, "socle_host_capacity_reserved"), {});
  });

  test("the statistics' collectors fail when no sampling was recent", async () => {
    const lastReadings = { atMs: nowMs - 60_000, atMonotonicMs: nowMs - 60_000, durationMs: 1, ok: true };
    const lastSample = { atMs: nowMs, atMonotonicMs: nowMs, durationMs: 1, ok: false };
    const exposed = await text(exposition({ vms: vmView([vm(1)], { lastSample, lastReadings }) }));
    const success = samples(exposed, "socle_collector_success");
    assert.equal(success['socle_collector_success{collector="vm_cpu"}'], 0);
    assert.equal(success['socle_collector_success{collector="vm_info"}'], 1);
    assert.deepEqual(samples(exposed, "socle_vm_cpu"), {});
  });

  test("a failed or stale reader leaves the other's metrics, and its collector counts as failed", async () => {
    const value = {
      ...{ temperatures: [{ chip: "cpu", sensor: "0", celsius: 50 }], fans: [], voltages: [], powers: [] },
      ...{ currents: [], unread: { temperatures: [], fans: [] }, silent: [] },
    };
    const sensors = { value, readAtMs: nowMs - 3000, ageMs: 3000, intervalMs: 10_000 };
    const bmc = { value: [], readAtMs: nowMs - 600_000, ageMs: 600_000, intervalMs: 60_000 };
    const failed = { kind: "failed", reason: "the BMC does not answer" } as const;
    const stale = fixedReadings({ sensors, bmc });
    const never = fixedReadings({ sensors });
    const last: typeof never.last = (name) => (name === "bmc" ? failed : never.last(name));
    const of = async (readings: typeof never) => {
      const exposed = await text(exposition({ readings }), { collect: ["host_sensors", "host_bmc"] });
      assert.ok(Object.keys(samples(exposed, "socle_host_temperature_celsius")).length > 0);
      const shown = ["success", "last_success_timestamp_seconds"].map((name) =>
        ["host_sensors", "host_bmc"].map(
          (collector) =>
            samples(exposed, `socle_collector_${name}`)[`socle_collector_${name}{collector="${collector}"}`],
        ),
      );
      return shown.flat();
    };
    const beforeSeconds = (nowMs - 600_000) / 1000;
    assert.deepEqual(await of(stale), [0, 0, beforeSeconds, beforeSeconds]);
    assert.deepEqual(await of({ ...never, last }), [0, 0, undefined, undefined]);
    assert.deepEqual(await of(never), [1, 1, sensors.readAtMs / 1000, nowMs / 1000]);
  });

  test("an old reading of the machine is not shown as new", async () => {
    const memory = fixedValues.memory && { ...fixedValues.memory, ageMs: 30_001 };
    const exposed = await text(
      exposition({ readings: fixedReadings({ ...fixedValues, ...(memory && { memory }) }) }),
    );
    assert.deepEqual(samples(exposed, "socle_host_memory_bytes"), {});
    assert.equal(
      samples(exposed, "socle_collector_success")['socle_collector_success{collector="host_memory"}'],
      0,
    );
  });
});
