import assert from "node:assert/strict";
import test from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { readTimeSync } from "../../../../agent/hardware/system/time-sync.ts";

const never = new AbortController().signal;

/**
 * Programs that print the given text for the first words of their command line, and are missing otherwise.
 */
const programs =
  (answers: Readonly<Record<string, string>>) =>
  (argv: readonly string[]): Promise<{ stdout: string; stderr: string }> => {
    const command = argv.join(" ");
    const found = Object.entries(answers).find(([words]) => command.startsWith(words));
    if (found === undefined)
      return Promise.reject(
        new SocleError("unavailable", "CHILD_NOT_STARTED", `${argv[0] ?? ""}: not there`),
      );
    return Promise.resolve({ stdout: found[1], stderr: "" });
  };

const kernelSays = (synced: string) => ({ "timedatectl show --property": `NTPSynchronized=${synced}\n` });
const status = (offset: string) => ({
  "timedatectl timesync-status": `       Server: 192.0.2.1 (ntp.example)\nPoll interval: 34min 8s (min: 32s; max 34min 8s)\n      Stratum: 2\n       Offset: ${offset}\n        Delay: 48.943ms\n`,
});

/** chronyc's output for a server with this last reply and polling interval. */
const tracking = (silentSeconds: number, betweenSeconds = 64.2): string => {
  const heardAt = (Date.now() / 1000 - silentSeconds).toFixed(9);
  return `C0000201,192.0.2.1,3,${heardAt},0.000412000,-0.000011,0.000020,-3.2,0.0,0.1,0.002,0.001,${betweenSeconds},Normal\n`;
};

test("chrony's state overrides all others", async () => {
  const chronyc = tracking(60);
  const reading = await readTimeSync(never, programs({ chronyc, ...kernelSays("no"), ...status("+1s") }));
  assert.deepEqual(reading, {
    kind: "read",
    value: { source: "chrony", synced: true, offsetSeconds: 0.000412 },
  });
});

test("chrony without a server does not synchronize the clock", async () => {
  const chronyc = "00000000,,0,0.000000000,0.000000000,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised\n";
  const reading = await readTimeSync(never, programs({ chronyc }));
  assert.deepEqual(reading, { kind: "read", value: { source: "chrony", synced: false } });
});

test("chrony without a reply from its servers for hours does not synchronize, whatever its state", async () => {
  const synced = async (chronyc: string) => {
    const reading = await readTimeSync(never, programs({ chronyc }));
    return reading.kind === "read" ? reading.value : reading;
  };
  assert.deepEqual(await synced(tracking(2 * 86_400)), { source: "chrony", synced: false });
  const kept = { source: "chrony", synced: true, offsetSeconds: 0.000412 };
  assert.deepEqual(await synced(tracking(2 * 3600)), kept);
  // From servers that it polls every four and a half hours.
  assert.deepEqual(await synced(tracking(86_400, 16_384)), kept);
});

test("timesyncd's offset is read in systemd's units, with the kernel's synchronized flag", async () => {
  for (const [offset, offsetSeconds] of [
    ["-15.315ms", -0.015_315],
    ["+123us", 0.000_123],
    ["+1min 2.5s", 62.5],
  ] as const) {
    const reading = await readTimeSync(never, programs({ ...status(offset), ...kernelSays("yes") }));
    assert.ok(reading.kind === "read", JSON.stringify(reading));
    assert.equal(reading.value.source, "timesyncd");
    assert.ok(Math.abs((reading.value.offsetSeconds ?? NaN) - offsetSeconds) < 1e-12, offset);
  }
});

test("another daemon under systemd gives the synchronized flag, and no offset", async () => {
  const packets = { "timedatectl timesync-status": "       Server: n/a\n Packet count: 0\n" };
  const reading = await readTimeSync(never, programs({ ...packets, ...kernelSays("yes") }));
  assert.deepEqual(reading, { kind: "read", value: { source: "kernel", synced: true } });
});

test("the kernel's offset is read in micro- and nanoseconds; an unsynchronized clock has none", async () => {
  const readFrom = async (perl: string) => readTimeSync(never, programs({ perl }));
  const value = { source: "kernel", synced: true, offsetSeconds: 0.002 };
  assert.deepEqual(await readFrom("0 2000 1\n"), { kind: "read", value });
  assert.deepEqual(await readFrom("0 2000000 8193\n"), { kind: "read", value });
  assert.deepEqual(await readFrom("5 0 64\n"), { kind: "read", value: { source: "kernel", synced: false } });
});

test("a source that cannot be parsed or does not answer is a failure with its cause", async () => {
  const nonsense = await readTimeSync(never, programs({ chronyc: "nonsense" }));
  assert.ok(nonsense.kind === "failed");
  assert.match(
    nonsense.reason,
    /unexpected output of chronyc: "nonsense"; timedatectl: not there; perl: not there/,
  );
  const late = (argv: readonly string[]) =>
    Promise.reject(new SocleError("timeout", "CHILD_TIMEOUT", `${argv[0] ?? ""} did not end`));
  assert.equal((await readTimeSync(never, late)).kind, "failed");
});

test("only without any source is the clock not watched at all", async () => {
  assert.equal((await readTimeSync(never, programs({}))).kind, "unsupported");
});

test("this machine's own clock is read", async () => {
  const reading = await readTimeSync(never);
  assert.ok(reading.kind === "read", JSON.stringify(reading));
  assert.equal(typeof reading.value.synced, "boolean");
});
