import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { checkGuestsUnit } from "../../../agent/cli/doctor/guests-check.ts";
import type { StopVmRequest__Output } from "../../../agent/gen/socle/v1/StopVmRequest.ts";
import type { Vm } from "../../../agent/gen/socle/v1/Vm.ts";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";

const vm = (name: string, startPriority: number, changes: Vm = {}): Vm => ({
  vmId: `id-of-${name}`,
  name,
  managed: true,
  state: "VM_STATE_RUNNING",
  spec: { name, startPriority },
  ...changes,
});

/** An agent with these VMs; those in `deaf` stop only with force. It has none in the first `unlistedLooks`. */
async function stage(
  t: TestContext,
  vms: readonly Vm[],
  deaf: ReadonlySet<string> = new Set(),
  unlistedLooks = 0,
) {
  let looks = 0;
  const requests: StopVmRequest__Output[] = [];
  const off = new Set<string>();
  const isOff = ({ vmId = "" }: Vm): boolean => off.has(vmId);
  const socket = await fakeAgent(t, {
    vms: {
      ListVms: (_call, done) => {
        looks += 1;
        const isListed = looks > unlistedLooks;
        done(null, {
          vms: (isListed ? vms : []).map((each) =>
            isOff(each) ? { ...each, state: "VM_STATE_STOPPED" } : each,
          ),
          observation: { presence: isListed ? "PRESENCE_PRESENT" : "PRESENCE_UNKNOWN" },
        });
      },
      StopVm: (call, done) => {
        const { vm: id, force } = call.request;
        requests.push(call.request);
        const stops = force || !deaf.has(id);
        if (stops) off.add(id);
        const end = stops ? { state: "STATE_SUCCEEDED" as const } : { state: "STATE_FAILED" as const };
        done(null, { operationId: "o", done: true, ...end });
      },
    },
  });
  return { socket, requests, asked: () => requests.map(({ vm: id }) => id.replace("id-of-", "")) };
}

test("guests stop in the reverse order of their start, unmanaged ones never", async (t) => {
  const vms = [
    vm("first", 100),
    vm("last", 0),
    vm("middle", 50),
    vm("off", 0, { state: "VM_STATE_STOPPED" }),
    vm("foreign", 0, { managed: false }),
  ];
  const { socket, requests, asked } = await stage(t, vms);
  const refused = await socle(["host", "stop-guests"], { socket });
  assert.equal(refused.exitCode, 2);
  assert.match(refused.stderr, /--yes/);
  const dry = await socle(["host", "stop-guests", "--dry-run"], { socket });
  assert.equal(dry.exitCode, 0);
  assert.match(dry.stdout, /last.*\nmiddle.*\nfirst/);
  assert.deepEqual(requests, []);
  const { exitCode } = await socle(["host", "stop-guests", "--yes"], { socket });
  assert.equal(exitCode, 0);
  assert.deepEqual(asked(), ["last", "middle", "first"]);
  assert.ok(requests.every(({ force }) => !force));
});

test("a guest that does not stop costs its own share of the time, and is powered off only with --force", async (t) => {
  const vms = [vm("deaf", 0), vm("good", 1)];
  const kept = await stage(t, vms, new Set(["id-of-deaf"]));
  const line = ["host", "stop-guests", "--yes", "--timeout", "60s"];
  const { exitCode, stderr } = await socle(line, kept);
  assert.notEqual(exitCode, 0);
  assert.match(stderr, /1 VMs did not stop within .*deaf/);
  assert.deepEqual(kept.asked(), ["deaf", "good"]);
  const [share, rest] = kept.requests.map(({ gracefulTimeout }) => Number(gracefulTimeout?.seconds));
  assert.ok(
    share !== undefined && rest !== undefined && share <= 30 && share > 25 && rest > 55,
    `${share} ${rest}`,
  );

  const forced = await stage(t, vms, new Set(["id-of-deaf"]));
  assert.equal((await socle([...line, "--force"], forced)).exitCode, 0);
  assert.deepEqual(forced.asked(), ["deaf", "good", "deaf"]);
  assert.equal(forced.requests.at(-1)?.force, true);
});

test("guests that libvirt has not listed yet are stopped too, and never taken for absent", async (t) => {
  const late = await stage(t, [vm("web", 0)], new Set(), 2);
  assert.equal((await socle(["host", "stop-guests", "--yes"], late)).exitCode, 0);
  assert.deepEqual(late.asked(), ["web"]);
  const never = await stage(t, [vm("web", 0)], new Set(), Infinity);
  const { exitCode, stderr } = await socle(["host", "stop-guests", "--yes", "--timeout", "1s"], never);
  assert.notEqual(exitCode, 0);
  assert.match(stderr, /other guests may still run/);
});

test("with --at-shutdown guests stop only while systemd shuts the host down", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-systemctl-"));
  t.after(() => rm(directory, { recursive: true }));
  const { socket, asked } = await stage(t, [vm("web", 0)]);
  const run = async (state: string, job = ""): Promise<number> => {
    const script = `#!/bin/sh\ncase $1 in list-jobs) echo "${job}";; *) echo ${state};; esac\nexit 1\n`;
    await writeFile(join(directory, "systemctl"), script, { mode: 0o755 });
    return (await socle(["host", "stop-guests", "--at-shutdown"], { socket, env: { PATH: directory } }))
      .exitCode;
  };
  for (const state of ["running", "degraded", "unknown"]) assert.equal(await run(state), 0);
  assert.deepEqual(asked(), []);
  assert.equal(await run("starting"), 0);
  assert.equal(await run("running", "7 shutdown.target stop waiting"), 0);
  assert.deepEqual(asked(), []);
  // During the boot systemd does not report the shutdown as the host's state.
  assert.equal(await run("starting", "  7 shutdown.target start waiting"), 0);
  assert.deepEqual(asked(), ["web"]);
  const late = await stage(t, [vm("late", 0)]);
  const script = "#!/bin/sh\necho stopping\nexit 1\n";
  await writeFile(join(directory, "systemctl"), script, { mode: 0o755 });
  const env = { PATH: directory };
  assert.equal(
    (await socle(["host", "stop-guests", "--at-shutdown"], { socket: late.socket, env })).exitCode,
    0,
  );
  assert.deepEqual(late.asked(), ["late"]);
});

test("doctor reports that guests are not stopped with the host", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-systemctl-"));
  t.after(() => rm(directory, { recursive: true }));
  const verdict = async (load: string, active: string): Promise<string | undefined> => {
    const script = `#!/bin/sh\necho LoadState=${load}\necho ActiveState=${active}\n`;
    await writeFile(join(directory, "systemctl"), script, { mode: 0o755 });
    return (await checkGuestsUnit({ PATH: directory }))?.verdict;
  };
  assert.equal(await verdict("not-found", "inactive"), undefined);
  assert.equal(await verdict("loaded", "inactive"), "warn");
  assert.equal(await verdict("loaded", "active"), "ok");
});
