import assert from "node:assert/strict";
import test from "node:test";
import { controlEpochKey as keyOfApi } from "../../../agent/api/auth/control-epoch.ts";
import { breakGlassKey, personKey, ticketKey } from "../../../agent/api/auth/people.ts";
import { metadataKeys } from "../../../agent/cli/client.ts";
import { keptEpochs, startApi, vm } from "../../support/api/harness.ts";
import { noTrust } from "../../support/trust/no-trust.ts";
import { socle } from "../../support/cli/fake-agent.ts";

test("over TCP a command carries a scheduler's control epoch, on the socket it carries none", async (t) => {
  const ofApi = { controlEpoch: keyOfApi, person: personKey, ticket: ticketKey, breakGlass: breakGlassKey };
  assert.deepEqual(metadataKeys, ofApi);
  const epochs = keptEpochs(5);
  const { tcpPort, socket, table, requests } = await startApi(t, { listen: "127.0.0.1:0" }, noTrust, epochs);
  table.put(vm("a"));
  const pause = ["vm", "pause", "a", "--no-wait"];
  const overTcp = ["--address", `127.0.0.1:${tcpPort ?? 0}`];

  const refused = await socle([...overTcp, ...pause]);
  assert.equal(refused.exitCode, 5);
  assert.match(refused.stderr, /seen 5[^]*use the agent's socket on its host, or give --control-epoch/);
  const old = await socle([...overTcp, "--control-epoch", "4", ...pause]);
  assert.match(old.stderr, /older than 5[^]*has taken over/);
  assert.equal(requests.length, 0);

  assert.equal((await socle([...overTcp, "--control-epoch", "5", ...pause])).exitCode, 0);
  assert.equal((await socle(pause, { socket })).exitCode, 0);
  assert.equal(requests.length, 2);
  assert.equal((await socle([...overTcp, "--control-epoch", "new", ...pause])).exitCode, 2);
});
