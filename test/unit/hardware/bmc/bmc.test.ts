import assert from "node:assert/strict";
import test from "node:test";
import { BmcLog, type BmcLogSeen } from "../../../../agent/hardware/bmc/bmc-log.ts";
import { Bmc } from "../../../../agent/hardware/bmc/bmc.ts";
import type { runChild } from "../../../../agent/hardware/privileged/child.ts";
import { systemRoots } from "../../../../agent/hardware/roots.ts";

/**
 * A BMC's event log as ipmitool prints it: with this many entries at most; the oldest makes room for a new
 * one.
 */
class Log {
  readonly queried: string[] = [];
  printsTimes = true;
  overflows = false;
  readonly #size: number;
  #entries: string[] = [];
  #last = 0;
  #seconds = 0;
  #seen: BmcLogSeen | undefined;
  #reader = this.#start();

  constructor(size: number) {
    this.#size = size;
  }

  add(event: string): void {
    this.#last += 1;
    this.#seconds += 1;
    const id = this.#last.toString(16);
    this.#entries.push(`${id},11/25/2026,${this.#time()},Power Supply PS1,${event},Asserted`);
    this.#entries = this.#entries.slice(-this.#size);
  }

  clear(): void {
    this.#entries = [];
    this.#last = 0;
    this.#seconds += 1;
  }

  /** An operator removes an entry by its position. */
  remove(index: number): void {
    this.#entries.splice(index, 1);
    this.#seconds += 1;
  }

  /** Another agent continues with the record of the previous one. */
  restart(): void {
    this.#reader = this.#start();
  }

