import assert from "node:assert/strict";
import type { Vm } from "../../../agent/gen/socle/v1/Vm.ts";
import test from "node:test";
import type { ListVmsRequest__Output } from "../../../agent/gen/socle/v1/ListVmsRequest.ts";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { ago, vm, vmId } from "../../support/cli/samples.ts";

test("vm ls reads all pages, and filters", async (context) => {
  const requests: ListVmsRequest__Output[] = [];
  const socket = await fakeAgent(context, {
    vms: {
      ListVms: (call, done) => {
        requests.push(call.request);
        const first = call.request.pageToken === "";
        done(null, {
          vms: first
            ? [vm()]
            : [
                vm({
                  vmId: "00000000-0000-4000-8000-000000000002",
                  name: "db\u001b[2J",
                  state: "VM_STATE_PAUSED",
                  stateReason: "IO_ERROR",
                  managed: false,
                  createdAt: null,
                  stats: null,
                }),
              ],
          nextPageToken: first ? "2" : "",
          observation: { presence: "PRESENCE_PRESENT", observedAt: ago(2) },
        });
      },
    },
  });
  const line = ["vm", "ls", "--state", "running", "--state", "paused", "--label", "a=b=c", "--unmanaged"];
  const { exitCode, stdout, stderr } = await socle(line, { socket });
  assert.equal(exitCode, 0);
  assert.equal(
    stdout,
    `NAME    STATE              VCPUS   MEMORY      RSS  TENANT       AGE  ID
db\ufffd[2J  paused (io_error)      2  1.5 GiB        -  (unmanaged)    -  00000000-0000-4000-8000-000000000002
web-1   running                2  1.5 GiB  300 MiB  blue          1d  ${vmId}
`,
  );
  assert.equal(stderr, "");
  assert.deepEqual(
    requests.map(({ pageToken }) => pageToken),
    ["", "2"],
  );
  assert.deepEqual(requests[0]?.filter, {
    tenant: "",
    namePrefix: "",
    states: ["VM_STATE_RUNNING", "VM_STATE_PAUSED"],
    labels: { a: "b=c" },
    managed: "MANAGED_FILTER_UNMANAGED",
  });
});

test("vm show has the limits of a disk", async (context) => {
  const volume = { pool: "default", volume: "data.raw" };
  const limits = { readBytesPerSecond: 100 * 2 ** 20, totalIops: 500 };
  const disks = [{ name: "data", volume, limits }];
  const shown = vm({ spec: { name: "web-1", disks } });
  const socket = await fakeAgent(context, { vms: { GetVm: (_call, done) => done(null, shown) } });
  const { stdout } = await socle(["vm", "show", "web-1"], { socket });
  assert.match(stdout, /^disk +data {2}default\/data\.raw {2}at most 100 MiB\/s read, 500 operations\/s$/m);
  const bursts = { ...limits, totalBurstIops: 2000, burstSeconds: 30 };
  const burst = vm({ spec: { name: "web-1", disks: [{ name: "data", volume, limits: bursts }] } });
  const other = await fakeAgent(context, { vms: { GetVm: (_call, done) => done(null, burst) } });
  const text = (await socle(["vm", "show", "web-1"], { socket: other })).stdout;
  assert.match(text, /500 operations\/s {2}for 30 s at most 2000 operations\/s$/m);
});

test("vm show prints all facts about a VM", async (context) => {
  const socket = await fakeAgent(context, { vms: { GetVm: (_call, done) => done(null, vm()) } });
  const { stdout } = await socle(["vm", "show", "web-1"], { socket });
  assert.equal(
    stdout,
    `name         web-1
id           ${vmId}
state        running  BOOTED
seen         2s ago
managed      yes
tenant       blue
created      1d ago
vcpus        2
memory       1.5 GiB
accelerator  kvm
firmware     bios
disk         root  made for this VM in default, 10 GiB over debian.qcow2
disk         data  default/data.raw  read-only
nic          nic0  network default  52:54:00:00:00:01
label        tier=front
cpu time     1m23s
rss          300 MiB
stats        4s old
epoch        1
etag         e1
`,
  );
  const json = JSON.parse((await socle(["vm", "show", "web-1", "--json"], { socket })).stdout) as object;
  assert.ok("stats" in json && !JSON.stringify(json).includes("_cpuSeconds"));
});

test("vm show names a VM's seed, its host name and the number of its keys", async (context) => {
  const cloudInit = { pool: "images", hostname: "web-1.example.com", sshKeys: ["ssh-ed25519 AAAA"] };
  const shown = { ...vm(), spec: { ...vm().spec, cloudInit } };
  const socket = await fakeAgent(context, { vms: { GetVm: (_call, done) => done(null, shown) } });
  const { stdout } = await socle(["vm", "show", "web-1"], { socket });
  assert.match(stdout, /^cloud-init +seed in images {2}web-1\.example\.com {2}1 key$/m);
});

test("vm show has a NIC's actual MAC address, limits and leases, of a VM without a spec too", async (context) => {
  const addresses = [
    { address: "192.0.2.7", prefixLength: 24, source: "NIC_ADDRESS_SOURCE_LEASE" },
    { address: "fd00::7", prefixLength: 64, source: "NIC_ADDRESS_SOURCE_LEASE" },
  ] as const;
  const nics = [{ name: "nic0", mac: "52:54:00:00:00:01", device: "vnet0", addresses: [...addresses] }];
  const limits = { inboundBytesPerSecond: 100 * 2 ** 20, outboundBytesPerSecond: 50 * 2 ** 20 };
  const spec = { ...vm().spec, nics: [{ name: "nic0", network: "default", limits }] };
  const shown = async (about: Vm): Promise<string | undefined> => {
    const socket = await fakeAgent(context, { vms: { GetVm: (_call, done) => done(null, about) } });
    const { stdout } = await socle(["vm", "show", "web-1"], { socket });
    return /^nic +(.*)$/m.exec(stdout)?.[1];
  };
  assert.equal(
    await shown(vm({ spec, nics })),
    "nic0  network default  52:54:00:00:00:01  at most 100 MiB/s in, 50 MiB/s out  192.0.2.7/24  fd00::7/64",
  );
  assert.equal(await shown(vm({ spec: null, nics })), "52:54:00:00:00:01  vnet0  192.0.2.7/24  fd00::7/64");
});
