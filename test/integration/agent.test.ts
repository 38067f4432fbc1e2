// The main job on the whole agent as a process: a scheduler places a guest, its console works, metrics and events report it,
// and neither a crash nor a stop of the agent harms it.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, suite, test } from "node:test";
import { callAgent, vmService } from "../scheduler/contract.ts";
import type { KnownHost } from "../scheduler/host.ts";
import { NoRoom, Scheduler } from "../scheduler/scheduler.ts";
import { SocleError } from "../../agent/kernel/errors.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import type { ConsoleResponse__Output } from "../../agent/gen/socle/v1/ConsoleResponse.ts";
import { untilUp } from "../support/linux-console.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { Prometheus, prometheusUnavailable } from "../support/prometheus.ts";
import { bootSector, linux, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const MIB = 2 ** 20;
const CRASHES = 10;

suite("the main job", { skip: libvirtdUnavailable() }, () => {
  let scheduler: Scheduler;
  let host: SocleHost;
  let known: KnownHost;

  before(async () => {
    scheduler = await Scheduler.start({ heartbeatMs: 200, reconnectSpreadMs: 50 });
    host = await SocleHost.start({
      config: {
        api: { listen: "127.0.0.1:0" },
        scheduler: { address: scheduler.address },
        vm: { sampleIntervalSeconds: 1 },
      },
    });
    known = await schedulable();
  });
  after(async () => {
    await host.stop();
    scheduler.stop();
  });

  const schedulable = (): Promise<KnownHost> =>
    eventually(
      () => {
        const [first] = [...scheduler.hosts.values()].filter(({ connected }) => connected);
        const isReady = first?.host?.health?.schedulable === "TRUTH_TRUE" && first.available("cpu") > 0;
        return isReady && first;
      },
      { what: "a host that can be scheduled on", timeoutMs: 30_000 },
    );

  /** Restarts the agent and reconnects. */
  async function startAgain(): Promise<void> {
    await host.agent.startAgain();
    await host.reconnect();
    await host.untilListed();
  }

  /** A guest's process, by its id and start time in clock ticks: the same pair is the same process. */
  async function processOf(name: string): Promise<string> {
    const command = `cut -d ' ' -f 1,22 /proc/$(cat /run/libvirt/qemu/${name}.pid)/stat`;
    return await host.libvirtd.run("sh", ["-c", command]);
  }

  test("registration reports the host's identity and inventory", async () => {
    const seen = await host.host();
    assert.equal(known.hostId, seen.identity?.hostId);
    assert.equal(known.hello?.hostname, seen.identity?.hostname);
    assert.deepEqual(known.host?.capacity?.cells, seen.capacity?.cells);
    assert.ok(known.available("memory") > 1024 * MIB);
    assert.match(known.hello?.agentAddress ?? "", /^127\.0\.0\.1:[1-9]\d*$/);
  });

  test("a guest is placed, runs, and is reported to the scheduler", async () => {
    const before = { cpu: known.available("cpu"), memory: known.available("memory") };
    const { operation } = await scheduler.place(linux("steady", { labels: { app: "main-job" } }));
    const vm = await eventually(
      () => {
        const found = known.vms.get(operation.vmId);
        return found?.state === "VM_STATE_RUNNING" && found;
      },
      { what: "the guest in a delta" },
    );
    assert.deepEqual([vm.name, vm.managed, vm.labels["app"]], ["steady", true, "main-job"]);
    await eventually(() => known.available("cpu") === before.cpu - 1, { what: "its room to be taken" });
    assert.ok(known.available("memory") <= before.memory - 128 * MIB);
    await eventually(
      () => known.events.some(({ vmId, vmState }) => vmId === vm.vmId && vmState === "VM_STATE_RUNNING"),
      { what: "its event" },
    );
    assert.equal(await host.virsh("domstate", "steady"), "running");
    assert.equal(known.mismatches, 0, "after every delta both sides have the same state");
  });

  test("its console prints the guest's output", async () => {
    const call = host.client.open(host.client.contract.vms.Console);
    let printed = "";
    call.on("data", ({ output }: ConsoleResponse__Output) => (printed += output.toString("latin1")));
    call.on("error", () => undefined);
    call.write({ vm: "steady" });
    await untilUp(
      () => printed,
      (input) => call.write({ input }),
    );
    call.cancel();
  });

  test(
    "its metrics equal virsh's output, and a real Prometheus accepts them",
    { skip: prometheusUnavailable() },
    async (t) => {
      const { vmId } = await host.client.ask(host.client.contract.vms.GetVm, { vm: "steady" });
      const stats = await domainStats(host, "steady");
      const series = await eventually(
        async () => {
          const found = await metricsOf(host, vmId);
          return (found.get("socle_vm_cpu_seconds_total") ?? 0) >= stats.cpuSeconds && found;
        },
        { what: "a sample that is newer than virsh's value" },
      );
      const later = await domainStats(host, "steady");
      const cpuSeconds = series.get("socle_vm_cpu_seconds_total") ?? 0;
      assert.ok(stats.cpuSeconds <= cpuSeconds && cpuSeconds <= later.cpuSeconds, `${cpuSeconds} s of CPU`);
      assert.equal(series.get("socle_vm_memory_balloon_bytes"), later.balloonBytes);
      assert.equal(series.get("socle_vm_memory_maximum_bytes"), 128 * MIB);

      const prometheus = await Prometheus.start({ targets: [host.agent.metricsAddress] });
      t.after(() => prometheus.stop());
      const [info] = await prometheus.queryUntil(`socle_vm_info{vm="${vmId}"}`);
      assert.equal(info?.labels["name"], "steady");
      const [scraped] = await prometheus.queryUntil(`socle_vm_cpu_seconds_total{vm="${vmId}"}`);
      assert.ok((scraped?.value ?? 0) >= cpuSeconds);
      await prometheus.targetsUp();
    },
  );

  test(`${CRASHES} crashes during a create: guests run on, operations end, no partial VM remains`, async (t) => {
    const steady = await processOf("steady");
    const epoch = (await host.host()).position?.agentEpoch ?? 0;
    const images = await host.volumes();
    const spec = (name: string): VmSpec => {
      const boot = { name: "boot", volume: { pool: "images", volume: "bootsector.img" }, readOnly: true };
      const data = { name: "data", newVolume: { pool: "images", capacityBytes: 8 * MIB } };
      return bootSector(name, { vmId: randomUUID(), disks: [boot, data] });
    };
    const volumeOf = ({ vmId }: VmSpec): string => `socle-${vmId}-data.qcow2`;
    const startedMs = performance.now();
    assert.equal((await host.create(spec("measured"))).state, "STATE_SUCCEEDED");
    const createMs = performance.now() - startedMs;
    await host.remove("measured");

    const ends: string[] = [];
    for (let crash = 1; crash <= CRASHES; crash += 1) {
      const wanted = spec(`crashed-${crash}`);
      const requestId = randomUUID();
      const begun = host.beginCreate(wanted, { requestId }).catch(() => undefined);
      const atMs = Math.random() * createMs;
      await new Promise((resolve) => setTimeout(resolve, atMs));
      await host.agent.kill();
      const reported = await begun;
      await startAgain();
      const again = await host.beginCreate(wanted, { requestId });
      if (reported !== undefined)
        assert.equal(again.operationId, reported.operationId, "the same request, the same operation");
      const end = await host.end(again);
      ends.push(`${Math.round(atMs)} ms: ${reported === undefined ? "no reply, " : ""}${end.state}`);
      const isMade = end.state === "STATE_SUCCEEDED";
      assert.ok(isMade || end.state === "STATE_FAILED", `${end.state} after ${atMs} ms`);
      const words = `after ${atMs} ms, ${end.state}: ${JSON.stringify([end.steps, end.error])}`;
      assert.deepEqual(await host.domains(), isMade ? ["steady", wanted.name] : ["steady"], words);
      assert.deepEqual(await host.volumes(), isMade ? [...images, volumeOf(wanted)].sort() : images, words);
      if (isMade) {
        assert.equal(await host.virsh("domstate", wanted.name ?? ""), "running");
        await host.remove(wanted.name ?? "");
      }
      assert.equal(await processOf("steady"), steady, "the guest was never affected");
    }
    t.diagnostic(`a create takes ${Math.round(createMs)} ms; killed at ${ends.join("; ")}`);
    const { operations } = await host.client.ask(host.client.contract.operations.ListOperations, {
      pageSize: 1000,
    });
    assert.deepEqual(
      operations.filter(({ done }) => !done),
      [],
    );
    assert.equal((await host.host()).position?.agentEpoch, epoch + CRASHES);
    assert.deepEqual(await host.volumes(), images);
    const capacity = (await host.host()).capacity?.cells.flatMap(({ resources }) => resources) ?? [];
    const cpu = capacity.find(({ resource }) => resource === "cpu");
    assert.deepEqual([cpu?.allocated, cpu?.claimed], [1, 0], "no capacity is lost");
    await eventually(() => known.agentEpoch === epoch + CRASHES && known.vms.size === 1, {
      what: "the scheduler to follow",
    });
  });

  test("an orderly stop leaves guests running, and the next start finds them", async () => {
    const steady = await processOf("steady");
    assert.equal(await host.agent.terminate(), 0, host.agent.output());
    assert.match(known.goodbye ?? "", /./, "the scheduler got the goodbye");
    assert.equal(await processOf("steady"), steady);
    assert.equal(await host.virsh("domstate", "steady"), "running");
    await startAgain();
    const { vms } = await host.list();
    assert.deepEqual(
      vms.map(({ name, state, managed }) => [name, state, managed]),
      [["steady", "VM_STATE_RUNNING", true]],
    );
  });

  test("SIGHUP changes only the log level", async () => {
    const { agent } = host;
    const config = {
      libvirt: { uri: host.libvirtd.uri },
      api: { listen: "127.0.0.1:0" },
      scheduler: { address: scheduler.address },
      vm: { sampleIntervalSeconds: 1 },
      guest: { socketDirectory: host.libvirtd.socketDirectory },
    };
    const seen = agent.log.length;
    await host.list();
    assert.ok(!agent.log.slice(seen).some(({ level }) => level === "debug"));
    await agent.configure({ ...config, log: { level: "debug" } });
    agent.signal("SIGHUP");
    const reread = await agent.logged(({ msg }) => msg === "configuration read again", "the reload");
    assert.equal(reread["logLevel"], "debug");
    await host.list();
    await agent.logged(
      ({ level, method }) => level === "debug" && String(method).endsWith("/ListVms"),
      "a call at debug",
    );
    await agent.configure(config);
    agent.signal("SIGHUP");
    await agent.logged((line) => line["logLevel"] === "info", "the second reload");
    assert.ok(!agent.log.some(({ msg }) => msg.includes("restart the agent")));
  });

  test("a cordon survives the agent; the scheduler places elsewhere, and other creates are refused", async () => {
    const { contract } = host.client;
    const cordon = {
      requestId: randomUUID(),
      state: "LIFECYCLE_STATE_CORDONED",
      reason: "new fans",
    } as const;
    await host.client.ask(contract.host.SetSchedulingState, cordon);
    await host.agent.kill();
    await startAgain();
    const cordoned = await host.host();
    assert.deepEqual(
      [cordoned.schedulingState, cordoned.schedulingReason],
      ["LIFECYCLE_STATE_CORDONED", "new fans"],
    );
    await eventually(() => known.connected && known.host?.schedulingState === "LIFECYCLE_STATE_CORDONED", {
      what: "the scheduler to have the state",
    });
    await assert.rejects(scheduler.place(bootSector("elsewhere")), NoRoom);
    await assert.rejects(host.beginCreate(bootSector("unasked")), (error) => {
      return (
        error instanceof SocleError && error.reason === "HOST_CORDONED" && error.message.includes("new fans")
      );
    });
    const address = known.hello?.agentAddress ?? "";
    const uncordon = { requestId: randomUUID(), state: "LIFECYCLE_STATE_ACTIVE", reason: "" } as const;
    await assert.rejects(callAgent(address, contract.host.SetSchedulingState, uncordon, 5000), { code: 7 });
    await host.client.ask(contract.host.SetSchedulingState, uncordon);
    await schedulable();
    const { operation } = await scheduler.place(bootSector("back"));
    const byName = await callAgent(known.hello?.agentAddress ?? "", vmService.GetVm, { vm: "back" }, 5000);
    assert.equal(byName.vmId, operation.vmId);
    await host.remove("back");
  });

  // Last, since without a working KVM the host is not schedulable from here on.
  test("a KVM that opens and cannot run guests is detected, reported and not used again", async (t) => {
    const hasKvm = async (): Promise<boolean> =>
      (await host.host()).inventory?.traits.includes("kvm") ?? false;
    if (!(await hasKvm())) {
      t.skip("this machine has no KVM to test");
      return;
    }
    const spec = bootSector("on-kvm", { accelerator: "ACCELERATOR_UNSPECIFIED" });
    const first = await host.create(spec);
    if (first.state === "STATE_SUCCEEDED") {
      t.skip("KVM runs guests on this machine");
      return;
    }
    t.diagnostic(`the first guest: ${first.error?.message ?? first.state}`);
    assert.deepEqual(await host.domains(), ["steady"], "the failed create is rolled back");
    const condition = await eventually(async () => {
      const found = (await host.host()).health?.conditions.find(({ type }) => type === "KvmUnavailable");
      return found?.status === "TRUTH_TRUE" && found;
    });
    t.diagnostic(`KvmUnavailable: ${condition.evidence}`);
    assert.equal(condition.effect, "EFFECT_NO_SCHEDULE");
    assert.notEqual(condition.evidence, "");
    await assert.rejects(host.beginCreate(spec), (error) => {
      assert.ok(error instanceof SocleError);
      assert.deepEqual([error.kind, error.reason], ["conflict", "KVM_UNAVAILABLE"]);
      // If QEMU's error text is too long for a trailer, its beginning and its end are sent.
      const { evidence } = condition;
      const reported = error.details.metadata?.["evidence"] ?? "";
      const [begin = "", end] = reported.split("…");
      const isBothEnds = end !== undefined && evidence.startsWith(begin) && evidence.endsWith(end);
      assert.ok(reported === evidence || isBothEnds, reported);
      assert.match(error.message, /TCG/);
      return true;
    });
    await eventually(async () => !(await hasKvm()), { what: "the trait to be removed" });
    const emulated = await host.create(bootSector("on-tcg"));
    assert.equal(emulated.state, "STATE_SUCCEEDED", emulated.error?.message);
    assert.equal(await host.virsh("domstate", "on-tcg"), "running");
    await eventually(() => known.host?.health?.schedulable === "TRUTH_FALSE", {
      what: "the scheduler to have the state",
    });
  });
});

/** virsh's current data of a domain. */
async function domainStats(
  host: SocleHost,
  name: string,
): Promise<{ cpuSeconds: number; balloonBytes: number }> {
  const text = await host.virsh("domstats", "--cpu-total", "--balloon", name);
  const fields = new Map(
    [...text.matchAll(/^\s+(\S+)=(\S+)$/gm)].map(([, key, value]) => [key, Number(value)]),
  );
  return {
    cpuSeconds: (fields.get("cpu.time") ?? NaN) / 1e9,
    balloonBytes: (fields.get("balloon.current") ?? NaN) * 1024,
  };
}

/** The series of one VM without other labels, by name. */
async function metricsOf(host: SocleHost, vmId: string): Promise<Map<string, number>> {
  const response = await fetch(`http://${host.agent.metricsAddress}/metrics`);
  const lines = [...(await response.text()).matchAll(/^(\w+)\{vm="([^"]+)"\} (\S+)/gm)];
  return new Map(lines.flatMap(([, name = "", id, value]) => (id === vmId ? [[name, Number(value)]] : [])));
}
