// The API's reports of guests' usage and of a KVM that fails after the start, on a real host.
import assert from "node:assert/strict";
import { totalmem } from "node:os";
import { after, before, suite, test } from "node:test";
import type { ConsoleResponse__Output } from "../../agent/gen/socle/v1/ConsoleResponse.ts";
import type { Event__Output } from "../../agent/gen/socle/v1/Event.ts";
import type { VmStats__Output } from "../../agent/gen/socle/v1/VmStats.ts";
import { isUp, typeEnter } from "../support/linux-console.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { linux, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const patient = { timeoutMs: 120_000 };

suite("usage reports of a real agent", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let host: SocleHost;
  before(async () => {
    host = await SocleHost.start({ config: { vm: { sampleIntervalSeconds: 1 } } });
  });
  after(() => host.stop());

  const statsOf = async (vm: string): Promise<VmStats__Output | null> =>
    (await host.client.ask(host.client.contract.vms.GetVm, { vm })).stats;
  const seconds = ({ sampledAt }: VmStats__Output): number =>
    Number(sampledAt?.seconds) + (sampledAt?.nanos ?? 0) / 1e9;

  test("a guest's rates are the growth of its counters between two samplings", async () => {
    const end = await host.create(linux("busy"));
    assert.equal(end.state, "STATE_SUCCEEDED", end.error?.message);
    let before: VmStats__Output | undefined;
    // Consecutive samplings; if this process missed one of them, the next two are used.
    const rates = await eventually(
      async () => {
        const stats = await statsOf("busy");
        if (stats === null || (before !== undefined && seconds(stats) <= seconds(before))) return undefined;
        const earlier = before;
        before = stats;
        if (earlier?.cpuSeconds === undefined || stats.cpuSeconds === undefined) return undefined;
        const grown = (stats.cpuSeconds - earlier.cpuSeconds) / (seconds(stats) - seconds(earlier));
        const reported = stats.rates?.cpuCores ?? NaN;
        const isSame = grown > 0 && Math.abs(reported - grown) <= 0.02 + grown * 0.02;
        return isSame && stats.rates !== null && stats.rates;
      },
      { ...patient, what: "rates that equal the counters' growth" },
    );
    assert.ok((rates.cpuCores ?? 0) > 0);
    // It has neither a disk nor a NIC, so there are no such rates.
    for (const name of ["diskReadBytesPerSecond", "receiveBytesPerSecond"] as const)
      assert.ok(rates[name] === undefined || rates[name] === 0, name);
    const listed = (await host.list()).vms.find(({ name }) => name === "busy");
    assert.ok(listed?.stats?.rates?.cpuCores !== undefined, "a list has them too");
  });

  test("the host's usage is reported with its time", async () => {
    const { usage } = await eventually(
      async () => {
        const now = await host.host();
        // A machine that is itself a VM may gain and lose memory.
        const isWhole = now.usage?.memoryTotalBytes === totalmem();
        return now.usage?.cpuBusyRatio !== undefined && isWhole && now;
      },
      { ...patient, what: "the share of its CPUs that is busy, and its memory" },
    );
    const { cpuBusyRatio = NaN, memoryAvailableBytes = NaN, readAt } = usage ?? {};
    assert.ok(cpuBusyRatio > 0 && cpuBusyRatio <= 1, `${cpuBusyRatio}`);
    assert.ok(memoryAvailableBytes > 0 && memoryAvailableBytes < totalmem());
    assert.ok(Math.abs(Number(readAt?.seconds) - Date.now() / 1000) < 60);
  });

  // Last, since without a working KVM the host takes no more VMs.
  test("a KVM that stops a guest after its start causes an event and a condition", async (t) => {
    const isUsable = (await host.host()).inventory?.traits.includes("kvm") ?? false;
    if (!isUsable) {
      t.skip("this machine has no KVM to test");
      return;
    }
    const { contract } = host.client;
    const events: Event__Output[] = [];
    const subscription = host.client.watch(contract.events.Subscribe, {});
    // It ends with the client, after the last test.
    void (async () => {
      for await (const event of subscription) events.push(event);
    })().catch(() => undefined);
    // A plain CPU model: with the host's own, such a KVM may not even start.
    const cpu = { accelerator: "ACCELERATOR_KVM", cpuMode: "CPU_MODE_CUSTOM", cpuModel: "kvm64" } as const;
    const end = await host.create(linux("late", cpu));
    if (end.state !== "STATE_SUCCEEDED") {
      t.skip(`this KVM does not even start a guest: ${end.error?.message}`);
      return;
    }
    let printed = "";
    const console = host.client.open(contract.vms.Console);
    t.after(() => console.cancel());
    console.on("data", ({ output }: ConsoleResponse__Output) => (printed += output.toString("latin1")));
    console.on("error", () => undefined);
    console.write({ vm: "late" });
    t.after(typeEnter((input) => console.write({ input })));
    const isReported = ({ kind, details, reason }: Event__Output): boolean =>
      kind === "EVENT_KIND_CONDITION_CHANGED" &&
      details["condition"] === "KvmUnavailable" &&
      details["status"] === "true" &&
      reason === "GuestFailedOnKvm";
    const outcome = await eventually(() => events.find(isReported) ?? (isUp(printed) && "booted"), {
      timeoutMs: 120_000,
      what: "the guest to boot, or the event with the reason",
    }).catch(async (thrown: unknown) => {
      if ((await host.virsh("domstate", "late")) !== "running") throw thrown;
      return "slow" as const;
    });
    if (outcome === "booted" || outcome === "slow") {
      // An emulated KVM on a busy machine may not even reach the instruction that stops it.
      t.skip(
        outcome === "booted" ? "KVM runs guests on this machine" : "KVM is too slow to show whether it works",
      );
      return;
    }
    assert.equal(outcome.details["effect"], "no_schedule");
    assert.match(outcome.details["evidence"] ?? "", /VM late was stopped by an internal error of KVM/);
    const { health } = await host.host();
    const condition = health?.conditions.find(({ type }) => type === "KvmUnavailable");
    assert.deepEqual([condition?.status, health?.schedulable], ["TRUTH_TRUE", "TRUTH_FALSE"]);
    assert.equal(condition?.evidence.includes("VM late was stopped"), true);
  });
});
