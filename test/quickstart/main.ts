// The main part of ./scripts/run: the main job, end to end, with the output of each part.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import { AgentProcess } from "../support/agent-process.ts";
import { linuxCommandLine } from "../support/guest.ts";
import { freePort } from "../support/ports.ts";
import { eventually } from "../support/wait.ts";
import { callAgent, vmService, operationService } from "../scheduler/contract.ts";
import type { KnownHost } from "../scheduler/host.ts";
import { Scheduler } from "../scheduler/scheduler.ts";
import { claimSingleRun } from "./single-run.ts";
import { DemoPool } from "./demo-pool.ts";
import { consoleOutput } from "./console-output.ts";
import { Story } from "./story.ts";

const { values } = parseArgs({ options: { once: { type: "boolean", default: false } } });
const MIB = 1024 * 1024;
const VM_NAME = "socle-demo";
const BOOT_MS = 45_000;

const story = new Story();
const stopped = new AbortController();
const interrupted = new Promise<never>((_, reject) => {
  const stop = (): void => {
    story.interrupted();
    stopped.abort(new Error("interrupted"));
    reject(new Error("interrupted"));
  };
  // Installed for the whole process, so that a second Ctrl-C leaves no VM behind.
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, stop);
});
interrupted.catch(() => undefined);
// A closed terminal or pipe does not prevent the cleanup.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
/** Runs the cleanups, newest first. Returns whether there were any. */
const undo: { what: string; act: () => Promise<boolean> }[] = [];

try {
  await demonstrate();
  if (!values.once) await interrupted;
} catch (thrown) {
  if (!stopped.signal.aborted) {
    story.failed(thrown);
    process.exitCode = 1;
  }
} finally {
  for (const { what, act } of undo.reverse()) {
    try {
      if (await act()) story.detail(`removed: ${what}`);
    } catch (thrown) {
      story.failed(thrown, `${what} could not be removed`);
      process.exitCode = 1;
    }
  }
}
story.end();

/**
 * Creates an object that is removed at the end, also if the demonstration is interrupted meanwhile: then this throws at once,
 * and the cleanup waits for the creation.
 */
async function make<T>(what: string, making: Promise<T>, unmake: (made: T) => Promise<unknown>): Promise<T> {
  const act = async (): Promise<boolean> => {
    const made = await making.catch(() => undefined);
    if (made !== undefined) await unmake(made);
    return made !== undefined;
  };
  undo.push({ what, act });
  return await orInterrupted(making);
}

async function orInterrupted<T>(work: Promise<T>): Promise<T> {
  return await Promise.race([work, interrupted]);
}

async function demonstrate(): Promise<void> {
  await claimSingleRun();
  const uri = "qemu:///system";
  story.step("libvirt", `Socle's own client connects to ${uri}`);
  const connecting = Libvirt.connect({ uri, log: silentLog });
  const libvirt = await make("connection to libvirt", connecting, (made) => made.close());

  story.step("storage", "a pool with the tiny guest's kernel and initrd, uploaded through libvirt");
  const creating = DemoPool.create(libvirt);
  const pool = await make(`storage pool ${DemoPool.poolName}`, creating, (made) => made.remove());
  // Waits for its end, since a volume cannot be removed during an upload.
  for (const { name, bytes } of await pool.fill(stopped.signal))
    story.detail(`${name}: ${(bytes / MIB).toFixed(1)} MiB`);

  story.step("scheduler", "a small scheduler waits for hosts");
  const onChange = (host: KnownHost, what: string): void => story.schedulerSaw(host, what);
  const opening = Scheduler.start({ heartbeatMs: 1000, onChange });
  const scheduler = await make("scheduler", opening, (made) => {
    made.stop();
    return Promise.resolve();
  });

  story.step("agent", "the agent starts as a separate process");
  const apiAddress = `127.0.0.1:${await freePort()}`;
  const directory = await make("temporary files", temporaryDirectory(), (made) =>
    rm(made, { recursive: true }),
  );
  const starting = AgentProcess.start({
    parentDirectory: directory,
    config: {
      libvirt: { uri },
      api: { socket: join(directory, "agent.sock"), listen: apiAddress },
      scheduler: { address: scheduler.address },
      vm: { sampleIntervalSeconds: 2 },
    },
  });
  const agent = await make("agent (its guests are not touched by this)", starting, (made) => made.stop());

  const host = await eventually(
    () => [...scheduler.hosts.values()].find((each) => each.host?.health?.schedulable === "TRUTH_TRUE"),
    {
      what: "the host to register and to be healthy",
      timeoutMs: 60_000,
      signal: stopped.signal,
    },
  );
  story.registration(host);
  await orInterrupted(removeLeftover(apiAddress, host));

  const { operation, accelerator } = await boot(scheduler, host, apiAddress);
  story.detail(`operation ${operation.operationId}: ${operation.steps.map(({ name }) => name).join(", ")}`);

  story.step("console", `the guest's output on its serial console (${accelerator})`);
  for await (const line of consoleOutput(apiAddress, operation.vmId, BOOT_MS, stopped.signal))
    story.guestOutput(line);

  story.step("metrics", `what Prometheus scrapes at http://${agent.metricsAddress}/metrics`);
  story.metrics(await vmMetrics(agent.metricsAddress, operation.vmId));

  story.step("events", "the VM's lifecycle as reported to the scheduler");
  for (const event of host.events.filter(({ vmId }) => vmId === operation.vmId)) story.event(event);
  if (!values.once) story.whatNext(agent, apiAddress, scheduler.address, VM_NAME);
}

