import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import test, { type TestContext } from "node:test";
import { status } from "@grpc/grpc-js";
import { loadContract } from "../../../agent/cli/contract.ts";
import type { CreateVmRequest__Output } from "../../../agent/gen/socle/v1/CreateVmRequest.ts";
import type { DeleteVmRequest__Output } from "../../../agent/gen/socle/v1/DeleteVmRequest.ts";
import type { Reservation } from "../../../agent/gen/socle/v1/Reservation.ts";
import type { StopVmRequest__Output } from "../../../agent/gen/socle/v1/StopVmRequest.ts";
import { fakeAgent, protoDirectory, rpcError, rpcStatus, socle, type FakeHandlers } from "./fake-agent.ts";
import { ago, host, operation, vm, vmId } from "./samples.ts";

const running = operation({
  state: "STATE_RUNNING",
  done: false,
  progress: 0.5,
  steps: [{ name: "define", startedAt: { seconds: 1000, nanos: 0 }, outcome: "" }],
  endedAt: null,
});

/** An operation that is under way at first and done a message later. */
const endsWith = (
  ...ends: readonly ReturnType<typeof operation>[]
): NonNullable<FakeHandlers["operations"]> => ({
  WatchOperations: (call) => {
    for (const end of [running, ...ends]) call.write(end);
  },
});

test("a change is followed to its end: steps on stderr, the outcome on stdout", async (context) => {
  const requestIds: string[] = [];
  const socket = await fakeAgent(context, {
    vms: {
      StartVm: (call, done) => {
        requestIds.push(call.request.requestId);
        done(null, running);
      },
    },
    operations: endsWith(operation({ result: { console: "ready" } })),
  });
  const { exitCode, stdout, stderr } = await socle(["vm", "start", "web-1"], { socket });
  assert.equal(exitCode, 0);
  assert.equal(stdout, `start vm web-1: done in 2.0s\n  id: ${vmId}\n  console: ready\n`);
  assert.equal(stderr, "  done   start  1.5s\n");
  await socle(["vm", "start", "web-1"], { socket });
  assert.match(requestIds[0] ?? "", /^[0-9a-f-]{36}$/);
  assert.notEqual(requestIds[0], requestIds[1]);
  await socle(["vm", "start", "web-1", "--request-id", "mine"], { socket });
  assert.equal(requestIds[2], "mine");
});

test("--json prints the operation and nothing else", async (context) => {
  const socket = await fakeAgent(context, {
    vms: { RebootVm: (_call, done) => done(null, running) },
    operations: endsWith(operation({ kind: "REBOOT_VM" })),
  });
  const { stdout, stderr } = await socle(["vm", "reboot", "web-1", "--json"], { socket });
  assert.equal((JSON.parse(stdout) as { state: string }).state, "STATE_SUCCEEDED");
  assert.equal(stderr, "");
});

test("--no-wait prints the operation's id", async (context) => {
  const socket = await fakeAgent(context, { vms: { PauseVm: (_call, done) => done(null, running) } });
  const { exitCode, stdout } = await socle(["vm", "pause", "web-1", "--no-wait"], { socket });
  assert.deepEqual([exitCode, stdout], [0, "op-1\n"]);
});

test("a failed operation exits by its error's kind, and says what was undone", async (context) => {
  const contract = await loadContract(protoDirectory);
  const error = rpcStatus(contract, status.RESOURCE_EXHAUSTED, "cell 0 has 1 GiB left", {
    reason: "CAPACITY",
  });
  const steps = [
    {
      name: "define",
      startedAt: { seconds: 1, nanos: 0 },
      endedAt: { seconds: 1, nanos: 1e8 },
      outcome: "undone",
    },
    {
      name: "start",
      startedAt: { seconds: 1, nanos: 0 },
      endedAt: { seconds: 2, nanos: 0 },
      outcome: "failed",
    },
  ];
  const socket = await fakeAgent(context, {
    vms: { StartVm: (_call, done) => done(null, running) },
    operations: endsWith(operation({ state: "STATE_FAILED", error, steps })),
  });
  const { exitCode, stdout, stderr } = await socle(["vm", "start", "web-1"], { socket });
  assert.deepEqual([exitCode, stdout], [5, ""]);
  assert.equal(stderr, "  undone define  0.1s\n  failed start  1.0s\nsocle: cell 0 has 1 GiB left\n");
});

test("--timeout leaves the operation to go on, and says how to find it again", async (context) => {
  const socket = await fakeAgent(context, {
    vms: { StartVm: (_call, done) => done(null, running) },
    operations: endsWith(),
  });
  const { exitCode, stderr } = await socle(["vm", "start", "web-1", "--timeout", "100ms"], { socket });
  assert.equal(exitCode, 6);
  assert.match(stderr, /did not end in 0\.1s: it goes on; see socle operations wait op-1/);
});

