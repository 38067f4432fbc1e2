import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import test, { describe } from "node:test";
import {
  formatAge,
  formatBytes,
  formatDuration,
  parseBytes,
  parseDuration,
  printable,
  printableJson,
} from "../../../agent/cli/format.ts";
import { painter } from "../../../agent/cli/io.ts";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { allCollectors } from "../../../agent/metrics/collectors/index.ts";
import { Exposition } from "../../../agent/metrics/render.ts";
import { metricsServer } from "../../../agent/metrics/server.ts";
import { fixedReadings, fixedSources } from "../../support/metrics/fixed-sources.ts";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { host } from "../../support/cli/samples.ts";

describe("quantities", () => {
  test("sizes are printed and parsed", () => {
    const written = [0, 1023, 1024, 1536 * 2 ** 20, 100.4 * 2 ** 30, -(2 ** 30), 3 * 2 ** 50].map(
      formatBytes,
    );
    assert.deepEqual(written, ["0 B", "1023 B", "1 KiB", "1.5 GiB", "100 GiB", "-1 GiB", "3 PiB"]);
    const read = ["2GiB", "512M", "1.5g", "1GB", "42", " 1 KiB "].map(parseBytes);
    assert.deepEqual(read, [2 ** 31, 512 * 2 ** 20, 1.5 * 2 ** 30, 1e9, 42, 1024]);
    for (const text of ["", "GiB", "-1GiB", "1XB", "1e3", "0x10", "99999999TiB"]) {
      assert.equal(parseBytes(text), undefined, text);
    }
  });

  test("durations are printed and parsed", () => {
    const written = [0, 1234, 59_900, 60_000, 3_725_000, 90_000_000].map(formatDuration);
    assert.deepEqual(written, ["0.0s", "1.2s", "59s", "1m", "1h2m", "1d1h"]);
    assert.deepEqual(
      ["90s", "1500ms", "5m", "1h", "30"].map(parseDuration),
      [90_000, 1500, 300_000, 3_600_000, 30_000],
    );
    for (const text of ["", "s", "-1s", "1d", "soon"]) assert.equal(parseDuration(text), undefined, text);
    assert.equal(formatAge(null, 0), "-");
    assert.equal(formatAge({ seconds: 100, nanos: 0 }, 103_000), "3s");
  });

  test("foreign text cannot steer a terminal", () => {
    assert.equal(printable("a\u001b]0;x\u0007\nb\u202ec\u009b"), "a\ufffd]0;x\ufffd\ufffdb\ufffdc\ufffd");
    assert.equal(printable("a\u200fb\u061c"), "a\ufffdb\ufffd");
    assert.equal(
      printable("a\u2028b\u2029c\u200bd\ufeffe\u2060f\u3164"),
      "a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf\ufffd",
    );
    assert.equal(printable("Gäste 日本"), "Gäste 日本");
    const hostile = { name: "a\u2028\u200b\u009b\u202e\u{e0041}\n", also: ["日本"] };
    const json = printableJson(hostile, 2);
    assert.match(json, /"a\\u2028\\u200b\\u009b\\u202e\\udb40\\udc41\\n"/);
    assert.match(json, /日本/);
    assert.deepEqual(JSON.parse(json), hostile);
  });
});

test("output to a file has no colours, even if the other stream is a terminal", async (context) => {
  const missing = { socket: "/nonexistent/agent.sock", isTTY: true };
  assert.ok((await socle(["status"], { ...missing, isErrTTY: true })).stderr.startsWith("\u001b[31msocle:"));
  assert.match((await socle(["status"], { ...missing, isErrTTY: false })).stderr, /^socle: /);
  const socket = await fakeAgent(context, { host: { GetHost: (_call, done) => done(null, host()) } });
  assert.ok(!(await socle(["health"], { socket, isErrTTY: true })).stdout.includes("\u001b"));
});

test("colours are used only on a terminal, and not where they are disabled", () => {
  const coloured = (isTTY: boolean, env: Record<string, string>): boolean =>
    painter({ isTTY, env })("red", "x") !== "x";
  assert.ok(coloured(true, {}));
  assert.ok(coloured(true, { NO_COLOR: "" }));
  assert.ok(!coloured(true, { NO_COLOR: "1" }));
  assert.ok(!coloured(true, { TERM: "dumb" }));
  assert.ok(!coloured(false, {}));
});