/** KVM first, through the scheduler; if KVM cannot run guests, TCG, with a message. */
async function boot(
  scheduler: Scheduler,
  host: KnownHost,
  apiAddress: string,
): Promise<{ operation: Operation__Output; accelerator: string }> {
  const spec: VmSpec = {
    name: VM_NAME,
    vcpus: 1,
    memoryBytes: 128 * MIB,
    kernelBoot: {
      kernel: { pool: DemoPool.poolName, volume: "vmlinuz" },
      initrd: { pool: DemoPool.poolName, volume: "initrd" },
      commandLine: linuxCommandLine,
    },
    labels: { purpose: "demonstration" },
  };
  story.step("guest", "the scheduler places a VM: 1 vCPU, 128 MiB");
  const removeVm = ({ vmId }: Operation__Output): Promise<void> => remove(apiAddress, vmId);
  try {
    const placing = scheduler.place(spec).then(({ operation }) => operation);
    const operation = await make(`VM ${VM_NAME}`, placing, removeVm);
    const accelerator = operation.result["accelerator"] ?? "?";
    if (accelerator !== "kvm" || (await runsOnKvm(apiAddress, operation.vmId))) {
      story.detail(`running, by ${accelerator.toUpperCase()}`);
      return { operation, accelerator: accelerator.toUpperCase() };
    }
    await removeVm(operation);
    undo.pop();
  } catch (thrown) {
    stopped.signal.throwIfAborted();
    story.detail(
      `not under KVM: ${thrown instanceof Error ? (thrown.message.split("\n")[0] ?? "") : String(thrown)}`,
    );
  }
  const condition = await eventually(
    () =>
      host.host?.health?.conditions.find(
        ({ type, status }) => type === "KvmUnavailable" && status === "TRUTH_TRUE",
      ),
    {
      what: "the agent to report the fault of KVM",
      timeoutMs: 30_000,
      signal: stopped.signal,
    },
  );
  story.detail(`the agent reports KvmUnavailable: ${condition.evidence.split("\n")[0] ?? ""}`);
  story.step("guest", "KVM cannot run guests here: emulation (TCG), which is slow and must be requested");
  const request = {
    requestId: `${VM_NAME}-${Date.now()}`,
    spec: { ...spec, accelerator: "ACCELERATOR_TCG" as const },
  };
  const creating = callAgent(apiAddress, vmService.CreateVm, request, 10_000);
  const operation = await make(
    `VM ${VM_NAME}`,
    creating.then((begun) => finished(apiAddress, begun)),
    removeVm,
  );
  story.detail("running, by TCG");
  return { operation, accelerator: "TCG" };
}

/** Waits for the guest's first output, or for the agent's report that KVM stopped it. */
async function runsOnKvm(apiAddress: string, vmId: string): Promise<boolean> {
  const end = new AbortController();
  const signal = AbortSignal.any([end.signal, stopped.signal]);
  const speaks = (async (): Promise<boolean> => {
    for await (const _line of consoleOutput(apiAddress, vmId, BOOT_MS, signal)) if (signal.aborted) break;
    return true;
  })().catch(() => false);
  const stops = eventually(
    async () => {
      const vm = await callAgent(apiAddress, vmService.GetVm, { vm: vmId }, 5000);
      return vm.state === "VM_STATE_PAUSED" && vm.stateReason === "INTERNAL_ERROR";
    },
    { what: "KVM to stop the guest", timeoutMs: BOOT_MS, intervalMs: 200, signal },
  ).then(
    () => false,
    () => false,
  );
  const runs = await Promise.race([speaks, stops]);
  end.abort();
  stopped.signal.throwIfAborted();
  return runs;
}

async function removeLeftover(apiAddress: string, host: KnownHost): Promise<void> {
  const left = [...host.vms.values()].find(({ name, managed }) => name === VM_NAME && managed);
  if (left === undefined) return;
  story.detail(`${VM_NAME} of an earlier run is still here; it is removed first`);
  await remove(apiAddress, left.vmId);
}

async function remove(apiAddress: string, vmId: string): Promise<void> {
  const request = { requestId: `${VM_NAME}-rm-${Date.now()}`, vm: vmId, force: true };
  await finished(apiAddress, await callAgent(apiAddress, vmService.DeleteVm, request, 10_000));
}

async function finished(apiAddress: string, { operationId }: Operation__Output): Promise<Operation__Output> {
  const request = { operationId, timeout: { seconds: 120 } };
  const operation = await callAgent(apiAddress, operationService.WaitOperation, request, 130_000);
  if (operation.state === "STATE_SUCCEEDED") return operation;
  throw new Error(`${operation.kind}: ${operation.error?.message ?? operation.state}`);
}

/** The VM's CPU and memory after a sampling round. */
async function vmMetrics(address: string, vmId: string): Promise<readonly string[]> {
  return await eventually(
    async () => {
      const text = await (await fetch(`http://${address}/metrics`)).text();
      const lines = text
        .split("\n")
        .filter(
          (line) =>
            /^socle_vm_(cpu_seconds_total|memory_\w+|state|guest_usable\w*)\{/.test(line) &&
            line.includes(vmId) &&
            !/_state.* 0$/.test(line),
        );
      return lines.some((line) => line.startsWith("socle_vm_cpu_seconds_total") && !line.endsWith(" 0"))
        ? lines
        : undefined;
    },
    { what: "the VM's metrics", timeoutMs: 60_000, intervalMs: 100, signal: stopped.signal },
  );
}

/** In one directory, so that the remains of a killed demonstration can be found and removed; no other one runs. */
async function temporaryDirectory(): Promise<string> {
  const names = await readdir(tmpdir());
  for (const name of names.filter((each) => /^socle-run-\w{6}$/.test(each)))
    await rm(join(tmpdir(), name), { recursive: true, force: true });
  return await mkdtemp(join(tmpdir(), "socle-run-"));
}
