// CreateVm until the VM runs, against virsh define and virsh start of the same XML
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Agent } from "../../agent/cli/client.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import type { AgentProcess } from "../support/agent-process.ts";
import { guestFilesIn } from "../support/guest.ts";
import { Libvirtd } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";
import { eventually } from "../support/wait.ts";
import { bench, type Result, type Run } from "./bench.ts";
import { compared, type Figures } from "./compared.ts";
import { measurePairs } from "./pairs.ts";
import { cpuMs } from "./processes.ts";
import { connectTo, startShippedAgent } from "./shipped-agent.ts";
import { median, timed } from "./statistics.ts";

interface Maker {
  readonly libvirtd: Libvirtd;
  readonly agent: AgentProcess;
  readonly client: Agent;
}

await bench("create", besideVirsh, (run, against) =>
  compared(run, against, stage, {
    rounds: 12,
    share: 1 / 20,
    bounded: ["createMs", "deleteMs"],
  }),
);

async function start(run: Run, bundle: string): Promise<Maker> {
  const libvirtd = run.keep(await Libvirtd.start());
  const { uri, imagesDirectory } = libvirtd;
  await guestFilesIn(imagesDirectory);
  await virsh(uri, ["pool-create-as", "images", "dir", "--target", imagesDirectory]);
  const agent = await startShippedAgent(run, { libvirt: { uri } }, { bundle });
  const client = await connectTo(run, agent);
  // A new libvirtd takes a second or two for its first reply.
  await eventually(
    async () =>
      (await client.ask(client.contract.vms.ListVms, {})).observation?.presence === "PRESENCE_PRESENT",
    { what: "the agent to see libvirt" },
  );
  return { libvirtd, agent, client };
}

/** VMs that are created and deleted one after another. */
async function stage(run: Run, bundle: string): Promise<(share: number) => Promise<Figures>> {
  const { agent, client } = await start(run, bundle);
  const measured = async (work: () => Promise<unknown>): Promise<{ ms: number; cpu: number }> => {
    const cpuBeforeMs = await cpuMs(agent.pid);
    const ms = await timed(work);
    return { ms, cpu: (await cpuMs(agent.pid)) - cpuBeforeMs };
  };
  return async (share) => {
    const found: Figures[] = [];
    for (let made = 0; made < Math.ceil(share * 20); made += 1) {
      const created = await measured(() => create(client, "compared"));
      const deleted = await measured(() => remove(client, "compared"));
      found.push({
        createMs: created.ms,
        createAgentCpuMs: created.cpu,
        deleteMs: deleted.ms,
        deleteAgentCpuMs: deleted.cpu,
      });
    }
    return Object.fromEntries(
      Object.keys(found[0] ?? {}).map((name) => [name, median(found.map((each) => each[name] ?? NaN))]),
    );
  };
}

async function besideVirsh(run: Run): Promise<Result> {
  const pairs = run.quick ? 1 : 20;
  const { libvirtd, client } = await start(run, await run.bundle());
  const { uri } = libvirtd;
  const xmlFile = join(libvirtd.directory, "virsh.xml");

  const removeFromVirsh = (name: string): Promise<string> =>
    virsh(uri, [`destroy ${name}; undefine ${name}`]);

  // Also warms up both sides.
  await create(client, "model");
  const model = await virsh(uri, ["dumpxml", "--inactive", "model"]);
  await remove(client, "model");

  const { socleMs, peerMs, ratio } = await measurePairs(run, pairs, async (pair) => {
    const name = `virsh-${pair}`;
    await writeFile(xmlFile, anotherOf(model, name));
    return {
      socle: () => create(client, `socle-${pair}`),
      // One virsh for both commands, so that its start and connection count once.
      peer: () => virsh(uri, [`define ${xmlFile}; start ${name}`]),
      tidy: (side) => (side === "socle" ? remove(client, `socle-${pair}`) : removeFromVirsh(name)),
    };
  });
  return { figures: { pairs, socleMs, virshMs: peerMs, ratio }, bound: { ratio: { atMost: 1.1 } } };
}

/** Returns once its operation has ended and the VM runs. */
async function create(client: Agent, name: string): Promise<void> {
  const { vms } = client.contract;
  const spec: VmSpec = {
    name,
    vcpus: 1,
    memoryBytes: 64 * 1024 * 1024,
    accelerator: "ACCELERATOR_TCG",
    disks: [{ name: "root", volume: { pool: "images", volume: "bootsector.img" }, readOnly: true }],
  };
  const { operationId } = await client.ask(vms.CreateVm, { requestId: randomUUID(), spec });
  await succeeded(client, operationId);
}

async function remove(client: Agent, vm: string): Promise<void> {
  const request = { requestId: randomUUID(), vm, force: true };
  const { operationId } = await client.ask(client.contract.vms.DeleteVm, request);
  await succeeded(client, operationId);
}

async function succeeded(client: Agent, operationId: string): Promise<void> {
  const request = { operationId, timeout: { seconds: 9 } };
  const { state, error } = await client.ask(client.contract.operations.WaitOperation, request);
  if (state !== "STATE_SUCCEEDED") throw new Error(`${state}: ${error?.message ?? ""}`);
}

/** The same domain under another name and id. */
function anotherOf(xml: string, name: string): string {
  return xml
    .replace(/<name>[^<]*<\/name>/, `<name>${name}</name>`)
    .replace(/<uuid>[^<]*<\/uuid>/, `<uuid>${randomUUID()}</uuid>`);
}
