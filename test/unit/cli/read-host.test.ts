import assert from "node:assert/strict";
import test from "node:test";
import { status } from "@grpc/grpc-js";
import type { Inventory } from "../../../agent/gen/socle/v1/Inventory.ts";
import { protos } from "../../support/api/client.ts";
import { fakeAgent, rpcError, socle } from "../../support/cli/fake-agent.ts";
import { ago, host, operation, vmId } from "../../support/cli/samples.ts";

test("status shows the host, its conditions, its capacity and its operations", async (context) => {
  const running = operation({
    state: "STATE_RUNNING",
    done: false,
    progress: 0.5,
    createdAt: ago(65),
    endedAt: null,
    steps: [{ name: "define", outcome: "" }],
  });
  const socket = await fakeAgent(context, {
    host: { GetHost: (_call, done) => done(null, host()) },
    operations: { ListOperations: (_call, done) => done(null, { operations: [running] }) },
  });
  const { exitCode, stdout, stderr } = await socle(["status"], { socket });
  assert.equal(stderr, "");
  assert.equal(exitCode, 0);
  assert.equal(
    stdout,
    `host           node-1  11111111-2222-4333-8444-555555555555
machine        Acme  Box
system         Debian GNU/Linux 13  6.12.0
libvirt        11.3.0  QEMU 10.0.2
agent          1.2.3  up 2h, host up 1d1h
health         no_schedule
alive          true
schedulable    false
safe to fence  unknown
scheduling     cordoned:  disk is swapped
vms            2 managed, 1 unmanaged, 1 running, 1 unresponsive

CONDITION            STATUS  EFFECT       REASON       SINCE  EVIDENCE
LibvirtUnresponsive  true    no_schedule  ProbeFailed  2m     3 probes failed\ufffd[31m
DiskSpace            false   none         Enough       1h

CELL  RESOURCE  USE                     ALLOCATED  CLAIMED  AVAILABLE       OF
   0  cpu       [##########+++++.....]    14 vCPU   7 vCPU     7 vCPU  28 vCPU
   0  memory    [###################!]     16 GiB      0 B     -1 GiB   15 GiB

OPERATION  KIND      STATE    STEP    PROGRESS   AGE  TOOK  VM
op-1       START_VM  running  define       50%  1m5s     -  ${vmId}
`,
  );
});

test("status shows a host with unreadable journals, and its operations as unknown", async (context) => {
  const unread = rpcError(protos, status.UNAVAILABLE, "the list is not known", {
    reason: "STATE_UNREADABLE",
  });
  const socket = await fakeAgent(context, {
    host: { GetHost: (_call, done) => done(null, host()) },
    operations: { ListOperations: (_call, done) => done(unread) },
    reservations: { ListReservations: (_call, done) => done(unread) },
  });
  const text = await socle(["status"], { socket });
  assert.equal(text.exitCode, 0, text.stderr);
  for (const name of ["operations", "reservations"])
    assert.match(text.stdout, new RegExp(`^${name} +unknown: .*StateUnreadable`, "m"));
  assert.match(text.stdout, /^DiskSpace /m);
  const { operations, reservations } = JSON.parse((await socle(["status", "--json"], { socket })).stdout) as {
    operations: unknown;
    reservations: unknown;
  };
  assert.deepEqual([operations, reservations], [null, null]);
});

test("status shows that a host accepts no VMs though it is not cordoned", async (context) => {
  const socket = await fakeAgent(context, {
    host: { GetHost: (_call, done) => done(null, host({ schedulingState: "LIFECYCLE_STATE_ACTIVE" })) },
    operations: { ListOperations: (_call, done) => done(null, { operations: [] }) },
  });
  const { stdout } = await socle(["status"], { socket });
  assert.match(stdout, /^schedulable +false$/m);
  assert.match(stdout, /^scheduling +not cordoned$/m);
});

test("status shows the claims of VMs as unknown before the VMs were listed", async (context) => {
  const row = (resource: string, of: object) => ({ resource, overcommitRatio: 1, ...of });
  const capacity = {
    complete: false,
    incompleteReasons: ["libvirt has not listed the VMs yet"],
    cells: [
      {
        cell: 0,
        resources: [row("cpu", { total: 8, claimed: 2 }), row("memory", { total: 2 ** 34, allocated: 0 })],
      },
    ],
  };
  const socket = await fakeAgent(context, {
    host: { GetHost: (_call, done) => done(null, host({ capacity })) },
    operations: { ListOperations: (_call, done) => done(null, { operations: [] }) },
  });
  const { stdout } = await socle(["status"], { socket });
  assert.match(stdout, /^incomplete +libvirt has not listed the VMs yet$/m);
  assert.match(stdout, /^ +0 +cpu +\[\?{20}\] +unknown +2 vCPU +unknown +8 vCPU$/m);
  assert.match(stdout, /^ +0 +memory +\[\.{20}\] +0 B +0 B +unknown +16 GiB$/m);
});

