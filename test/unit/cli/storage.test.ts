import assert from "node:assert/strict";
import test from "node:test";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { ago } from "../../support/cli/samples.ts";

const GIB = 1024 ** 3;
const present = { presence: "PRESENCE_PRESENT", observedAt: ago(5) } as const;
const unknown = { presence: "PRESENCE_UNKNOWN", observedAt: ago(90) } as const;

test("pool ls shows each pool with the size that new volumes may have, and what is not known as such", async (context) => {
  const socket = await fakeAgent(context, {
    storage: {
      ListPools: (_call, done) =>
        done(null, {
          pools: [
            {
              name: "images",
              state: "POOL_STATE_ACTIVE",
              type: "dir",
              capacityBytes: 10 * GIB,
              allocatedBytes: 4 * GIB,
              availableBytes: -2 * GIB,
              volumes: 3,
            },
            { name: "hung", state: "POOL_STATE_UNKNOWN", problem: "no answer" },
          ],
          observation: present,
        }),
    },
  });
  const { exitCode, stdout } = await socle(["pool", "ls"], { socket });
  assert.equal(exitCode, 0);
  assert.match(stdout, /^POOL +STATE +TYPE +SIZE +USED +AVAILABLE +VOLUMES/);
  assert.match(stdout, /^images +active +dir +10 GiB +4 GiB +-2 GiB +3$/m);
  assert.match(stdout, /^hung +unknown +\? +\? +\? +\? +\? +no answer$/m);
  const json = JSON.parse((await socle(["pool", "ls", "--json"], { socket })).stdout) as { pools: object[] };
  assert.equal(json.pools.length, 2);
});

test("volume ls follows the pages of a pool, and names the pools that are incomplete", async (context) => {
  const asked: string[] = [];
  const socket = await fakeAgent(context, {
    storage: {
      ListVolumes({ request: { pool, pageToken } }, done) {
        asked.push(`${pool} ${pageToken}`);
        const name = pageToken === "" ? "a.qcow2" : "b.raw";
        const role = pageToken === "" ? "VOLUME_ROLE_DISK" : "VOLUME_ROLE_UNSPECIFIED";
        const users = pageToken === "" ? ["vm-1"] : [];
        done(null, {
          volumes: [{ pool: "images", name, format: "DISK_FORMAT_RAW", role, users, capacityBytes: GIB }],
          nextPageToken: pageToken === "" ? "next" : "",
          observation: unknown,
          incompletePools: ["images"],
        });
      },
    },
  });
  const { exitCode, stdout, stderr } = await socle(["volume", "ls", "--pool", "images"], { socket });
  assert.deepEqual([exitCode, asked], [0, ["images ", "images next"]]);
  assert.match(stdout, /^images +a\.qcow2 +raw +1 GiB +\? +disk +vm-1$/m);
  assert.match(stdout, /^images +b\.raw +raw +1 GiB +\? +\? +-$/m);
  assert.match(stderr, /as last seen, of the pools images/);
});

test("network ls shows networks as last seen while libvirt is away", async (context) => {
  const socket = await fakeAgent(context, {
    networks: {
      ListNetworks: (_call, done) =>
        done(null, {
          networks: [
            {
              name: "front",
              state: "NETWORK_STATE_UNKNOWN",
              bridge: "virbr1",
              forwardMode: "",
              dhcp: true,
              autostart: false,
              addresses: ["192.0.2.1/24"],
            },
          ],
          observation: unknown,
        }),
    },
  });
  const { exitCode, stdout, stderr } = await socle(["network", "ls"], { socket });
  assert.equal(exitCode, 0);
  assert.match(stdout, /^front +unknown +none +virbr1 +192\.0\.2\.1\/24 +yes +no +\?$/m);
  assert.match(stderr, /libvirt does not answer: these are the networks as last seen 1m30s ago/);
});

test("a host whose libvirt has not reported its pools yet exits as unavailable", async (context) => {
  const socket = await fakeAgent(context, {
    storage: {
      ListPools: (_call, done) =>
        done(null, { pools: [], observation: { presence: "PRESENCE_UNKNOWN", observedAt: null } }),
    },
  });
  const { exitCode, stderr } = await socle(["pool", "ls"], { socket });
  assert.notEqual(exitCode, 0);
  assert.match(stderr, /libvirt has not reported the storage pools yet/);
});