describe("an agent that cannot be reached", () => {
  test("is diagnosed: not running, no permission, no listener, no reply", async (context) => {
    const directory = await mkdtemp(join(tmpdir(), "socle-cli-"));
    context.after(() => rm(directory, { recursive: true }));
    const missing = await socle(["status"], { socket: join(directory, "none.sock") });
    assert.equal(missing.exitCode, 4);
    assert.match(
      missing.stderr,
      /the agent is not running: there is no .*none\.sock\n {2}Start it \(systemctl start/,
    );

    const stale = join(directory, "stale.sock");
    await writeFile(stale, "");
    const refused = await socle(["status"], { socket: stale });
    assert.equal(refused.exitCode, 4);
    assert.match(refused.stderr, /no agent answers at .*stale\.sock/);
    if (process.getuid?.() !== 0) {
      await chmod(stale, 0);
      assert.equal((await socle(["status"], { socket: stale })).exitCode, 5);
    }

    const silent = createServer((socket) => {
      context.after(() => socket.destroy());
      socket.resume();
    }).listen(0, "127.0.0.1");
    context.after(() => silent.close());
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    const hung = await socle(["status", "--address", `127.0.0.1:${port}`]);
    assert.equal(hung.exitCode, 4);
    assert.match(hung.stderr, /did not respond within 3 s/);
  });

  test("is found by --socket before SOCLE_SOCKET, and over TCP", async (context) => {
    const socket = await fakeAgent(context, { host: { GetHost: (_call, done) => done(null, host()) } });
    const { stdout } = await socle(["--socket", socket, "version", "--json"], {
      socket: "/nonexistent.sock",
    });
    assert.equal((JSON.parse(stdout) as { agent: string }).agent, "1.2.3");
  });
});

test("usage: help goes to stdout and exits 0, a mistake to stderr and exits 2", async () => {
  const help = await socle(["vm", "create", "--help"]);
  assert.equal(help.exitCode, 0);
  assert.match(help.stdout, /new:POOL:SIZE/);
  assert.equal(help.stderr, "");
  for (const line of [[], ["vm"], ["vm", "lss"], ["vm", "show"], ["statsu"], ["completion", "fish"]]) {
    const { exitCode, stdout, stderr } = await socle(line);
    assert.equal(exitCode, 2, line.join(" "));
    assert.equal(stdout, "");
    assert.notEqual(stderr, "");
  }
  assert.match((await socle(["statsu"])).stderr, /Did you mean status\?/);
  assert.deepEqual(await socle(["--version"]), { exitCode: 0, stdout: "1.2.3\n", stderr: "" });
});

test("bash completes a partly typed command", async (context) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-cli-"));
  context.after(() => rm(directory, { recursive: true }));
  await mkdir(join(directory, "etc"));
  await writeFile(join(directory, "etc", "my agent.yaml"), "");
  const agent = String.raw`socle() { case "$*" in
    "vm ls --quiet") printf '%s\n' web-1 'db 2' 'x$(touch ran)' ;;
    health) printf '%s\n' 'MemoryUncorrected  true (held until ack)' 'Thermal  false' \
      'KvmUnavailable  true  it ends with socle health ack KvmUnavailable' ;;
    *) printf '<%s>' "$@"; echo ;;
  esac; }`;
  const { stdout: script } = await socle(["completion", "bash"]);
  await writeFile(join(directory, "completion"), script);
  const typed = {
    "op\tsh\t": "<operations><show>",
    "ops sh\t": "<ops><show>",
    "--json vm stop we\t": "<--json><vm><stop><web-1>",
    "vm delete db\t": "<vm><delete><db 2>",
    "vm stop x\t": "<vm><stop><x$(touch ran)>",
    "vm stop web-1 --gr\t": "<vm><stop><web-1><--grace>",
    "vm stop --grace w\t": "<vm><stop><--grace><w>",
    "vm stop web-1 --so\t": "<vm><stop><web-1><--socket>",
    "events --vm w\t": "<events><--vm><web-1>",
    "completion b\t": "<completion><bash>",
    "vm create --accelerator k\t": "<vm><create><--accelerator><kvm>",
    "--socket e\tm\t": "<--socket><etc/my agent.yaml>",
    "config check e\tm\t": "<config><check><etc/my agent.yaml>",
    "config check --config e\tm\t": "<config><check><--config><etc/my agent.yaml>",
    "vm ls e\t": "<vm><ls><e>",
    "health ack Mem\t": "<health><ack><MemoryUncorrected>",
    "health ack K\t": "<health><ack><KvmUnavailable>",
    "health ack T\t": "<health><ack><T>",
  };
  const lines = Object.keys(typed).map((line) => `socle ${line}\n`);
  const bash = spawn("bash", ["--norc", "--noprofile", "-i"], {
    cwd: directory,
    env: { PATH: process.env["PATH"], HOME: directory, INPUTRC: "/dev/null", TERM: "dumb" },
    stdio: ["pipe", "pipe", "ignore"],
  });
  bash.stdin.end(`source ./completion\n${agent}\n${lines.join("")}`);
  assert.deepEqual((await text(bash.stdout)).trim().split("\n"), Object.values(typed));
  assert.ok(!(await readdir(directory)).includes("ran"), "VM names are not executed");
});

