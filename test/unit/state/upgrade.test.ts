// The state of version 0.1.0 is read and migrated. test/fixtures/release-0.1.0 was made by that version's own
// code: a state directory that was stopped cleanly once, then copied from a running agent, and a domain as it
// defined it.
import assert from "node:assert/strict";
import { chmod, cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { verifyLog } from "../../../agent/audit/index.ts";
import { openState, type State } from "../../../agent/composition/state.ts";
import { loadConfig } from "../../../agent/config/load.ts";
import { systemClock, type Clock } from "../../../agent/kernel/clock.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { Journal } from "../../../agent/state/journal/journal.ts";
import { decodeLine } from "../../../agent/state/journal/format.ts";
import { storedPlacement } from "../../../agent/vm/model/own-facts.ts";
import { vmFromDomain } from "../../../agent/vm/observation/vm-from-domain.ts";
import { keyOf } from "../../support/audit/log-of.ts";
import { failingDisk } from "../../support/state/failing-disk.ts";
import { folder } from "../../support/state/folder.ts";
import { options } from "../../support/state/journal-stage.ts";
import { parseVmDomain } from "../../../agent/vm/model/vm-domain.ts";

const release = join(import.meta.dirname, "../../fixtures/release-0.1.0");
const VM = "6f2f0c4e-8c1b-4f0e-9a54-6a3f3c1b2a01";
/** Soon after the fixture was made, so that nothing in it is past its time. */
const clock: Clock = { ...systemClock, now: () => 1_795_790_000_000 };

async function copied(t: TestContext): Promise<string> {
  const directory = join(await folder(t), "state");
  await cp(join(release, "state"), directory, { recursive: true, verbatimSymlinks: true });
  await chmod(directory, 0o700);
  await chmod(join(directory, "audit/key.pem"), 0o600);
  return directory;
}

async function openIn(directory: string): Promise<State> {
  const { config } = await loadConfig(undefined);
  return await openState({
    config: { ...config, state: { ...config.state, directory } },
    version: "test",
    environment: {},
    clock,
    log: silentLog,
  });
}

const requested = (requestId: string, kind: string) => ({
  requestId,
  caller: "scheduler-1",
  kind,
  vmId: VM,
  fingerprint: `print-${requestId}`,
  intent: {},
});

test("the state directory of 0.1.0 is migrated: host, operations, reservations, events and audit log", async (t) => {
  const directory = await copied(t);
  for (const start of [3, 4]) {
    const state = await openIn(directory);
    const { record, operations, reservations, events, audit } = state;
    assert.equal(state.permit.refusal, undefined);
    assert.deepEqual(
      [record.agentEpoch, record.hostId, record.controlEpoch, record.scheduling],
      [start, "0d7d2a08-6c56-4d36-8f0e-4b2a4f3a9a11", 41, { state: "cordoned", reason: "new fans" }],
    );
    assert.equal(record.health.acknowledgements[0]?.requestId, "ack-1");
    assert.deepEqual(
      operations.list({ limit: 10 }).map(({ requestId, state: how }) => [requestId, how]),
      [
        ["unended-1", "outcome_unknown"],
        ["failed-1", "failed"],
        ["succeeded-1", "succeeded"],
      ],
    );
    assert.deepEqual(
      operations.interrupted.map(({ requestId, intent }) => [requestId, intent]),
      [["unended-1", { kind: "STOP_VM", gracefulTimeoutMs: 60_000, force: false }]],
    );
    for (const [requestId, kind] of [
      ["succeeded-1", "START_VM"],
      ["unended-1", "STOP_VM"],
    ] as const)
      assert.equal(
        (await operations.begin(requested(requestId, kind))).fresh,
        false,
        "it does not run twice",
      );
    assert.deepEqual(
      Array.from(reservations.after("", true), ({ state: how, tenant, vcpus }) => [how, tenant, vcpus]),
      [
        ["held", "blue", 2],
        ["released", "blue", 2],
      ],
    );
    const request = { requestId: "reserve-held", caller: "scheduler-1", fingerprint: "print-reserve-held" };
    assert.equal((await reservations.find("reserve", request))?.state, "held");
    const kinds = events.recent(1_000_000).map(({ kind }) => kind);
    assert.deepEqual(kinds.slice(0, 4), ["vm_defined", "vm_state_changed", "vm_removed", "vm_rebooted"]);
    assert.ok(events.logId.length === 36);
    assert.equal(audit.state.damage, undefined);
    await state.close();
  }
  const key = await keyOf(join(directory, "audit"));
  assert.equal((await verifyLog(join(directory, "audit"), { key })).problem, undefined);
});

const journals = ["operations", "reservations"] as const;

/** checkHeader() of agent/state/journal/journal.ts in commit 5936a4a, from which 0.1.0 was made. */
function checkHeaderAs010(path: string, kind: string, record: unknown): void {
  const formatVersion = 1;
  const { journal, version } = record as { journal?: unknown; version?: unknown };
  if (journal === kind && version === formatVersion) return;
  throw new Error(`${path} is not a ${kind} journal of version ${formatVersion}`);
}

/** The records as 0.1.0 would read them, without the seals. Throws where it refuses the file. */
async function readAs010(path: string, kind: string): Promise<unknown[]> {
  const records = await linesOf(path);
  checkHeaderAs010(path, kind, records[0]);
  return records.slice(1);
}

async function linesOf(path: string): Promise<unknown[]> {
  const lines = (await readFile(path, "latin1")).split("\n").slice(0, -1);
  const records = lines.map((line) => decodeLine(Buffer.from(line, "latin1"))?.record);
  assert.ok(!records.includes(undefined), "every line is complete");
  return records.filter((record) => !(record instanceof Object && "sealed" in record));
}

test("0.1.0 refuses the journals once this version opened them; their records stay as they were", async (t) => {
  const directory = await copied(t);
  for (const kind of journals) {
    const path = join(directory, `${kind}.journal`);
    const before = await readAs010(path, kind);
    assert.ok(before.length > 0);
    const journal = await Journal.open(path, { ...options, kind });
    await assert.rejects(readAs010(path, kind), /is not a \w+ journal of version 1/);
    assert.deepEqual(await linesOf(path), [{ journal: kind, version: 2 }, ...before]);
    await journal.append("new");
    await journal.close();
    const again: unknown[] = [];
    await (await Journal.open(path, { ...options, kind, replay: (record) => again.push(record) })).close();
    assert.deepEqual(again, [...before, "new"]);
  }
});

test("a large journal of 0.1.0 is not compacted while it is opened, before its owner knows the live records", async (t) => {
  const path = join(await copied(t), "operations.journal");
  const before = await readAs010(path, "operations");
  let requested = 0;
  const live = (): unknown[] => ((requested += 1), []);
  const journal = await Journal.open(path, { ...options, kind: "operations", live, compactAboveBytes: 1 });
  await journal.close();
  assert.equal(requested, 0);
  assert.deepEqual((await linesOf(path)).slice(1), before);
});

test("on a full disk at the upgrade the agent reads, refuses changes, and appends nothing to a version 1 journal", async (t) => {
  const directory = await copied(t);
  for (const kind of journals) {
    const path = join(directory, `${kind}.journal`);
    const before = await readFile(path);
    const { failing, restore } = await failingDisk(t, { code: "ENOSPC", of: /\.journal\.new$/ });
    failing.write = true;
    const found: unknown[] = [];
    const journal = await Journal.open(path, { ...options, kind, replay: (record) => found.push(record) });
    assert.deepEqual(found, await readAs010(path, kind));
    assert.deepEqual([journal.failure?.kind, journal.failure?.reason], ["exhausted", "JOURNAL_FAILED"]);
    await assert.rejects(journal.append("refused"), { reason: "JOURNAL_FAILED" });
    await journal.tryAgain();
    assert.deepEqual(await readFile(path), before);
    restore();
    await journal.tryAgain();
    assert.equal(journal.failure, undefined);
    await journal.append("taken");
    await journal.close();
    await assert.rejects(readAs010(path, kind), /is not a \w+ journal of version 1/);
    assert.deepEqual((await linesOf(path)).slice(1), [...found, "taken"]);
  }
});

test("a failed sync at the upgrade leaves the journal of version 1 as it was, and refuses changes", async (t) => {
  const path = join(await copied(t), "operations.journal");
  const before = await readFile(path);
  const { failing, restore } = await failingDisk(t, { of: /\.journal\.new$/ });
  failing.datasync = 1;
  const journal = await Journal.open(path, { ...options, kind: "operations" });
  restore();
  await assert.rejects(journal.append("refused"), { kind: "unavailable", reason: "JOURNAL_FAILED" });
  await journal.close();
  assert.deepEqual(await readFile(path), before);
});

test("a domain of 0.1.0 is a managed VM with its spec, tenant, placement and its own instance", async () => {
  const xml = await readFile(join(release, "domain.xml"), "utf8");
  const vm = vmFromDomain(parseVmDomain(xml), { state: "stopped", stateReason: "UNKNOWN", observedAtMs: 5 });
  assert.deepEqual(
    [vm.managed, vm.id, vm.name, vm.tenant, vm.placementEpoch, vm.accelerator, vm.unreadable],
    [true, VM, "web-1", "blue", 3, "kvm", undefined],
  );
  assert.deepEqual(vm.labels, { note: "a <b> & 'c'" });
  assert.equal(vm.spec?.disks[0]?.name, "root");
  assert.deepEqual(storedPlacement(parseVmDomain(xml).metadata)?.vcpuCpus, [2, 3]);
  assert.ok(vm.instance !== undefined && vm.instance !== "");
});

test("state of a later version is not misread: every change is refused with the version and the remedy", async (t) => {
  const directory = await copied(t);
  await writeFile(join(directory, "host.json"), '{"version":2,"agentEpoch":7}');
  const state = await openIn(directory);
  await assert.rejects(state.operations.begin(requested("new", "START_VM")), (error) => {
    assert.ok(error instanceof SocleError && error.reason === "STATE_UNREADABLE");
    assert.match(
      error.message,
      /host\.json is of version 2, which a later Socle wrote; this one reads version 1/,
    );
    return true;
  });
  await state.close();
});
