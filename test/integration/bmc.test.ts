import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import test from "node:test";
import { Bmc } from "../../agent/hardware/bmc/bmc.ts";
import { systemRoots } from "../../agent/hardware/roots.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { allCollectors } from "../../agent/metrics/collectors/index.ts";
import { Exposition } from "../../agent/metrics/render.ts";
import { bmcUnavailable, SimulatedBmc } from "../support/bmc.ts";
import { promtoolComplaints } from "../support/prometheus.ts";
import { unpackHost } from "../support/tree.ts";
import { eventually } from "../support/wait.ts";
import { HostOfTree } from "../support/host/host-of-tree.ts";
import { fixedSources } from "../support/metrics/fixed-sources.ts";

const skip = bmcUnavailable();
const { signal } = new AbortController();

async function simulate(context: test.TestContext): Promise<SimulatedBmc> {
  const bmc = await SimulatedBmc.start();
  context.after(() => bmc.stop());
  return bmc;
}

/** A server with this BMC and all readers. */
async function startHost(context: test.TestContext, { access }: SimulatedBmc, timeoutSeconds = 30) {
  const roots = await unpackHost(context, "sick-server");
  const host = await new HostOfTree(roots, { bmc: { ...access, timeoutSeconds } }).start();
  context.after(() => host.stop());
  const scrape = async (): Promise<string> => {
    const exposition = new Exposition({
      collectors: allCollectors(),
      disabled: [],
      sources: fixedSources({ readings: host.readings }),
      clock: host.clock,
      log: silentLog,
    });
    const collect = ["host_sensors", "host_bmc", "host_firmware"];
    return Buffer.concat(await exposition.render("text", { collect, exclude: [] }, 10_000)).toString();
  };
  const value = async (series: string): Promise<number | undefined> => {
    const line = (await scrape()).split("\n").find((candidate) => candidate.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  };
  return { host, scrape, value };
}

/** The command lines of all processes with this word. */
async function processesWith(word: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry));
  const lines = pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""));
  return (await Promise.all(lines)).filter((line) => line.includes(word));
}

test(
  "a BMC's sensors, power supplies and event log, and a fan and a power supply that fail",
  { skip },
  async (context) => {
    const bmc = await simulate(context);
    const { host, scrape, value } = await startHost(context, bmc);
    assert.equal(await value("socle_host_bmc_up"), 1);
    assert.equal(await value('socle_host_temperature_celsius{chip="bmc",sensor="Inlet Temp"}'), 23);
    assert.equal(await value('socle_host_temperature_critical_celsius{chip="bmc",sensor="Inlet Temp"}'), 47);
    assert.equal(await value('socle_host_fan_speed_rpm{chip="bmc",sensor="Fan1 RPM"}'), 5400);
    assert.equal(await value('socle_host_voltage_volts{chip="bmc",sensor="PSU1 Voltage"}'), 230);
    assert.equal(await value('socle_host_current_amperes{chip="bmc",sensor="PSU1 Current"}'), 2);
    assert.equal(await value('socle_host_power_watts{chip="bmc",sensor="System Power"}'), 220);
    // The simulator's machine is off, and no part has failed.
    assert.equal(await value("socle_host_chassis_powered"), 0);
    assert.equal(await value('socle_host_chassis_fault{fault="drive"}'), 0);
    assert.equal(await value('socle_host_firmware_info{component="bmc",version="9.08"}'), 1);
    assert.equal(await value('socle_host_psu_state{psu="PS2 Status",state="ok"}'), 1);
    assert.equal(await value('socle_host_bmc_sensor_state{sensor="Fan1 RPM",state="ok"}'), 1);
    assert.equal(await promtoolComplaints(await scrape()), "");
    // The simulator has no DCMI, which is no fault of the host.
    assert.equal(host.readings.last("bmcPower").kind, "unsupported");

    // Entries from before the agent's start exist and do not count as new.
    const entriesBefore = (await value("socle_host_bmc_sel_entries")) ?? 0;
    const critical = (): Promise<number | undefined> =>
      value('socle_host_bmc_sel_events_total{severity="critical"}');
    assert.equal(await critical(), 0);
    assert.equal(await value("socle_host_bmc_sel_overflow"), 0);

    await bmc.set("fan1", 5);
    await bmc.set("psu2", 3);
    await eventually(
      async () => {
        await host.readAgain("bmc");
        await host.readAgain("bmcEvents");
        return (
          (await value('socle_host_psu_state{psu="PS2 Status",state="failed"}')) === 1 &&
          (await critical()) === 3
        );
      },
      { what: "the failures to be seen" },
    );
    assert.equal(await value('socle_host_bmc_sensor_state{sensor="Fan1 RPM",state="non_recoverable"}'), 1);
    assert.equal(await value('socle_host_fan_state{chip="bmc",sensor="Fan1 RPM",state="failed"}'), 1);
    assert.equal(await value("socle_host_bmc_sel_entries"), entriesBefore + 4);
    assert.equal(await value('socle_host_bmc_sel_events_total{severity="warning"}'), 1);
    await host.readAgain("bmcEvents");
    assert.equal(await critical(), 3);
    await host.readAgain("bmc", 2);
    assert.match(host.condition("Fan"), /^true no_schedule SeveralFansLost: .*Fan1 RPM/);
    assert.match(host.condition("Psu"), /^true degraded PsuLost: PS2 Status of 2 failed/);
  },
);

