import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { describe } from "node:test";
import { createLog, silentLog } from "../../../agent/kernel/log.ts";
import { systemClock, type Clock } from "../../../agent/kernel/clock.ts";
import { allCollectors } from "../../../agent/metrics/collectors/index.ts";
import { collector, type Collector } from "../../../agent/metrics/collector.ts";
import { gauge, type Format } from "../../../agent/metrics/family.ts";
import { Exposition, type Selection } from "../../../agent/metrics/render.ts";
import type { Sources } from "../../../agent/metrics/sources.ts";
import { FakeClock } from "../host/fake-clock.ts";
import { unlisted } from "../host/unlisted.ts";
import {
  fixedReadings,
  fixedSources,
  fixedValues,
  hostSnapshot,
  nowMs,
  stats,
  vm,
  vmView,
} from "./fixed-sources.ts";

const everything: Selection = { collect: [], exclude: [] };
/** Stands still, so that durations are the same each time. */
const stillClock: Clock = { ...systemClock, now: () => nowMs, monotonicMs: () => 0 };

function exposition(
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

async function text(
  from: Exposition,
  selection: Partial<Selection> = {},
  format: Format = "text",
): Promise<string> {
  return Buffer.concat(await from.render(format, { ...everything, ...selection }, 10_000)).toString();
}

/** The value of each series whose line begins with `start`. */
function samples(exposed: string, start: string): Record<string, number> {
  return Object.fromEntries(
    exposed
      .split("\n")
      .filter((line) => line.startsWith(start))
      .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );
}

const id = "00000000-0000-4000-8000-000000000001";

describe("a whole scrape", () => {
  for (const format of ["text", "openmetrics"] as const) {
    test(`from fixed inputs is the golden one, in ${format}`, async () => {
      const golden = join(import.meta.dirname, "..", "..", "fixtures", "metrics", `scrape.${format}.txt`);
      const scraped = (
        await text(exposition({ readings: fixedReadings(fixedValues) }), { exclude: ["process"] }, format)
      ).replace(/node="[^"]+"/, 'node="VERSION"');
      if (process.env.UPDATE_GOLDEN === "1") await writeFile(golden, scraped);
      assert.equal(scraped, await readFile(golden, "utf8"));
    });
  }

  test("shows the agent's own process under the names that everybody knows", async () => {
    const scraped = await text(exposition());
    assert.match(scraped, /^process_resident_memory_bytes \d+/m);
    assert.match(scraped, /^nodejs_heap_size_used_bytes \d+/m);
  });

  test("has no counter that an OpenMetrics rendering renamed", async () => {
    const from = exposition();
    const before = await text(from, { collect: ["process"] });
    await text(from, { collect: ["process"] }, "openmetrics");
    const names = (exposed: string): string[] => [...exposed.matchAll(/^# TYPE .*$/gm)].map(([line]) => line);
    assert.deepEqual(names(await text(from, { collect: ["process"] })), names(before));
    assert.match(before, /^process_cpu_seconds_total /m);
  });
});

describe("what cannot be known", () => {
  test("is left out, never zero", async () => {
    const { rssBytes: _, ...unknownRss } = stats(1);
    const exposed = await text(exposition({ vms: vmView([vm(1, { stats: unknownRss })]) }));
    assert.deepEqual(samples(exposed, "socle_vm_memory_rss_bytes"), {});
    assert.deepEqual(samples(exposed, "socle_vm_vcpu_delay_seconds_total"), {
      [`socle_vm_vcpu_delay_seconds_total{vm="${id}",vcpu="0"}`]: 0.25,
    });
    assert.deepEqual(samples(exposed, "socle_host_memory_bytes"), {});
  });

  test("is left out when it is older than three intervals, and its age is told", async () => {
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

  test("is what a guest said long ago: what libvirt itself knows of it is shown all the same", async () => {
    const paused = stats(1, { guestSaidAtMs: nowMs - 30_001 });
    const { guestSaidAtMs: _, ...mute } = stats(2);
    const exposed = await text(
      exposition({ vms: vmView([vm(1, { stats: paused }), vm(2, { stats: mute })]) }),
    );
    assert.deepEqual(samples(exposed, "socle_vm_guest"), {});
    assert.equal(Object.keys(samples(exposed, "socle_vm_memory_rss_bytes")).length, 2);
  });

  test("takes the state of a VM that libvirt was not asked about to unknown", async () => {
    const exposed = await text(exposition({ vms: vmView([vm(1, { presence: "unknown" })]) }));
    const states = samples(exposed, "socle_vm_state{");
    assert.equal(states[`socle_vm_state{vm="${id}",state="unknown"}`], 1);
    assert.equal(states[`socle_vm_state{vm="${id}",state="running"}`], 0);
  });

  test("a step of the wall clock makes nothing old", async () => {
    const stepped = { nowMs: () => nowMs + 86_400_000 };
    const exposed = await text(exposition({ vms: vmView([vm(1)]), ...stepped }));
    assert.equal(
      samples(exposed, "socle_vm_cpu_seconds_total")[`socle_vm_cpu_seconds_total{vm="${id}"}`],
      13.5,
    );
    assert.equal(samples(exposed, "socle_vm_stats_age")[`socle_vm_stats_age_seconds{vm="${id}"}`], 2);
  });

  test("what is known of the host from its last look is as old as that", async () => {
    const exposed = await text(exposition());
    const told = samples(exposed, "socle_collector_last_success");
    const agesMs = ["host_info", "host_capacity", "host_storage"].map(
      (name) =>
        nowMs - 1000 * (told[`socle_collector_last_success_timestamp_seconds{collector="${name}"}`] ?? 0),
    );
    assert.deepEqual(agesMs, [20_000, 20_000, 19_000]);
  });

  test("devices for VMs are counted by kind and name, in every state they may be in", async () => {
    const devices = samples(await text(exposition()), "socle_host_capacity_devices");
    const gpus = Object.entries(devices).filter(([series]) => series.includes('alias="a100"'));
    assert.deepEqual(
      gpus.map(([series, count]) => [/state="(\w+)"/.exec(series)?.[1], count]),
      [
        ["free", 0],
        ["allocated", 1],
        ["claimed", 0],
        ["unhealthy", 1],
        ["unknown", 0],
      ],
    );
  });

  test("before the VMs were listed, what they take of the host is left out, not zero", async () => {
    const host = { ...fixedSources().host, snapshot: () => unlisted(hostSnapshot) };
    const exposed = await text(exposition({ host }));
    assert.deepEqual(samples(exposed, "socle_host_capacity_allocated"), {});
    assert.deepEqual(samples(exposed, "socle_host_capacity_available"), {});
    assert.notDeepEqual(samples(exposed, "socle_host_capacity_reserved"), {});
  });

  test("marks the statistics' collectors as failed when no sampling was recent", async () => {
    const lastReadings = { atMs: nowMs - 60_000, atMonotonicMs: nowMs - 60_000, durationMs: 1, ok: true };
    const lastSample = { atMs: nowMs, atMonotonicMs: nowMs, durationMs: 1, ok: false };
    const exposed = await text(exposition({ vms: vmView([vm(1)], { lastSample, lastReadings }) }));
    const success = samples(exposed, "socle_collector_success");
    assert.equal(success['socle_collector_success{collector="vm_cpu"}'], 0);
    assert.equal(success['socle_collector_success{collector="vm_info"}'], 1);
    assert.deepEqual(samples(exposed, "socle_vm_cpu"), {});
  });

  test("shows what one reader has while another failed or is stale, and counts as failed since it did", async () => {
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
      const told = ["success", "last_success_timestamp_seconds"].map((name) =>
        ["host_sensors", "host_bmc"].map(
          (collector) =>
            samples(exposed, `socle_collector_${name}`)[`socle_collector_${name}{collector="${collector}"}`],
        ),
      );
      return told.flat();
    };
    const beforeSeconds = (nowMs - 600_000) / 1000;
    assert.deepEqual(await of(stale), [0, 0, beforeSeconds, beforeSeconds]);
    assert.deepEqual(await of({ ...never, last }), [0, 0, undefined, undefined]);
    assert.deepEqual(await of(never), [1, 1, sensors.readAtMs / 1000, nowMs / 1000]);
  });

  test("keeps an old reading of the machine from being shown as new", async () => {
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

describe("collectors", () => {
  const answer = collector("answer", { value: gauge("answer", "The answer.") }, (_, emit) => {
    emit.value(42);
    return nowMs - 5000;
  });
  const broken = collector("broken", { value: gauge("broken", "Half of it.") }, (_, emit) => {
    emit.value(1);
    throw new Error("no such luck");
  });

  test("that throw cost only themselves", async () => {
    const exposed = await text(exposition({}, [broken(), answer()]));
    assert.match(exposed, /^answer 42$/m);
    assert.doesNotMatch(exposed, /^broken/m);
    assert.deepEqual(samples(exposed, "socle_collector_success"), {
      'socle_collector_success{collector="broken"}': 0,
      'socle_collector_success{collector="answer"}': 1,
    });
    assert.deepEqual(samples(exposed, "socle_collector_last_success"), {
      'socle_collector_last_success_timestamp_seconds{collector="answer"}': (nowMs - 5000) / 1000,
    });
  });

  test("that throw are logged once until they work again", async () => {
    const lines: string[] = [];
    const log = createLog({ level: "info", destination: { write: (line) => void lines.push(line) } });
    let works = false;
    const moody = collector("moody", { value: gauge("moody", "Now and then.") }, (_, emit) => {
      if (!works) throw new Error("not today");
      emit.value(1);
    });
    const sources = fixedSources();
    const from = new Exposition({ collectors: [moody()], disabled: [], sources, clock: stillClock, log });
    for (works of [false, false, true, false]) await text(from);
    assert.equal(lines.filter((line) => line.includes("not today")).length, 2);
  });

  test("can be asked for, left out, and switched off", async () => {
    const from = exposition({}, [answer(), broken()], { disabled: ["broken"] });
    assert.doesNotMatch(await text(from), /broken/);
    assert.doesNotMatch(await text(from, { collect: ["broken"] }), /broken/);
    assert.doesNotMatch(await text(from, { exclude: ["answer"] }), /answer/);
    await assert.rejects(text(from, { collect: ["nonesuch"] }), { reason: "UNKNOWN_COLLECTOR" });
    assert.throws(() => exposition({}, [answer()], { disabled: ["nonesuch"] }), /no collector is named/);
  });

  test("run once for scrapes that overlap", async () => {
    let runs = 0;
    const counting = collector("counting", { value: gauge("runs", "Runs.") }, (_, emit) => {
      emit.value(++runs);
    });
    const from = exposition({}, [counting()]);
    const [first, second] = await Promise.all([text(from), text(from, {}, "openmetrics")]);
    assert.match(first, /^runs 1$/m);
    assert.match(second, /^runs 1$/m);
    assert.match(await text(from), /^runs 2$/m);
  });

  test("that are not done in time are left out, the others are shown", async () => {
    let elapsedMs = 0;
    const clock: Clock = { ...stillClock, monotonicMs: () => elapsedMs };
    const slow = collector("slow", { value: gauge("slow", "Slow.") }, function* (_, emit) {
      emit.value(1);
      elapsedMs = 501;
      yield;
      return undefined;
    });
    const from = exposition({}, [answer(), slow(), answer()], { clock });
    const exposed = Buffer.concat(await from.render("text", everything, 500)).toString();
    assert.match(exposed, /^answer 42$/m);
    assert.doesNotMatch(exposed, /^slow/m);
    assert.equal(samples(exposed, "socle_collector_success")['socle_collector_success{collector="slow"}'], 0);
  });

  test("are not cut short for one scrape by the shorter time of another", async () => {
    const successOf = async (scrape: Promise<readonly Buffer[]>): Promise<Record<string, number>> =>
      samples(Buffer.concat(await scrape).toString(), "socle_collector_success");
    const [first, last] = ["first", "waiting"].map((name) => `socle_collector_success{collector="${name}"}`);
    for (const order of [[1, 10_000] as const, [10_000, 1] as const]) {
      const clock = new FakeClock();
      let answerNow: () => void = () => undefined;
      const answered = new Promise<void>((resolve) => (answerNow = resolve));
      let isAsked: () => void = () => undefined;
      const asked = new Promise<void>((resolve) => (isAsked = resolve));
      const waiting: Collector = {
        ...answer(),
        name: "waiting",
        *collect(sources) {
          isAsked();
          yield answered;
          return yield* answer().collect(sources);
        },
      };
      const from = exposition({}, [{ ...answer(), name: "first" }, waiting], { clock });
      const scrapes = order.map((timeoutMs) => successOf(from.render("text", everything, timeoutMs)));
      const [hasty, patient] = order[0] === 1 ? scrapes : [scrapes[1], scrapes[0]];
      await asked;
      clock.advance(1);
      assert.deepEqual(await hasty, { [first ?? ""]: 1, [last ?? ""]: 0 });
      answerNow();
      assert.deepEqual(await patient, { [first ?? ""]: 1, [last ?? ""]: 1 });
    }
  });

  test("that were cut are collected anew for whoever comes then", async () => {
    let elapsedMs = 0;
    let late: Promise<readonly Buffer[]> | undefined;
    const clock: Clock = { ...stillClock, monotonicMs: () => elapsedMs };
    const slow = collector("slow", { value: gauge("slow", "Slow.") }, function* (_, emit) {
      emit.value(1);
      if (late === undefined) elapsedMs = 501;
      yield;
      return undefined;
    });
    const last = collector("last", {}, () => {
      assert.ok(late !== undefined, "it was run although the time was over");
      return undefined;
    });
    const log = createLog({
      level: "info",
      // It is told of what is cut as soon as it is.
      destination: { write: () => void (late ??= from.render("text", everything, 500)) },
    });
    const collectors = [slow(), last()];
    const from = new Exposition({ collectors, disabled: [], sources: fixedSources(), clock, log });
    await from.render("text", everything, 500);
    assert.ok(late !== undefined);
    assert.match(Buffer.concat(await late).toString(), /^slow 1$/m);
  });

  test("that never answer end with the scrape's time", async () => {
    const stuck: Collector = {
      name: "stuck",
      families: [],
      *collect() {
        yield new Promise(() => undefined);
        return { texts: [], readAtMs: undefined };
      },
    };
    const from = exposition({}, [stuck, answer()], { clock: systemClock });
    const exposed = Buffer.concat(await from.render("text", everything, 50)).toString();
    assert.equal(
      samples(exposed, "socle_collector_success")['socle_collector_success{collector="stuck"}'],
      0,
    );
  });

  test("that say the same series twice say it once", async () => {
    const twice = collector("twice", { value: gauge("twice", "Twice.", ["of"]) }, (_, emit) => {
      emit.value(1, "a");
      emit.value(2, "a");
    });
    assert.deepEqual(samples(await text(exposition({}, [twice()])), "twice"), { 'twice{of="a"}': 1 });
  });

  test("have their label values escaped, and infinities written as Prometheus reads them", async () => {
    const odd = collector(
      "odd",
      { value: gauge("odd", 'A "word" and \\ and\na line.', ["of"]) },
      (_, emit) => {
        emit.value(Infinity, 'a"b\\c\nd');
        emit.value(-Infinity, "minus");
        emit.value(NaN, "nan");
      },
    );
    const from = exposition({}, [odd()]);
    const exposed = await text(from, { collect: ["odd"] });
    assert.ok(exposed.startsWith('# HELP odd A "word" and \\\\ and\\na line.\n# TYPE odd gauge\n'), exposed);
    assert.ok(exposed.includes('odd{of="a\\"b\\\\c\\nd"} +Inf\nodd{of="minus"} -Inf\nodd{of="nan"} NaN\n'));
    assert.ok(
      (await text(from, {}, "openmetrics")).includes('# HELP odd A \\"word\\" and \\\\ and\\na line.'),
    );
  });
});

test("a VM that is gone is gone from the next scrape, and its text is forgotten", async () => {
  let vms = Array.from({ length: 600 }, (_, index) => vm(index));
  const view = vmView([]);
  const from = exposition({ vms: { ...view, all: () => vms } });
  assert.equal(Object.keys(samples(await text(from), "socle_vm_info")).length, 600);
  vms = [vm(1)];
  assert.deepEqual(Object.keys(samples(await text(from), "socle_vm_cpu_seconds_total")), [
    `socle_vm_cpu_seconds_total{vm="${id}"}`,
  ]);
  assert.deepEqual(Object.keys(samples(await text(from), "socle_vm_cpu_seconds_total")), [
    `socle_vm_cpu_seconds_total{vm="${id}"}`,
  ]);
});

test("five thousand VMs are rendered in many slices, between which others have their turn", async () => {
  const from = exposition({ vms: vmView(Array.from({ length: 5000 }, (_, index) => vm(index))) }, undefined, {
    clock: systemClock,
  });
  await from.render("text", everything, 10_000);
  let turns = 0;
  let turning = true;
  const turn = (): void => {
    turns += 1;
    if (turning) setImmediate(turn);
  };
  setImmediate(turn);
  await from.render("text", everything, 10_000);
  turning = false;
  assert.ok(turns >= 10, `others had ${turns} turns`);
});
