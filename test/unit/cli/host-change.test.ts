import assert from "node:assert/strict";
import test from "node:test";
import type { Health } from "../../../agent/gen/socle/v1/Health.ts";
import type { Reservation } from "../../../agent/gen/socle/v1/Reservation.ts";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { ago, host } from "../../support/cli/samples.ts";

test("a reservation is made, renewed, released and listed", async (context) => {
  const requests: unknown[] = [];
  const held: Reservation = {
    reservationId: "r-1",
    state: "STATE_HELD",
    caller: "unix:operator",
    tenant: "blue",
    vcpus: 2,
    memoryBytes: 2 ** 31,
    placement: { cells: [0], vcpuCpus: [2, 3, 10], emulatorCpus: [0], pageSizeBytes: 2 ** 30 },
    remaining: { seconds: 90, nanos: 0 },
    createdAt: ago(30),
  };
  const answer = (call: { request: unknown }, done: (error: null, value: Reservation) => void): void => {
    requests.push(call.request);
    done(null, held);
  };
  const socket = await fakeAgent(context, {
    reservations: {
      Reserve: answer,
      RenewReservation: answer,
      ReleaseReservation: answer,
      ListReservations: (_call, done) => done(null, { reservations: [held] }),
    },
  });
  const run = (line: string) => socle(line.split(" "), { socket });
  const made = await run(
    "reservation create --vcpus 2 --memory 2GiB --tenant blue --dedicated-cpus --ttl 90s --request-id q-1",
  );
  assert.equal(
    made.stdout,
    "reservation  r-1\nstate        held\nleft         1m30s\nplace        cell 0, cpus 2-3,10, pages 1 GiB\n",
  );
  await run("reservation renew r-1 --ttl 2m --request-id q-2");
  await run("reservation release r-1 --request-id q-3");
  const [reserve, renew, release] = requests as Record<string, unknown>[];
  assert.deepEqual([reserve?.["requestId"], reserve?.["ttl"]], ["q-1", { seconds: 90, nanos: 0 }]);
  assert.deepEqual([renew?.["reservationId"], renew?.["ttl"]], ["r-1", { seconds: 120, nanos: 0 }]);
  assert.deepEqual({ ...release }, { requestId: "q-3", reservationId: "r-1" });
  const { stdout } = await run("reservation ls");
  assert.match(
    stdout,
    /^r-1 +held +1m30s +2 +2 GiB +cell 0, cpus 2-3,10, pages 1 GiB +blue +unix:operator +30s +-$/m,
  );
  const { reservations } = JSON.parse((await run("reservation ls --json")).stdout) as {
    reservations: unknown[];
  };
  assert.equal(reservations.length, 1);
  assert.equal((await run("reservation create --vcpus 2")).exitCode, 2);
});

test("host epoch prints the highest control epoch, or that the agent is too old", async (context) => {
  const run = async (changes: object, ...options: string[]) => {
    const socket = await fakeAgent(context, {
      host: { GetHost: (_call, done) => done(null, host(changes)) },
    });
    return await socle([...options, "host", "epoch"], { socket });
  };
  assert.equal((await run({ controlEpoch: 42 })).stdout, "42\n");
  assert.deepEqual(JSON.parse((await run({ controlEpoch: 42 }, "--json")).stdout), { controlEpoch: 42 });
  assert.match((await run({ controlEpoch: 0 })).stdout, /no control epoch accepted yet \(0\)/);
  const older = await run({});
  assert.deepEqual([older.exitCode, /update the agent/.test(older.stderr)], [1, true]);
});

test("host epoch reset sets the control epoch and shows the previous one", async (context) => {
  const requests: number[] = [];
  const socket = await fakeAgent(context, {
    host: {
      ResetControlEpoch: ({ request: { controlEpoch } }, done) => {
        requests.push(controlEpoch);
        done(null, { controlEpoch, previousControlEpoch: 900 });
      },
    },
  });
  const reset = ["host", "epoch", "reset"];
  assert.equal(
    (await socle([...reset, "--to", "7"], { socket })).stdout,
    "the control epoch is 7; it was 900\n",
  );
  const json = await socle(["--json", ...reset, "--to", "0"], { socket });
  assert.deepEqual(JSON.parse(json.stdout), { controlEpoch: 0, previousControlEpoch: 900 });
  for (const to of [[], ["--to", "-1"], ["--to", "1.5"], ["--to", "9007199254740992"]])
    assert.equal((await socle([...reset, ...to], { socket })).exitCode, 2, to.join(" "));
  assert.deepEqual(requests, [7, 0]);
});

test("cordon keeps its reason and uncordon removes it", async (context) => {
  const requests: [string, string][] = [];
  let health: Health = { schedulable: "TRUTH_TRUE" };
  const socket = await fakeAgent(context, {
    host: {
      SetSchedulingState: ({ request: { state, reason } }, done) => {
        requests.push([state, reason]);
        done(null, { schedulingState: state, health });
      },
    },
  });
  assert.equal((await socle(["cordon"], { socket })).exitCode, 2);
  assert.match((await socle(["cordon", "--reason", "repair"], { socket })).stdout, /^cordoned/);
  assert.equal((await socle(["uncordon"], { socket })).stdout, "active: new VMs are accepted\n");
  health = { schedulable: "TRUTH_FALSE", blockingConditions: ["Thermal"] };
  assert.match(
    (await socle(["uncordon"], { socket })).stdout,
    /^active, but schedulable is false \(by Thermal\): no new VMs$/m,
  );
  assert.deepEqual(requests.slice(0, 2), [
    ["LIFECYCLE_STATE_CORDONED", "repair"],
    ["LIFECYCLE_STATE_ACTIVE", ""],
  ]);
});

test("health ack acknowledges by type, prints the remaining steps, and repeats under the same id", async (context) => {
  const requests: { requestId: string; type: string }[] = [];
  const condition = {
    type: "MemoryUncorrected",
    status: "TRUTH_TRUE",
    latched: true,
    untilReboot: true,
  } as const;
  const socket = await fakeAgent(context, {
    host: {
      AcknowledgeCondition: (call, done) => {
        requests.push(call.request);
        done(null, host({ health: { conditions: [{ ...condition, acknowledged: true }] } }));
      },
      GetHost: (_call, done) => done(null, host({ health: { conditions: [condition] } })),
    },
  });
  assert.match(
    (await socle(["health"], { socket })).stdout,
    /MemoryUncorrected +true \(held until a reboot and ack\)/,
  );
  assert.match((await socle(["health"], { socket })).stdout, /socle health ack MemoryUncorrected/);
  const { stdout } = await socle(["health", "ack", "MemoryUncorrected", "--request-id", "mine"], { socket });
  assert.equal(stdout, "MemoryUncorrected: acknowledged; it ends after a reboot, once its cause is gone\n");
  assert.deepEqual(requests, [{ requestId: "mine", type: "MemoryUncorrected" }]);
});