test("Ctrl-C leaves the operation to go on", async (context) => {
  const socket = await fakeAgent(context, {
    vms: { StartVm: (_call, done) => done(null, running) },
    operations: {
      WatchOperations: (call) => {
        call.write(running);
        process.emit("SIGINT");
      },
    },
  });
  const { exitCode, stderr } = await socle(["vm", "start", "web-1"], { socket });
  assert.equal(exitCode, 130);
  assert.match(stderr, /interrupted: it goes on; see socle operations wait op-1/);
});

test("an outcome that is not known is said, not guessed", async (context) => {
  const unknown = operation({ ...running, state: "STATE_OUTCOME_UNKNOWN" });
  const socket = await fakeAgent(context, {
    vms: { StartVm: (_call, done) => done(null, running) },
    operations: endsWith(unknown, unknown, operation()),
  });
  const { exitCode, stderr } = await socle(["vm", "start", "web-1"], { socket });
  assert.equal(exitCode, 0);
  assert.equal(stderr.match(/what came of it will be found out/g)?.length, 1);
});

test("stop says how long and how hard", async (context) => {
  const asked: StopVmRequest__Output[] = [];
  const socket = await fakeAgent(context, {
    vms: {
      StopVm: (call, done) => {
        asked.push(call.request);
        done(null, operation());
      },
    },
  });
  await socle(["vm", "stop", "web-1"], { socket });
  await socle(["vm", "stop", "web-1", "--grace", "1500ms", "--force"], { socket });
  await socle(["vm", "stop", "web-1", "--grace", "0", "--force"], { socket });
  assert.deepEqual(
    asked.map(({ gracefulTimeout, force }) => [gracefulTimeout, force]),
    [
      [null, false],
      [{ seconds: 1, nanos: 5e8 }, true],
      [{ seconds: 0, nanos: 0 }, true],
    ],
  );
  assert.equal((await socle(["vm", "stop", "web-1", "--grace", "soon"], { socket })).exitCode, 2);
});

async function creator(context: TestContext): Promise<{ socket: string; asked: CreateVmRequest__Output[] }> {
  const asked: CreateVmRequest__Output[] = [];
  const socket = await fakeAgent(context, {
    vms: {
      CreateVm: (call, done) => {
        asked.push(call.request);
        done(null, operation({ kind: "CREATE_VM" }));
      },
    },
  });
  return { socket, asked };
}

test("create says where the VM is to be, and whose room it takes", async (context) => {
  const { socket, asked } = await creator(context);
  const line =
    "vm create --name web-1 --vcpus 2 --memory 2GiB --disk a/b --dedicated-cpus --isolate-emulator --cell 1 --page-size 1GiB --device gpu0 --device 0000:3b:00.0 --reservation r-1";
  assert.equal((await socle(line.split(" "), { socket })).exitCode, 0);
  const { spec, reservationId } = asked[0] ?? {};
  assert.equal(reservationId, "r-1");
  assert.deepEqual(
    { ...spec?.placement },
    {
      dedicatedCpus: true,
      cellPolicy: "CELL_POLICY_STRICT",
      cell: 1,
      _cell: "cell",
      pageSizeBytes: 2 ** 30,
      isolatedEmulator: true,
      devices: ["gpu0", "0000:3b:00.0"],
    },
  );
});

