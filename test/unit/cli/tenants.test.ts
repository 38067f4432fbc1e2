import assert from "node:assert/strict";
import test from "node:test";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";

const GIB = 1024 ** 3;

test("tenants shows the usage and the quota of each tenant", async (context) => {
  const dimensions = [
    { name: "vms", used: 2, limited: true, limit: 5 },
    { name: "vcpus", used: 4, limited: false, limit: 0 },
    { name: "memory", used: GIB, limited: true, limit: 4 * GIB },
    { name: "disk", used: 2 * GIB, limited: false, limit: 0 },
  ];
  const socket = await fakeAgent(context, {
    host: {
      ListTenants: (_call, done) => done(null, { tenants: [{ tenant: "acme", dimensions }], totalSize: 3 }),
    },
  });
  const { exitCode, stdout, stderr } = await socle(["tenants"], { socket });
  assert.equal(exitCode, 0);
  assert.match(stdout, /^TENANT +VMS +VCPUS +MEMORY +DISKS/);
  assert.match(stdout, /^acme +2 of 5 +4 +1 GiB of 4 GiB +2 GiB$/m);
  assert.match(stderr, /2 more tenants/);
  const json = await socle(["tenants", "--json"], { socket });
  assert.deepEqual((JSON.parse(json.stdout) as { totalSize: number }).totalSize, 3);
});