test("status --json is one document with the contract's names", async (context) => {
  const socket = await fakeAgent(context, {
    host: { GetHost: (_call, done) => done(null, host({ health: null })) },
    operations: { ListOperations: (_call, done) => done(null, { operations: [] }) },
  });
  const { stdout } = await socle(["status", "--json"], { socket });
  const document = JSON.parse(stdout) as { host: Record<string, unknown>; operations: unknown[] };
  assert.equal(document.host.schedulingState, "LIFECYCLE_STATE_CORDONED");
  assert.equal(document.host.health, null);
  assert.deepEqual(document.operations, []);
  const { bootedAt } = document.host.identity as { bootedAt: string };
  assert.match(bootedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/);
});

test("version also prints the agent's version where an agent runs", async (context) => {
  const socket = await fakeAgent(context, { host: { GetHost: (_call, done) => done(null, host()) } });
  assert.match(
    (await socle(["version"], { socket })).stdout,
    /^socle 1\.2\.3 \(Node [\d.]+\)\nagent 1\.2\.3\n$/,
  );
  const alone = await socle(["version", "--json"], { socket: "/nonexistent/agent.sock" });
  assert.equal((JSON.parse(alone.stdout) as { agent: unknown }).agent, null);
  assert.equal(alone.exitCode, 0);
});

test("inventory shows that KVM is offered by libvirt and not usable while guests fail on it", async (context) => {
  const inventory: Inventory = {
    complete: true,
    traits: ["tcg"],
    compatibility: { digest: "d1ge57", accelerator: "kvm", cpuModel: "kvm64" },
  };
  const socket = await fakeAgent(context, {
    host: { GetHost: (_call, done) => done(null, host({ inventory })) },
  });
  const { stdout } = await socle(["inventory"], { socket });
  assert.match(stdout, /^guest cpu +kvm64 \(kvm, which is not usable on this host now\)$/m);
});

test("inventory shows cells, pools with their shares, devices and migration groups", async (context) => {
  const inventory: Inventory = {
    complete: false,
    incompleteReasons: ["networks: timed out"],
    cpu: { model: "EPYC 7313", sockets: 2, cores: 16, threads: 32 },
    cells: [
      {
        cell: 1,
        cpus: [2, 3, 10, 11],
        memoryBytes: 2 ** 37,
        pages: [{ sizeBytes: 2 ** 30, total: 16 }],
        distances: [12, 10],
        offlineCpus: [4, 12],
        siblings: [{ cpus: [2, 10] }, { cpus: [3, 11] }],
        caches: [{ level: 3, cpus: [2, 3, 10, 11] }],
      },
    ],
    storagePools: [
      {
        name: "vms",
        type: "rbd",
        active: true,
        capacityBytes: 2 ** 40,
        provisionedBytes: 2 ** 39,
        sharedId: "c0ffee",
        thinRatio: 2,
      },
    ],
    networks: [
      { name: "default", bridge: "virbr0", active: true, observation: { presence: "PRESENCE_UNKNOWN" } },
    ],
    devices: [
      {
        address: "0000:3b:00.2",
        kind: "PCI_DEVICE_KIND_NETWORK",
        product: "ConnectX VF",
        driver: "vfio-pci",
        iommuGroup: 97,
        cell: 1,
        parent: "0000:3b:00.0",
      },
    ],
    traits: ["kvm", "sriov"],
    compatibility: { digest: "d1ge57", accelerator: "kvm", cpuModel: "EPYC-Milan" },
  };
  const socket = await fakeAgent(context, {
    host: { GetHost: (_call, done) => done(null, host({ inventory })) },
  });
  const { stdout } = await socle(["inventory"], { socket });
  for (const line of [
    /traits +kvm sriov/,
    /moves among +hosts with digest d1ge57/,
    /incomplete +networks: timed out/,
    /1 +2-3,10-11 \(4,12 offline\) +2 +L3 2-3,10-11 +128 ?GiB +16 x 1 ?GiB +12 10/,
    /vms +rbd +active +1 ?TiB +\? +512 ?GiB of 2x +c0ffee/,
    /default +virbr0 +unknown \(active when last seen\)/,
    /0000:3b:00\.2 +network +ConnectX VF +vfio-pci +97 +1 +of 0000:3b:00\.0/,
  ])
    assert.match(stdout, line);
  const onTerminal = await socle(["inventory"], { socket, isTTY: true });
  assert.ok(onTerminal.stdout.includes("\u001b[33mnetworks: timed out\u001b[39m\n"));
  const json = JSON.parse((await socle(["inventory", "--json"], { socket })).stdout) as Inventory;
  assert.equal(json.devices?.[0]?.address, "0000:3b:00.2");
});

test("trust prints the host's identity and problems, and an authority's text cannot steer the terminal", async (context) => {
  const problem = "the authority says: \u001b[2Jnot now";
  const state = {
    trustDomain: "cloud.example",
    identity: "spiffe://cloud.example/host/node-1",
    serial: "0a1b",
    notBefore: ago(3600),
    notAfter: ago(-3600),
    renewsAt: null,
    problem,
  };
  const socket = await fakeAgent(context, { trust: { GetTrust: (_call, done) => done(null, state) } });
  assert.equal(
    (await socle(["trust"], { socket })).stdout,
    `trust domain  cloud.example
identity      spiffe://cloud.example/host/node-1
serial        0a1b
valid         2026-01-02T02:04:05Z to 2026-01-02T04:04:05Z
renewal       not the agent's
revoked       0 certificates on the list
problem       the authority says: \ufffd[2Jnot now
`,
  );
});