test(
  "a cleared event log keeps its count, and its old entries do not count again",
  { skip },
  async (context) => {
    const bmc = await simulate(context);
    const reader = new Bmc(bmc.access, systemRoots);
    const look = async () => {
      const events = await reader.events(signal);
      assert.ok(events.kind === "read", JSON.stringify(events));
      return events.value;
    };
    const critical = async (): Promise<number> => (await look()).counts.get("critical") ?? 0;
    // The log is not empty when the agent starts.
    await bmc.set("psu1", 3);
    await eventually(async () => /Failure detected/.test(await bmc.ipmitool("sel", "elist")), {
      what: "the first failure to be in the log",
    });
    const { entries } = await look();
    assert.ok(entries > 0);
    assert.equal(await critical(), 0);
    await bmc.ipmitool("sel", "clear");
    await eventually(async () => (await look()).entries < entries, { what: "the log to be cleared" });
    const before = await critical();
    await bmc.set("psu2", 3);
    await eventually(async () => (await critical()) === before + 1, {
      what: "the second failure to be counted",
    });
    await bmc.set("psu2", 1);
    await eventually(async () => /Deasserted/.test(await bmc.ipmitool("sel", "elist")), {
      what: "its end to be in the log",
    });
    assert.equal(await critical(), before + 1);
  },
);

test(
  "a BMC that hangs is down at its deadline, leaves no process behind, and delays no other reader",
  { skip },
  async (context) => {
    const bmc = await simulate(context);
    const { host, value } = await startHost(context, bmc, 2);
    bmc.hang();
    const looking = host.readAgain("bmc");
    await host.readAgain("sensors", 6);
    assert.equal(host.readings.newest("sensors")?.ageMs, 0);
    await looking;
    assert.equal(await value("socle_host_bmc_up"), 0);
    const last = host.readings.last("bmc");
    assert.match(last.kind === "failed" ? last.reason : last.kind, /ipmitool did not end within 2000 ms/);
    assert.equal(await value('socle_host_temperature_celsius{chip="coretemp.0",sensor="Package id 0"}'), 96);
    await eventually(async () => (await processesWith(bmc.access.passwordFile ?? "?")).length === 0, {
      what: "ipmitool to end",
    });
  },
);

test("the password is in no command line, and a wrong user is reported", { skip }, async (context) => {
  const bmc = await simulate(context);
  const stranger = await new Bmc({ ...bmc.access, user: "stranger" }, systemRoots).sensors(signal);
  assert.ok(stranger.kind === "failed");
  assert.match(stranger.reason, /ipmitool exited with 1/);
  // A waiting process can be inspected.
  bmc.hang();
  const stop = new AbortController();
  const asking = new Bmc(bmc.access, systemRoots).sensors(stop.signal);
  const lines = await eventually(async () => {
    const found = await processesWith(bmc.access.passwordFile ?? "?");
    return found.length > 0 && found;
  });
  assert.ok(lines.every((line) => !line.includes("sesame")));
  stop.abort();
  assert.equal((await asking).kind, "failed");
});
