import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { DomainStatsTypes } from "../../../../agent/libvirt/index.ts";
import { Sampler } from "../../../../agent/vm/observation/sampler.ts";
import { FakeHypervisor } from "../../../support/vm/fake-hypervisor.ts";
import { sleepingClock } from "../../../support/vm/libvirt-answers.ts";

const { signal } = new AbortController();
const sampler = (libvirt: FakeHypervisor): Sampler =>
  new Sampler({ libvirt, clock: sleepingClock(), log: silentLog });
const silent = async (of: Sampler): Promise<string[]> =>
  (await of.sample("readings", signal)).samples.flatMap(({ dom, silent }) => (silent ? [dom.name] : []));

test("a guest that hangs blocks one call, is identified through libvirt, and the others are read", async () => {
  const libvirt = new FakeHypervisor(["a", "b", "c"]);
  const rounds = sampler(libvirt);
  assert.deepEqual(await silent(rounds), []);
  assert.deepEqual(libvirt.calls.splice(0), ["STATS"]);
  libvirt.hang("b");
  const { samples } = await rounds.sample("readings", signal);
  assert.deepEqual(
    samples.map(({ dom, silent, stats }) => [dom.name, silent, stats?.rssBytes !== undefined]),
    [
      ["a", false, true],
      ["b", true, false],
      ["c", false, true],
    ],
  );
  assert.deepEqual(libvirt.calls.splice(0), ["STATS", "STATS", "CONTROL b"]);
  // Its job is held: it does not block another round.
  assert.deepEqual(await silent(rounds), ["b"]);
  assert.deepEqual(libvirt.calls.splice(0), ["STATS", "CONTROL b"]);
  libvirt.goOn("b");
  assert.deepEqual(await silent(rounds), []);
  assert.deepEqual(libvirt.calls, ["STATS"]);
});

test("a guest whose job another client holds is not a hung one", async () => {
  const libvirt = new FakeHypervisor(["a"]);
  libvirt.busy("a");
  assert.deepEqual(await silent(sampler(libvirt)), []);
});

test("sampling stops before hung guests take all of libvirt's workers", async () => {
  const names = Array.from({ length: 15 }, (_, index) => `g${index}`);
  const libvirt = new FakeHypervisor(names);
  const rounds = sampler(libvirt);
  for (const name of names) libvirt.hang(name);
  for (let round = 0; round < 6; round += 1) await rounds.sample("readings", signal);
  assert.equal(libvirt.heldWorkers, 12);
  assert.equal(libvirt.groups.at(-1), DomainStatsTypes.STATE);
  const { samples, hasReadings } = await rounds.sample("readings", signal);
  assert.equal(samples.length, names.length);
  assert.equal(hasReadings, false);
  assert.ok(samples.every(({ stats }) => stats === undefined));
  // Once fewer guests hang, the readings of the others are back.
  for (const name of names.slice(10)) libvirt.goOn(name);
  await rounds.sample("readings", signal);
  const again = await rounds.sample("readings", signal);
  assert.equal(again.hasReadings, true);
});

test("a disconnected libvirt is reported at once", async () => {
  const libvirt = new FakeHypervisor(["a"]);
  const away = new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "libvirt is away");
  libvirt.failure = away;
  await assert.rejects(sampler(libvirt).sample("readings", signal), away);
  assert.deepEqual(libvirt.calls, ["STATS"]);
});