test("config check and show accept the file like other commands", async (context) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-cli-"));
  context.after(() => rm(directory, { recursive: true }));
  const file = join(directory, "agent.yaml");
  await writeFile(file, "metrics: { listen: 127.0.0.1:9999 }\n");
  const checked = await socle(["config", "check", "--config", file]);
  assert.deepEqual([checked.exitCode, checked.stdout], [0, `${file}: valid\n`]);
  assert.match((await socle(["config", "show", "--config", file])).stdout, /127\.0\.0\.1:9999/);
  const twice = await socle(["config", "check", file, "--config", file]);
  assert.equal(twice.exitCode, 2);
  assert.match(twice.stderr, /given twice/);
});

test("config check and show", async (context) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-cli-"));
  context.after(() => rm(directory, { recursive: true }));
  const file = join(directory, "agent.yaml");
  const example = await socle(["config", "show", "--example"]);
  await writeFile(file, example.stdout);
  assert.deepEqual(await socle(["config", "check", file]), {
    exitCode: 0,
    stdout: `${file}: valid\n`,
    stderr: "",
  });
  const shown = await socle(["config", "show", file, "--json"]);
  assert.equal(
    (JSON.parse(shown.stdout) as { metrics: { listen: string } }).metrics.listen,
    "127.0.0.1:9177",
  );
  await writeFile(file, "metrics:\n  lisen: 1\nvm:\n  accelerator: xen\n");
  const bad = await socle(["config", "check", file]);
  assert.equal(bad.exitCode, 2);
  assert.match(bad.stderr, /^socle: .*agent\.yaml has 2 problems:\n.*:2:.*did you mean listen\?\n.*:4:/);
  assert.equal(bad.stderr.trim().split("\n").length, 3);
});

test("doctor works while the agent is down, and exits 1 because of it", async (context) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-cli-"));
  context.after(() => rm(directory, { recursive: true }));
  const config = join(directory, "agent.yaml");
  await writeFile(
    config,
    `state: { directory: ${directory} }\nlibvirt: { uri: "qemu:///system?socket=${directory}/no" }\n`,
  );
  const { exitCode, stdout } = await socle(["doctor", "--config", config], {
    socket: join(directory, "none.sock"),
  });
  assert.equal(exitCode, 1);
  assert.match(stdout, /^ok {4}node /m);
  assert.match(stdout, /^ok {4}config {6}.* is valid$/m);
  assert.match(stdout, /^ok {4}state {7}/m);
  assert.match(stdout, /^fail {2}libvirt {5}.*there is no .*\/no\n {18}Start it: systemctl start libvirtd/m);
  assert.match(stdout, /^fail {2}agent {7}the agent is not running/m);
  const json = await socle(["doctor", "--config", config, "--json"], {
    socket: join(directory, "none.sock"),
  });
  const { findings, failed } = JSON.parse(json.stdout) as { findings: { verdict: string }[]; failed: number };
  assert.equal(findings.filter(({ verdict }) => verdict === "fail").length, failed);
});

