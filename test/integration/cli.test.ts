import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { after, before, suite, test } from "node:test";
import { AgentProcess } from "../support/agent-process.ts";
import { guestFilesIn, linuxCommandLine } from "../support/guest.ts";
import { Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { socleCommand } from "../support/programs.ts";
import { virsh } from "../support/virsh.ts";
import { eventually, within } from "../support/wait.ts";

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The guest's output of every second, since its first output may precede the console. */
const words = "socle-guest: tick";

/** The socle command as a process, against a real agent, libvirtd and QEMU. */
suite("socle against a real agent", { skip: libvirtdUnavailable() }, () => {
  let libvirtd: Libvirtd;
  let agent: AgentProcess;
  const environment = () => ({ PATH: process.env["PATH"] ?? "", SOCLE_SOCKET: agent.socketPath });

  const socle = (line: string): Promise<Ran> =>
    new Promise((resolve) => {
      const options = { env: environment(), timeout: 120_000 };
      const args = [...socleCommand, ...line.split(" ").map((word) => word.replaceAll("\u00a0", " "))];
      const child = execFile(process.execPath, args, options, (_, stdout, stderr) =>
        resolve({ code: child.exitCode ?? -1, stdout, stderr }),
      );
    });
  const good = async (line: string): Promise<string> => {
    const { code, stdout, stderr } = await socle(line);
    assert.equal(code, 0, `socle ${line}: ${stderr}\n${agent.output()}`);
    return stdout;
  };

  before(async () => {
    libvirtd = await Libvirtd.start();
    await guestFilesIn(libvirtd.imagesDirectory);
    await virsh(libvirtd.uri, ["pool-create-as", "images", "dir", "--target", libvirtd.imagesDirectory]);
    agent = await AgentProcess.start({
      config: {
        libvirt: { uri: libvirtd.uri },
        vm: { accelerator: "tcg", sampleIntervalSeconds: 1 },
        host: { reservedMemoryMiB: 256 },
      },
    });
    await eventually(
      async () =>
        /^socle_vm_list_complete 1$/m.test(
          await (await fetch(`http://${agent.metricsAddress}/metrics?collect[]=vm_observation`)).text(),
        ),
      { what: "the agent to list the host's VMs" },
    );
  });
  after(async () => {
    await agent.stop();
    await libvirtd.stop();
  });

  test("a VM's life from creation to deletion", async () => {
    assert.match(await good("status"), /^vms +0 managed, 0 unmanaged, 0 running$/m);
    assert.equal(await good("vm ls"), "no VMs\n");
    const create =
      "vm create --name web-1 --vcpus 1 --memory 96MiB --kernel images/vmlinuz --initrd images/initrd " +
      `--cmdline ${linuxCommandLine.replaceAll(" ", "\u00a0")}\u00a0tick ` +
      "--disk new:images:16MiB --label tier=front --tenant blue";
    assert.match(await good(`${create} --dry-run`), /nothing changed/);
    assert.equal(await good("vm ls"), "no VMs\n");
    assert.match(await good(`${create} --request-id once`), /^create vm .*: done in /);
    const again = JSON.parse(await good(`${create} --request-id once --json`)) as { vmId: string };
    const other = await socle(`${create.replace("96MiB", "97MiB")} --request-id once`);
    assert.equal(other.code, 5, other.stderr);
    assert.match(other.stderr, /Choose another --request-id/);

    assert.match(await good("vm ls"), /^web-1 +running +1 +96 MiB .* blue .*/m);
    assert.equal(await good("vm ls --quiet --label tier=front"), "web-1\n");
    assert.equal(await good("vm ls --quiet --label tier=back"), "");
    const shown = JSON.parse(await good("vm show web-1 --json")) as { vmId: string; state: string };
    assert.deepEqual([shown.vmId, shown.state], [again.vmId, "VM_STATE_RUNNING"]);

    const seen = await watchConsole("web-1");
    assert.ok(seen.includes(words), seen);

    const cpu = `socle_vm_cpu_seconds_total{vm="${shown.vmId}"}`;
    const scraped = await eventually(
      async () => {
        const text = await (await fetch(`http://${agent.metricsAddress}/metrics`)).text();
        return text.includes(cpu) && text;
      },
      { what: "the VM's CPU time among the metrics" },
    );
    assert.ok(
      Number(
        scraped
          .split("\n")
          .find((line) => line.startsWith(cpu))
          ?.split(" ")
          .at(-1),
      ) > 0,
    );
    assert.match(scraped, new RegExp(`^socle_vm_info\\{vm="${shown.vmId}",name="web-1",tenant="blue"`, "m"));
    assert.match(scraped, /^socle_collector_success\{collector="vm_disk"\} 1$/m);
    assert.deepEqual(scraped.match(/^socle_collector_success\{.*\} 0$/gm), null);

    assert.match(await good("--ticket CHG-7 vm pause web-1"), /^pause vm/);
    assert.match(await good("operations ls"), /WHY[^]*PAUSE_VM .* CHG-7/);
    assert.match(await good("vm ls --state paused"), /^web-1 +paused/m);
    assert.match(await good("vm resume web-1"), /^resume vm/);
    const refused = await socle("vm rm web-1 --yes");
    assert.equal(refused.code, 5, refused.stderr);
    assert.match(await good("vm stop web-1 --grace 30s"), /^stop vm/);
    assert.match(await good("vm show web-1"), /^state +stopped/m);
    assert.match(await good("vm rm web-1 --dry-run"), /is destroyed: disk disk0/);
    assert.match(await good("vm rm web-1 --yes"), /^delete vm/);
    assert.equal((await socle("vm show web-1")).code, 3);

    const events = await good("events --no-follow --after 0 --json");
    const kinds = events
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { kind: string }).kind);
    for (const kind of ["VM_DEFINED", "VM_STATE_CHANGED", "OPERATION_ENDED", "VM_REMOVED"]) {
      assert.ok(kinds.includes(`EVENT_KIND_${kind}`), `${kind} among ${kinds.join(", ")}`);
    }
    assert.match(await good("operations ls"), /CREATE_VM +succeeded/);
  });

  test("errors of the real agent are printed with a remedy", async () => {
    const unknown = await socle("vm start nonesuch");
    assert.equal(unknown.code, 3, unknown.stderr);
    const invalid = await socle("vm create --name a/b --vcpus 1 --memory 96MiB");
    assert.equal(invalid.code, 2, invalid.stderr);
    assert.match(invalid.stderr, /spec\.name must be/);
    const full = await socle("vm create --name huge --vcpus 1 --memory 4TiB --disk new:images:1MiB");
    assert.equal(full.code, 5, full.stderr);
    const noVolume = await socle(
      "vm create --name nodisk --vcpus 1 --memory 96MiB --disk images/nonesuch.qcow2",
    );
    assert.equal(noVolume.code, 3, noVolume.stderr);
    assert.equal(await good("vm ls"), "no VMs\n");
    for (const { stderr } of [unknown, invalid, full, noVolume]) {
      assert.doesNotMatch(stderr, /^\s+at .*:\d+:\d+/m, "a stack trace");
    }
  });

  test("a cordon holds, and doctor and status show it", async () => {
    assert.match(await good("cordon --reason repair"), /^cordoned/);
    assert.match(await good("status"), /^scheduling +cordoned: +repair$/m);
    assert.match(await good("uncordon"), /^active/);
    const { stdout } = await socle(`doctor --config ${agent.configPath}`);
    assert.match(stdout, /^ok {4}agent/m);
    assert.match(stdout, /^ok {4}metrics/m);
    assert.match(await readFile(agent.configPath, "utf8"), /metrics/);
  });

  test("events end with Ctrl-C and when the reader closes the pipe", async () => {
    const follow = spawn(process.execPath, [...socleCommand, "events", "--since-start"], {
      env: environment(),
    });
    await within(new Promise((resolve) => follow.stdout.once("data", resolve)), 60_000, "the first event");
    const ended = new Promise((resolve) => follow.once("exit", (code) => resolve(code)));
    follow.kill("SIGINT");
    assert.equal(await within(ended, 60_000, "events to end"), 0);

    const piped = spawn(
      "bash",
      [
        "--norc",
        "-c",
        `set -o pipefail; "$@" | head -1`,
        "-",
        process.execPath,
        ...socleCommand,
        "events",
        "--after",
        "0",
      ],
      { env: environment() },
    );
    const gone = new Promise((resolve) => piped.once("exit", (code) => resolve(code)));
    let words = "";
    piped.stderr.on("data", (chunk: Buffer) => (words += chunk.toString()));
    await within(new Promise((resolve) => piped.stdout.once("data", resolve)), 60_000, "the first event");
    // The next event finds a closed pipe.
    await good("vm create --name pipe --vcpus 1 --memory 32MiB --disk new:images:1MiB --leave-stopped");
    await good("vm rm pipe --yes");
    assert.equal(await within(gone, 60_000, "the pipe to end"), 0, words);
    assert.equal(words, "");
  });

  /** The output of `socle vm console` until the guest is up, or all of it at the timeout. */
  async function watchConsole(vm: string): Promise<string> {
    const child = spawn(process.execPath, [...socleCommand, "vm", "console", vm], { env: environment() });
    let seen = "";
    child.stdout.on("data", (chunk: Buffer) => (seen += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (seen += chunk.toString()));
    try {
      await eventually(() => seen.includes(words), { what: "the guest's output", timeoutMs: 60_000 });
    } catch {
      return `${seen}\n${agent.output()}`;
    } finally {
      child.kill("SIGINT");
    }
    return seen;
  }
});