  #start(): BmcLog {
    return new BmcLog({ seen: () => this.#seen, keep: (seen) => (this.#seen = seen) });
  }

  /** The critical entries that the agent counts after the next read. */
  async critical(): Promise<number | undefined> {
    this.queried.length = 0;
    return (await this.#reader.look((question) => Promise.resolve(this.#ask(question)))).counts.get(
      "critical",
    );
  }

  async overflowed(): Promise<boolean | undefined> {
    return (await this.#reader.look((question) => Promise.resolve(this.#ask(question)))).overflowed;
  }

  #ask(question: string): string {
    this.queried.push(question);
    if (question === "log-info") {
      const added = this.printsTimes ? `11/25/2026 ${this.#time()}` : "Not Available";
      return `SEL Information\nEntries          : ${this.#entries.length}\nLast Add Time    : ${added}\nLast Del Time    : Not Available\nOverflow         : ${this.overflows}\n`;
    }
    return this.#entries.slice(-Number(question.split(" ")[1])).join("\n");
  }

  #time(): string {
    return new Date(this.#seconds * 1000).toISOString().slice(11, 19);
  }
}

const failure = "Failure detected";

test("entries from before the agent do not count; later ones do, once", async () => {
  const log = new Log(100);
  for (let entry = 0; entry < 30; entry += 1) log.add(failure);
  assert.equal(await log.critical(), 0);
  log.add(failure);
  log.add("Presence detected");
  assert.equal(await log.critical(), 1);
  assert.equal(await log.critical(), 1);
  assert.deepEqual(log.queried, ["log-info"], "an unchanged log is not read");
});

test("a log that lost entries for lack of space is reported until it is cleared", async () => {
  const log = new Log(100);
  assert.equal(await log.overflowed(), false);
  log.overflows = true;
  assert.equal(await log.overflowed(), true);
  log.clear();
  log.overflows = false;
  assert.equal(await log.overflowed(), false);
});

test("in a full log a new entry replaces the oldest one and is counted although the length stays", async () => {
  for (const printsTimes of [true, false]) {
    const log = new Log(50);
    log.printsTimes = printsTimes;
    for (let entry = 0; entry < 60; entry += 1) log.add(failure);
    assert.equal(await log.critical(), 0);
    log.add(failure);
    assert.equal(await log.critical(), 1);
    // More entries than the default read.
    for (let entry = 0; entry < 40; entry += 1) log.add(failure);
    assert.equal(await log.critical(), 41);
    assert.equal(await log.critical(), 41);
    // And more than the log holds: the remaining ones.
    for (let entry = 0; entry < 70; entry += 1) log.add(failure);
    assert.equal(await log.critical(), 91);
  }
});

test("every entry of a cleared log is new, also if the log is longer by the next read", async () => {
  const log = new Log(100);
  for (let entry = 0; entry < 3; entry += 1) log.add(failure);
  assert.equal(await log.critical(), 0);
  log.clear();
  for (let entry = 0; entry < 5; entry += 1) log.add(failure);
  assert.equal(await log.critical(), 5);
  log.clear();
  assert.equal(await log.critical(), 5);
  log.add(failure);
  assert.equal(await log.critical(), 6);
});

test("removed entries make no other entries new", async () => {
  const log = new Log(100);
  for (let entry = 0; entry < 5; entry += 1) log.add(failure);
  assert.equal(await log.critical(), 0);
  log.remove(4);
  log.remove(0);
  assert.equal(await log.critical(), 0);
  log.add(failure);
  assert.equal(await log.critical(), 1);
});

test("entries that arrived without an agent are counted once by the next one, and no others again", async () => {
  for (const before of [0, 30]) {
    const log = new Log(100);
    for (let entry = 0; entry < before; entry += 1) log.add(failure);
    assert.equal(await log.critical(), 0);
    log.add(failure);
    assert.equal(await log.critical(), 1);
    log.restart();
    assert.equal(await log.critical(), 1);
    for (let entry = 0; entry < 20; entry += 1) log.add(failure);
    log.restart();
    assert.equal(await log.critical(), 21);
    log.clear();
    log.add(failure);
    log.restart();
    assert.equal(await log.critical(), 22);
  }
});

/** A BMC whose ipmitool prints this. */
function bmcThatPrints(stdout: string): Bmc {
  const run: typeof runChild = () => ({
    output: Promise.resolve({ stdout, stderr: "" }),
    gone: Promise.resolve(),
  });
  const lan = { interface: "lanplus", address: "127.0.0.1", port: 623 } as const;
  return new Bmc(
    { ...lan, user: "socle", passwordFile: "/nonexistent", cipherSuite: 17, timeoutSeconds: 1 },
    systemRoots,
    undefined,
    run,
  );
}

/** The output of ipmitool 1.8.19. */
const dcmi = (watts: number, state: string): string => `
    Instantaneous power reading:                   ${watts} Watts
    Minimum during sampling period:                 10 Watts
    Maximum during sampling period:                468 Watts
    Average power reading over sample period:      210 Watts
    IPMI timestamp:                           11/25/2026 00:40:00 UTC    Sampling period:                          00000001 Seconds.
    Power reading state is:                   ${state}

`;

test("DCMI power is read; without a measurement it is absent, not zero watts", async () => {
  const { signal } = new AbortController();
  assert.deepEqual(await bmcThatPrints(dcmi(212, "activated")).power(signal), { kind: "read", value: 212 });
  for (const printed of [dcmi(0, "deactivated"), dcmi(212, "deactivated"), dcmi(0, "activated"), ""])
    assert.deepEqual(await bmcThatPrints(printed).power(signal), {
      kind: "unsupported",
      reason: "the BMC reports no power over DCMI",
    });
});

test("a BMC over the network without a password is a failure with a remedy", async () => {
  const lan = { interface: "lanplus", address: "127.0.0.1", port: 623, user: "socle" } as const;
  const bmc = new Bmc({ ...lan, passwordFile: null, cipherSuite: 17, timeoutSeconds: 1 }, systemRoots);
  const sensors = await bmc.sensors(new AbortController().signal);
  assert.ok(sensors.kind === "failed");
  assert.match(sensors.reason, /bmc\.passwordFile, or provide the credential socle-bmc-password/);
});

test("ipmitool over the network gets the password's file, never the password", async () => {
  const queried: string[] = [];
  const run: typeof runChild = (argv) => {
    queried.push(argv.join(" "));
    return {
      output: Promise.resolve({ stdout: dcmi(212, "activated"), stderr: "" }),
      gone: Promise.resolve(),
    };
  };
  const lan = { interface: "lanplus", address: "10.0.0.17", port: 623, user: "monitor" } as const;
  const access = { ...lan, passwordFile: "/run/credentials/x", cipherSuite: 17, timeoutSeconds: 1 };
  await new Bmc(access, systemRoots, undefined, run).power(new AbortController().signal);
  assert.deepEqual(queried, [
    "ipmitool -I lanplus -H 10.0.0.17 -p 623 -U monitor -f /run/credentials/x -C 17 -N 2 -R 2 dcmi power reading",
  ]);
});
