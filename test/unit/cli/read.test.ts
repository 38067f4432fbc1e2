import assert from "node:assert/strict";
import test from "node:test";
import { status } from "@grpc/grpc-js";
import { loadContract } from "../../../agent/cli/contract.ts";
import type { ListVmsRequest__Output } from "../../../agent/gen/socle/v1/ListVmsRequest.ts";
import type { SubscribeRequest__Output } from "../../../agent/gen/socle/v1/SubscribeRequest.ts";
import type { Inventory } from "../../../agent/gen/socle/v1/Inventory.ts";
import { fakeAgent, protoDirectory, rpcError, socle } from "./fake-agent.ts";
import { ago, event, host, operation, vm, vmId } from "./samples.ts";

test("status shows the host, its conditions, its capacity and what is under way", async (context) => {
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
vms            2 managed, 1 unmanaged, 2 running, 1 unknown

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

test("status says of a host that takes no VMs that it takes none, though nobody cordoned it", async (context) => {
  const socket = await fakeAgent(context, {
    host: { GetHost: (_call, done) => done(null, host({ schedulingState: "LIFECYCLE_STATE_ACTIVE" })) },
    operations: { ListOperations: (_call, done) => done(null, { operations: [] }) },
  });
  const { stdout } = await socle(["status"], { socket });
  assert.match(stdout, /^schedulable +false$/m);
  assert.match(stdout, /^scheduling +not cordoned$/m);
});

test("status says that it is unknown what VMs take, before they were listed", async (context) => {
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

test("status --json is one document in the contract's words", async (context) => {
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

test("vm ls reads all pages, filters, and says when libvirt does not answer", async (context) => {
  const asked: ListVmsRequest__Output[] = [];
  const socket = await fakeAgent(context, {
    vms: {
      ListVms: (call, done) => {
        asked.push(call.request);
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
          observation: { presence: "PRESENCE_UNKNOWN", observedAt: ago(180) },
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
web-1   running                2  1.5 GiB  300 MiB  blue          1d  ${vmId}
db\ufffd[2J  paused (io_error)      2  1.5 GiB        -  (unmanaged)    -  00000000-0000-4000-8000-000000000002
`,
  );
  assert.equal(stderr, "libvirt does not answer: these are the VMs as last seen 3m ago.\n");
  assert.deepEqual(
    asked.map(({ pageToken }) => pageToken),
    ["", "2"],
  );
  assert.deepEqual(asked[0]?.filter, {
    tenant: "",
    namePrefix: "",
    states: ["VM_STATE_RUNNING", "VM_STATE_PAUSED"],
    labels: { a: "b=c" },
    managed: "MANAGED_FILTER_UNMANAGED",
  });
});

test("vm show tells what a person wants to know of one", async (context) => {
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

test("an error says what to do and exits by its kind", async (context) => {
  const contract = await loadContract(protoDirectory);
  const errors = {
    gone: rpcError(contract, status.NOT_FOUND, "there is no VM gone", { reason: "VM_NOT_FOUND" }),
    full: rpcError(contract, status.RESOURCE_EXHAUSTED, "no room", { reason: "CAPACITY", retrySeconds: 30 }),
    odd: rpcError(contract, status.INVALID_ARGUMENT, "the name is not valid", {
      reason: "SPEC_INVALID",
      fields: { "spec.name": "must not contain '/'" },
    }),
    theirs: rpcError(contract, status.PERMISSION_DENIED, "theirs is not Socle's", { reason: "VM_UNMANAGED" }),
    bare: Object.assign(new Error("x"), { code: status.INTERNAL, details: "oops" }),
  };
  const socket = await fakeAgent(context, {
    vms: { GetVm: (call, done) => done(errors[call.request.vm as keyof typeof errors]) },
  });
  const tell = async (name: string): Promise<[number, string]> => {
    const { exitCode, stderr, stdout } = await socle(["vm", "show", name], { socket });
    assert.equal(stdout, "");
    return [exitCode, stderr];
  };
  assert.deepEqual(await tell("gone"), [3, "socle: there is no VM gone\n"]);
  assert.deepEqual(await tell("full"), [5, "socle: no room\n  Try again in 30 s.\n"]);
  assert.deepEqual(await tell("odd"), [
    2,
    "socle: the name is not valid\n  spec.name: must not contain '/'\n",
  ]);
  assert.deepEqual(await tell("theirs"), [
    5,
    "socle: theirs is not Socle's\n  Socle did not make this VM and never touches it: use the tool that made it.\n",
  ]);
  assert.deepEqual(await tell("bare"), [1, "socle: oops\n"]);
  const { stderr } = await socle(["vm", "show", "odd", "--json"], { socket });
  assert.deepEqual(JSON.parse(stderr), {
    error: {
      kind: "invalid",
      reason: "SPEC_INVALID",
      message: "the name is not valid",
      fields: { "spec.name": "must not contain '/'" },
      metadata: {},
      retryAfterMs: null,
      exitCode: 2,
    },
  });
});

test("an agent older than the command is told apart from a broken one", async (context) => {
  const socket = await fakeAgent(context, {});
  const { exitCode, stderr } = await socle(["status"], { socket });
  assert.equal(exitCode, 1);
  assert.match(stderr, /The agent is older than this command: update it\./);
});

test("events print a line each, begin where they are told and end with the newest", async (context) => {
  const asked: SubscribeRequest__Output[] = [];
  const socket = await fakeAgent(context, {
    host: { GetHost: (_call, done) => done(null, host()) },
    events: {
      Subscribe: (call) => {
        asked.push(call.request);
        call.write(event(11));
        call.write(
          event(12, {
            kind: "EVENT_KIND_VM_IO_ERROR",
            vmState: "VM_STATE_UNSPECIFIED",
            reason: "ENOSPC",
            details: { device: "vda" },
          }),
        );
      },
    },
  });
  const { exitCode, stdout } = await socle(["events", "--after", "10", "--no-follow"], { socket });
  assert.equal(exitCode, 0);
  assert.equal(
    stdout,
    `2026-01-02 03:04:05.678Z      11  vm_state_changed  web-1  running  BOOTED
2026-01-02 03:04:05.678Z      12  vm_io_error  web-1  ENOSPC  device=vda
`,
  );
  const filtered = await socle(["events", "--no-follow", "--kind", "vm-io-error", "--json"], { socket });
  const lines = filtered.stdout.trimEnd().split("\n");
  assert.deepEqual(
    lines.map((line) => (JSON.parse(line) as { sequence: number }).sequence),
    [12],
  );
  assert.deepEqual(
    asked.map(({ afterSequence }) => afterSequence),
    [10, 0],
  );
  assert.equal((await socle(["events", "--kind", "nonsense"], { socket })).exitCode, 2);
});

test("events follow until Ctrl-C, which is a good end", async (context) => {
  const socket = await fakeAgent(context, {
    host: { GetHost: (_call, done) => done(null, host()) },
    events: { Subscribe: (call) => void call.write(event(13)) },
  });
  const { exitCode, stdout, stderr } = await socle(["events"], {
    socket,
    onStdout: () => process.emit("SIGINT"),
  });
  assert.deepEqual([exitCode, stderr], [0, ""]);
  assert.match(stdout, / 13 {2}vm_state_changed/);
});

test("events go on where they were when the agent comes back", async (context) => {
  const asked: number[] = [];
  const socket = await fakeAgent(context, {
    host: { GetHost: (_call, done) => done(null, host()) },
    events: {
      Subscribe: (call) => {
        asked.push(call.request.afterSequence);
        call.write(event(12 + asked.length));
        const gone = Object.assign(new Error("gone"), {
          code: status.UNAVAILABLE,
          details: "the agent stops",
        });
        if (asked.length === 1) call.emit("error", gone);
      },
    },
  });
  const { exitCode, stdout, stderr } = await socle(["events"], {
    socket,
    onStdout: (text) => {
      if (text.includes(" 14 ")) process.emit("SIGINT");
    },
  });
  assert.equal(exitCode, 0);
  assert.equal(stdout.trim().split("\n").length, 2);
  assert.deepEqual(asked, [12, 13]);
  assert.equal(stderr, "the agent stops; waiting for the agent\n");
});

test("operations are listed and shown with their steps and their error", async (context) => {
  const contract = await loadContract(protoDirectory);
  const failed = operation({
    state: "STATE_FAILED",
    error: {
      code: status.UNAVAILABLE,
      message: "libvirt does not answer",
      details: [
        {
          type_url: "type.googleapis.com/google.rpc.ErrorInfo",
          value: contract.errorInfo.serialize({ reason: "LIBVIRT_DOWN" }),
        },
      ],
    },
    createdAt: ago(3600),
    endedAt: { seconds: ago(3600).seconds + 2, nanos: 0 },
  });
  const socket = await fakeAgent(context, {
    operations: {
      ListOperations: (_call, done) => done(null, { operations: [failed] }),
      GetOperation: (_call, done) => done(null, failed),
    },
  });
  assert.equal(
    (await socle(["operations", "ls"], { socket })).stdout,
    `OPERATION  KIND      STATE   STEP   PROGRESS  AGE  TOOK  VM
op-1       START_VM  failed  start      100%   1h  2.0s  ${vmId}
`,
  );
  assert.equal(
    (await socle(["operations", "show", "op-1"], { socket })).stdout,
    `operation   op-1
request id  r-1
kind        START_VM
vm          ${vmId}
caller      unix:0
state       failed
begun       1h ago
took        2.0s
error       LIBVIRT_DOWN: libvirt does not answer

STEP   OUTCOME  TOOK
start  done     1.5s
`,
  );
  const waited = await socle(["operations", "wait", "op-1"], { socket });
  assert.equal(waited.exitCode, 4);
  assert.match(waited.stderr, /done {3}start {2}1\.5s\nsocle: libvirt does not answer/);
});

test("an operation tells who cancelled it", async (context) => {
  const cancelled = operation({ state: "STATE_CANCELLED", cancelledBy: "unix:operator\u001b[31m" });
  const socket = await fakeAgent(context, {
    operations: { GetOperation: (_call, done) => done(null, cancelled) },
  });
  const { stdout } = await socle(["operations", "show", "op-1"], { socket });
  assert.match(stdout, /^state +cancelled\ncancelled by +unix:operator\ufffd\[31m$/m);
});

test("an operation tells on whose behalf it is, and why", async (context) => {
  const behalf = operation({
    person: "ann@example",
    ticket: "CHG-7\u001b[31m",
    breakGlass: "the provider is down",
  });
  const socket = await fakeAgent(context, {
    operations: {
      GetOperation: (_call, done) => done(null, behalf),
      ListOperations: (_call, done) => done(null, { operations: [behalf, operation({ ticket: "CHG-8" })] }),
    },
  });
  const { stdout } = await socle(["operations", "show", "op-1"], { socket });
  assert.match(stdout, /^person +ann@example\nticket +CHG-7\ufffd\[31m\nbreak-glass +the provider is down$/m);
  const listed = (await socle(["operations", "ls"], { socket })).stdout;
  assert.match(listed, /WHO +WHY *\n.*ann@example +the provider is down *\n.* - +CHG-8/);
});

test("a person's token comes from a file alone, and nothing that is none is sent", async () => {
  const missing = await socle(["--person-file", "/nonexistent", "uncordon"]);
  assert.deepEqual([missing.exitCode, /cannot be read/.test(missing.stderr)], [2, true]);
  const none = await socle(["--person-file", import.meta.filename, "uncordon"]);
  assert.deepEqual([none.exitCode, /holds no token/.test(none.stderr)], [2, true]);
  for (const reason of ["", " ", "a\nb", "x".repeat(129), "é"])
    assert.equal((await socle(["--break-glass", reason, "uncordon"])).exitCode, 2, reason);
});

test("version asks the agent where there is one", async (context) => {
  const socket = await fakeAgent(context, { host: { GetHost: (_call, done) => done(null, host()) } });
  assert.match(
    (await socle(["version"], { socket })).stdout,
    /^socle 1\.2\.3 \(Node [\d.]+\)\nagent 1\.2\.3\n$/,
  );
  const alone = await socle(["version", "--json"], { socket: "/nonexistent/agent.sock" });
  assert.equal((JSON.parse(alone.stdout) as { agent: unknown }).agent, null);
  assert.equal(alone.exitCode, 0);
});

test("inventory shows cells, pools with what they share, devices and what guests can move among", async (context) => {
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
  const json = JSON.parse((await socle(["inventory", "--json"], { socket })).stdout) as Inventory;
  assert.equal(json.devices?.[0]?.address, "0000:3b:00.2");
});