test("a reservation is made, renewed, released and listed", async (context) => {
  const asked: unknown[] = [];
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
    asked.push(call.request);
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
  const [reserve, renew, release] = asked as Record<string, unknown>[];
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

test("create makes a spec of its flags", async (context) => {
  const { socket, asked } = await creator(context);
  const line =
    "vm create --name web-1 --vcpus 2 --memory 1.5GiB --disk new:default:10GiB:debian.qcow2 --disk default/dir/data.raw --nic default --nic bridge:br0 --kernel boot/vmlinuz --initrd boot/initrd --accelerator tcg --firmware uefi --label a=b --label c=d=e --tenant blue --guest-agent --leave-stopped";
  const { exitCode, stderr } = await socle([...line.split(" "), "--cmdline", "console=ttyS0 quiet"], {
    socket,
  });
  assert.deepEqual([exitCode, stderr], [0, "  done   start  1.5s\n"]);
  const { spec, leaveStopped, validateOnly } = asked[0] ?? {};
  assert.deepEqual([leaveStopped, validateOnly], [true, false]);
  assert.deepEqual(
    {
      ...spec,
      disks: spec?.disks.map(({ name, volume, newVolume }) => ({ name, ...(volume ?? newVolume) })),
    },
    {
      name: "web-1",
      vmId: "",
      vcpus: 2,
      cpuTopology: null,
      cpuMode: "CPU_MODE_UNSPECIFIED",
      cpuModel: "",
      memoryBytes: 1.5 * 2 ** 30,
      accelerator: "ACCELERATOR_TCG",
      firmware: "FIRMWARE_UEFI",
      disks: [
        {
          name: "disk0",
          pool: "default",
          capacityBytes: 10 * 2 ** 30,
          format: "DISK_FORMAT_UNSPECIFIED",
          baseVolume: "debian.qcow2",
        },
        { name: "disk1", pool: "default", volume: "dir/data.raw" },
      ],
      nics: [
        {
          name: "nic0",
          mac: "",
          allowSpoofing: false,
          allowedAddresses: [],
          network: "default",
          source: "network",
        },
        {
          name: "nic1",
          mac: "",
          allowSpoofing: false,
          allowedAddresses: [],
          bridge: "br0",
          source: "bridge",
        },
      ],
      kernelBoot: {
        kernel: { pool: "boot", volume: "vmlinuz" },
        initrd: { pool: "boot", volume: "initrd" },
        commandLine: "console=ttyS0 quiet",
      },
      guestAgent: true,
      tenant: "blue",
      labels: { a: "b", c: "d=e" },
      autostart: false,
      placement: null,
    },
  );
});

test("create takes a file, which flags win over, and --dry-run changes nothing", async (context) => {
  const { socket, asked } = await creator(context);
  const directory = await mkdtemp(join(tmpdir(), "socle-cli-"));
  context.after(() => rm(directory, { recursive: true }));
  const file = join(directory, "vm.yaml");
  await writeFile(
    file,
    `name: web-1
vcpus: 1
memory: 512MiB
cpuMode: host-model
disks:
  - { name: root, newVolume: { pool: default, capacity: 1GiB, format: raw } }
  - { name: data, volume: default/data.raw, readOnly: true }
labels: { tier: front }
`,
  );
  const { stdout } = await socle(
    ["vm", "create", "-f", file, "--vcpus", "4", "--label", "x=y", "--dry-run"],
    {
      socket,
    },
  );
  assert.match(stdout, /nothing was changed \(--dry-run\)\n$/);
  const { spec, validateOnly } = asked[0] ?? {};
  assert.equal(validateOnly, true);
  assert.equal(spec?.vcpus, 4);
  assert.equal(spec.memoryBytes, 512 * 2 ** 20);
  assert.equal(spec.cpuMode, "CPU_MODE_HOST_MODEL");
  assert.deepEqual(spec.labels, { tier: "front", x: "y" });
  assert.equal(spec.disks[0]?.newVolume?.capacityBytes, 2 ** 30);
  assert.equal(spec.disks[0].newVolume.format, "DISK_FORMAT_RAW");
  assert.deepEqual(spec.disks[1]?.volume, { pool: "default", volume: "data.raw" });

  const stdin = new PassThrough();
  stdin.end(JSON.stringify({ name: "web-2", vcpus: 1, memoryBytes: 2 ** 30 }));
  assert.equal((await socle(["vm", "create", "-f", "-"], { socket, stdin })).exitCode, 0);
  assert.equal(asked[1]?.spec?.name, "web-2");
});

test("create refuses what it cannot mean before it asks the agent", async (context) => {
  const { socket, asked } = await creator(context);
  const refused = async (line: string, stdin = ""): Promise<string> => {
    const { exitCode, stderr } = await socle(["vm", "create", ...line.split(" ")], {
      socket,
      stdin: new PassThrough().end(stdin),
    });
    assert.equal(exitCode, 2, stderr);
    return stderr;
  };
  const base = "--name a --vcpus 1 --memory 1GiB";
  assert.match(await refused("--name a"), /a VM needs --vcpus, --memory/);
  assert.match(
    await refused("--name a --vcpus 0 --memory 1GiB"),
    /--vcpus takes a whole number from 1, not '0'/,
  );
  assert.match(await refused("--name a --vcpus 1 --memory lots"), /--memory takes a size like/);
  assert.match(await refused(`${base} --disk novolume`), /--disk takes POOL\/VOLUME/);
  assert.match(await refused(`${base} --disk new:default`), /for example new:default:10GiB/);
  assert.match(await refused(`${base} --label x`), /--label takes key=value/);
  assert.match(await refused(`${base} --initrd a/b`), /give --kernel as well/);
  assert.match(await refused(`${base} --accelerator xen`), /Allowed choices are kvm, tcg/);
  assert.match(await refused(`${base} --nonsense`), /unknown option '--nonsense'/);
  const misspelled = await refused(
    "-f -",
    "{ name: a, memoryMb: 512, disks: [{ name: x, volume: nopool, sise: 1 }] }",
  );
  assert.match(misspelled, /stdin is not a VM's spec/);
  assert.match(misspelled, /memoryMb: is not a field of a VM's spec/);
  assert.match(misspelled, /disks\[0\]\.sise: is not a field/);
  assert.match(await refused("-f -", "{ name: ["), /stdin is neither YAML nor JSON/);
  const missing = await socle(["vm", "create", "-f", "/nonexistent/vm.yaml"], { socket });
  assert.equal(missing.exitCode, 3);
  assert.match(missing.stderr, /there is no such file/);
  assert.equal(asked.length, 0);
});

async function deleter(context: TestContext): Promise<{ socket: string; asked: DeleteVmRequest__Output[] }> {
  const asked: DeleteVmRequest__Output[] = [];
  const socket = await fakeAgent(context, {
    vms: {
      GetVm: (_call, done) => done(null, vm()),
      DeleteVm: (call, done) => {
        asked.push(call.request);
        done(null, operation({ kind: "DELETE_VM" }));
      },
    },
  });
  return { socket, asked };
}

test("rm asks a person first, shows what goes, and deletes what was shown", async (context) => {
  const { socket, asked } = await deleter(context);
  const answer = (text: string) => Object.assign(new PassThrough(), { isTTY: true }).end(text);
  const no = await socle(["vm", "rm", "web-1"], { socket, stdin: answer("n\n") });
  assert.equal(no.exitCode, 5);
  assert.match(
    no.stderr,
    /VM web-1 \(.*\), running\n {2}is destroyed: disk root .*\n {2}is kept: disk data .*\nDelete web-1\?/,
  );
  assert.match(no.stderr, /nothing was deleted/);
  const nothing = await socle(["vm", "rm", "web-1"], { socket, stdin: answer("") });
  assert.equal(nothing.exitCode, 130);
  assert.equal(asked.length, 0);
  const yes = await socle(["vm", "rm", "web-1"], { socket, stdin: answer("yes\n") });
  assert.equal(yes.exitCode, 0);
  await socle(["vm", "rm", "web-1", "--yes", "--keep-disks", "--force"], { socket, stdin: answer("") });
  await socle(["vm", "rm", "web-1"], { socket });
  assert.deepEqual(
    asked.map(({ etag, keepDisks, force }) => [etag, keepDisks, force]),
    [
      ["e1", false, false],
      ["", true, true],
      ["", false, false],
    ],
  );
});

test("rm --dry-run shows what would be destroyed and asks for nothing", async (context) => {
  const { socket, asked } = await deleter(context);
  const { stdout } = await socle(["vm", "rm", "web-1", "--dry-run"], { socket });
  assert.match(stdout, /is destroyed: disk root.*\n.*is kept: disk data.*\nnothing was changed/);
  const kept = await socle(["vm", "rm", "web-1", "--dry-run", "--keep-disks", "--json"], { socket });
  assert.deepEqual((JSON.parse(kept.stdout) as { destroys: unknown }).destroys, []);
  assert.equal(asked.length, 0);
});

test("cordon keeps its reason and uncordon takes it back", async (context) => {
  const asked: [string, string][] = [];
  const socket = await fakeAgent(context, {
    host: {
      SetSchedulingState: ({ request: { state, reason } }, done) => {
        asked.push([state, reason]);
        done(null, { schedulingState: state });
      },
    },
  });
  assert.equal((await socle(["cordon"], { socket })).exitCode, 2);
  assert.match((await socle(["cordon", "--reason", "repair"], { socket })).stdout, /^cordoned/);
  assert.match((await socle(["uncordon"], { socket })).stdout, /^active/);
  assert.deepEqual(asked, [
    ["LIFECYCLE_STATE_CORDONED", "repair"],
    ["LIFECYCLE_STATE_ACTIVE", ""],
  ]);
});

test("an answer that never came tells how to ask again without doing it twice", async (context) => {
  const contract = await loadContract(protoDirectory);
  const late = rpcError(contract, status.DEADLINE_EXCEEDED, "too late", { reason: "DEADLINE" });
  const socket = await fakeAgent(context, { vms: { ResumeVm: (_call, done) => done(late) } });
  const { exitCode, stderr } = await socle(["vm", "resume", "web-1", "--request-id", "r7"], { socket });
  assert.equal(exitCode, 6);
  assert.match(stderr, /the agent may have begun: repeat it with --request-id r7/);
});

test("health ack acknowledges by type, says what is left to come, and repeats under the same id", async (context) => {
  const asked: { requestId: string; type: string }[] = [];
  const condition = {
    type: "MemoryUncorrected",
    status: "TRUTH_TRUE",
    latched: true,
    untilReboot: true,
  } as const;
  const socket = await fakeAgent(context, {
    host: {
      AcknowledgeCondition: (call, done) => {
        asked.push(call.request);
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
  assert.equal(stdout, "MemoryUncorrected: acknowledged; it ends when the host was rebooted and is well\n");
  assert.deepEqual(asked, [{ requestId: "mine", type: "MemoryUncorrected" }]);
});
