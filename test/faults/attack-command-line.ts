import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { eventually } from "../support/wait.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";
import { mutation } from "./host.ts";

const VM = "no-force";

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Forced stops and disk deletions without the required option, with the command and over gRPC; and domain names that move a
 * terminal's cursor.
 */
export async function commandLine(stage: Stage): Promise<Theme> {
  const { host } = stage;
  const { vmId } = await host.succeeds(mutation("CREATE", VM));
  const process = await host.witness.process(vmId);
  const [disk = ""] = (await host.witness.volumes()).filter((name) => name.includes(vmId));
  if (disk === "") throw new Error("the VM has no disk of its own");
  const socle = (...args: string[]): Promise<Ran> =>
    run(globalThis.process.execPath, [host.bundle, "--socket", host.agent.socketPath, ...args]);
  const keepsVm = async (): Promise<boolean> => {
    const now = await host.witness.process(vmId);
    const volumes = await host.witness.volumes();
    return now?.pid === process?.pid && now?.startTicks === process?.startTicks && volumes.includes(disk);
  };
  const harmless = async (act: () => Promise<string>): Promise<Outcome> => {
    const answer = await act();
    if (!(await keepsVm())) return { letThrough: `the VM or its disk is removed: ${answer}` };
    return answer === "" ? { letThrough: "it is accepted" } : "refused";
  };
  const commands: readonly (readonly string[])[] = [
    ["vm", "stop", VM, "--grace", "0s"],
    ["vm", "stop", VM, "--grace", "0s", "--json"],
    ["vm", "rm", VM, "--force"],
    ["vm", "rm", VM, "--force", "--json"],
  ];
  const tries: Try[] = commands.map((args) => ({
    what: args.join(" "),
    attack: () =>
      harmless(async () => {
        const { code, stderr, stdout } = await socle(...args);
        return code === 0 ? "" : stderr + stdout;
      }),
  }));
  for (const gracefulTimeout of [
    { seconds: 0, nanos: 0 },
    { seconds: 0, nanos: 1 },
  ])
    tries.push({
      what: `StopVm without force, with a graceful_timeout of ${gracefulTimeout.nanos} ns`,
      attack: async () => {
        const { StopVm } = host.client.contract.vms;
        const begun = await host.client
          .ask(StopVm, { requestId: randomUUID(), vm: vmId, gracefulTimeout })
          .catch(() => undefined);
        if (begun !== undefined) await host.ended(begun, 30_000);
        return (await keepsVm()) ? "refused" : { letThrough: "the guest's power was cut" };
      },
    });
  for (const [what, entity] of [
    ["a line separator", "2028"],
    ["a zero-width space", "200b"],
    ["a byte order mark", "feff"],
    ["an order of writing", "202e"],
    ["a C1 control", "9b"],
  ] as const)
    tries.push({ what: `a domain whose name has ${what}`, attack: () => shownEscaped(stage, socle, entity) });
  return {
    name: "commandLine",
    tries,
    check: async () => {
      await host.succeeds(mutation("DELETE", vmId));
    },
  };
}

async function shownEscaped(
  { host }: Stage,
  socle: (...args: string[]) => Promise<Ran>,
  entity: string,
): Promise<Outcome> {
  const id = randomUUID();
  const path = join(host.libvirtd.directory, `${id}.xml`);
  await writeFile(
    path,
    `<domain type="qemu"><name>x&#x${entity};${id}</name><uuid>${id}</uuid><memory unit="MiB">32</memory>` +
      `<vcpu>1</vcpu><os><type arch="x86_64">hvm</type></os></domain>`,
  );
  try {
    await host.witness.virsh("define", path);
  } catch {
    return "refused"; // libvirt refuses it.
  } finally {
    await rm(path);
  }
  try {
    await host.untilListed((vms) => vms.some(({ vmId }) => vmId === id), "the domain");
    const { code, stdout, stderr } = await socle("vm", "ls");
    if (code !== 0) throw new Error(stderr);
    if (!stdout.includes(id)) throw new Error(`the domain is not listed: ${stdout}`);
    const raw = String.fromCodePoint(Number.parseInt(entity, 16));
    return stdout.includes(raw) ? { letThrough: "it reaches the terminal unescaped" } : "refused";
  } finally {
    await host.witness.virsh("undefine", id);
    await eventually(async () => !(await host.list()).vms.some(({ vmId }) => vmId === id), {
      what: "the domain to be removed",
    });
  }
}

/** Its stdin is no terminal. */
function run(command: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(command, args, { timeout: 60_000 }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
    child.stdin?.end();
  });
}
