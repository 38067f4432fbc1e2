import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { createLog } from "../../../agent/kernel/log.ts";
import { systemClock, type Clock } from "../../../agent/kernel/clock.ts";
import { collector, type Collector } from "../../../agent/metrics/collector.ts";
import { gauge } from "../../../agent/metrics/family.ts";
import { Exposition } from "../../../agent/metrics/render.ts";
import { FakeClock } from "../../support/host/fake-clock.ts";
import { fixedSources, nowMs } from "../../support/metrics/fixed-sources.ts";
import { everything, exposition, samples, stillClock, text } from "../../support/metrics/scraping.ts";

describe("collectors", () => {
  const answer = collector("answer", { value: gauge("answer", "The answer.") }, (_, emit) => {
    emit.value(42);
    return nowMs - 5000;
  });
  const broken = collector("broken", { value: gauge("broken", "Half of it.") }, (_, emit) => {
    emit.value(1);
    throw new Error("no such luck");
  });

  test("a collector that throws affects only itself", async () => {
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

  test("a collector that throws is logged once until it works again", async () => {
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

  test("a collector without time is logged once a minute, at any number of scrapes", async () => {
    const lines: string[] = [];
    const log = createLog({ level: "info", destination: { write: (line) => void lines.push(line) } });
    let elapsedMs = 0;
    const clock: Clock = { ...stillClock, monotonicMs: () => (elapsedMs += 0.01) };
    const collectors = Array.from({ length: 20 }, (_, at) => ({ ...answer(), name: `of-${at}` }));
    const from = new Exposition({ collectors, disabled: [], sources: fixedSources(), clock, log });
    const scrapeOften = async (): Promise<void> => {
      for (let round = 0; round < 10; round += 1) {
        await from.render("text", everything, 1e-6);
        await from.render("text", everything, 10_000);
      }
    };
    await scrapeOften();
    assert.equal(lines.length, 1);
    elapsedMs += 60_000;
    await scrapeOften();
    assert.equal(lines.length, 2);
  });

  test("collectors can be selected, left out, and switched off", async () => {
    const from = exposition({}, [answer(), broken()], { disabled: ["broken"] });
    assert.doesNotMatch(await text(from), /broken/);
    assert.doesNotMatch(await text(from, { collect: ["broken"] }), /broken/);
    assert.doesNotMatch(await text(from, { exclude: ["answer"] }), /answer/);
    await assert.rejects(text(from, { collect: ["nonesuch"] }), { reason: "UNKNOWN_COLLECTOR" });
    assert.throws(() => exposition({}, [answer()], { disabled: ["nonesuch"] }), /no collector is named/);
  });

  test("overlapping scrapes share one run of a collector", async () => {
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

  test("a collector that is late is left out, the others are shown", async () => {
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

  test("a collector is not cut short for one scrape by the shorter timeout of another", async () => {
    const successOf = async (scrape: Promise<readonly Buffer[]>): Promise<Record<string, number>> =>
      samples(Buffer.concat(await scrape).toString(), "socle_collector_success");
    const [first, last] = ["first", "waiting"].map((name) => `socle_collector_success{collector="${name}"}`);
    for (const order of [[1, 10_000] as const, [10_000, 1] as const]) {
      const clock = new FakeClock();
      let answerNow: () => void = () => undefined;
      const answered = new Promise<void>((resolve) => (answerNow = resolve));
      let reach: () => void = () => undefined;
      const requested = new Promise<void>((resolve) => (reach = resolve));
      const waiting: Collector = {
        ...answer(),
        name: "waiting",
        *collect(sources) {
          reach();
          yield answered;
          return yield* answer().collect(sources);
        },
      };
      const from = exposition({}, [{ ...answer(), name: "first" }, waiting], { clock });
      const scrapes = order.map((timeoutMs) => successOf(from.render("text", everything, timeoutMs)));
      const [hasty, patient] = order[0] === 1 ? scrapes : [scrapes[1], scrapes[0]];
      await requested;
      clock.advance(1);
      assert.deepEqual(await hasty, { [first ?? ""]: 1, [last ?? ""]: 0 });
      answerNow();
      assert.deepEqual(await patient, { [first ?? ""]: 1, [last ?? ""]: 1 });
    }
  });

  test("a collector that was cut short runs again for the next scrape", async () => {
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
      assert.ok(late !== undefined, "it ran although the time was over");
      return undefined;
    });
    const log = createLog({
      level: "info",
      // The cut is reported as soon as it happens.
      destination: { write: () => void (late ??= from.render("text", everything, 500)) },
    });
    const collectors = [slow(), last()];
    const from = new Exposition({ collectors, disabled: [], sources: fixedSources(), clock, log });
    await from.render("text", everything, 500);
    assert.ok(late !== undefined);
    assert.match(Buffer.concat(await late).toString(), /^slow 1$/m);
  });

  test("a collector that never ends ends with the scrape's time", async () => {
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

  test("a series that occurs twice is shown once", async () => {
    const twice = collector("twice", { value: gauge("twice", "Twice.", ["of"]) }, (_, emit) => {
      emit.value(1, "a");
      emit.value(2, "a");
    });
    assert.deepEqual(samples(await text(exposition({}, [twice()])), "twice"), { 'twice{of="a"}': 1 });
  });

  test("label values are escaped, and infinities have Prometheus' form", async () => {
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