test("doctor repeats the agent's own problems", async (context) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-cli-"));
  context.after(() => rm(directory, { recursive: true }));
  const config = join(directory, "agent.yaml");
  await writeFile(config, "metrics: { listen: null }\n");
  const inventory = { complete: false, incompleteReasons: ["pool gone: timed out"] };
  const socket = await fakeAgent(context, {
    host: { GetHost: (_call, done) => done(null, host({ inventory })) },
  });
  const { exitCode, stdout } = await socle(["doctor", "--config", config], { socket });
  assert.equal(exitCode, 1);
  assert.match(stdout, /^ok {4}agent {7}it answers, version 1\.2\.3$/m);
  assert.match(
    stdout,
    /^fail {2}health {6}LibvirtUnresponsive true \(no_schedule\).*\n {18}Look at libvirt/m,
  );
  assert.match(stdout, /^warn {2}inventory {3}.*pool gone: timed out/m);
});

test("doctor lists the hardware that the agent cannot read, and why", async (context) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-cli-"));
  context.after(() => rm(directory, { recursive: true }));
  const states = [
    { name: "sensors", state: "read", reason: "" },
    { name: "bmc", state: "unsupported", reason: "no BMC" },
    { name: "kernelLog", state: "failed", reason: 'EPERM: not permitted, open "/dev/kmsg"' },
  ] as const;
  const readings = { ...fixedReadings({}), states: () => states };
  const stop = new AbortController();
  context.after(() => stop.abort());
  const port = await new Promise<number>((resolve, reject) => {
    const exposition = new Exposition({
      collectors: allCollectors(),
      disabled: [],
      sources: fixedSources({ readings }),
      clock: systemClock,
      log: silentLog,
    });
    const onListening = (address: AddressInfo): void => resolve(address.port);
    const server = { listen: "127.0.0.1:0", exposition, readiness: () => [], log: silentLog, onListening };
    metricsServer(server)
      .run(stop.signal, () => undefined)
      .catch(reject);
  });
  const config = join(directory, "agent.yaml");
  await writeFile(config, `metrics: { listen: "127.0.0.1:${port}" }\n`);
  const seen = host({});
  const [some] = seen.health?.conditions ?? [];
  assert.ok(some !== undefined && seen.health !== null);
  const diskWear = {
    ...some,
    ...({ type: "DiskWear", status: "TRUTH_UNKNOWN", effect: "EFFECT_NONE", reason: "NotWatched" } as const),
    evidence: "not watched: the agent may not query /dev/nvme0; enable socle-hardware.socket to have it read",
  };
  const clock = { ...some, type: "ClockUnsynced", status: "TRUTH_UNKNOWN", reason: "Unknown" } as const;
  const psu = { ...diskWear, type: "Psu", reason: "NotPresent", evidence: "not present: no BMC" } as const;
  const health = {
    ...seen.health,
    schedulable: "TRUTH_UNKNOWN" as const,
    blockingConditions: ["ClockUnsynced"],
    conditions: [diskWear, clock, psu],
  };
  const answer = { ...seen, health };
  const socket = await fakeAgent(context, { host: { GetHost: (_call, done) => done(null, answer) } });
  const { stdout } = await socle(["doctor", "--config", config], { socket });
  assert.match(
    stdout,
    /^warn {2}hardware {4}kernelLog cannot be read: EPERM: not permitted.*kmsg.*\n.*socle-hardware\.socket/m,
  );
  assert.doesNotMatch(stdout, /bmc cannot be read/);
  assert.match(
    stdout,
    /^warn {2}health {6}DiskWear unknown \(none\): NotWatched not watched.*\n.*cannot watch this/m,
  );
  assert.match(stdout, /^warn {2}health {6}schedulable unknown \(by ClockUnsynced\)/m);
  assert.match(stdout, /ClockUnsynced unknown .*\n.*chrony/m);
  assert.doesNotMatch(stdout, /Psu/, "hardware that a machine does not have is no finding");
});
