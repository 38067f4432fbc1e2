import { createHash, randomUUID } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Vm__Output } from "../../agent/gen/socle/v1/Vm.ts";
import { checkSpec } from "../../agent/vm/model/spec-check.ts";
import { bootSector } from "../support/socle-host.ts";
import { virsh } from "../support/virsh.ts";
import { eventually } from "../support/wait.ts";
import type { SpareHost } from "./attack-spare-host.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";
import type { FaultyHost } from "./host.ts";

const MIB = 2 ** 20;
const SEEN_WITHIN_MS = 30_000;
const VCPUS = 3;

/** XML of a domain's <metadata>, for a domain with this UUID. */
type Metadata = (id: string) => string;

const withSpec =
  (change: Readonly<Record<string, unknown>>, isDigestRight = true): Metadata =>
  (id) => {
    const asked = { name: "hostile", id, vcpus: 1, memoryBytes: MIB, tenant: "evil" };
    const disks = [{ name: "d", source: { kind: "new", pool: "images", capacityBytes: MIB } }];
    const stored = checkSpec({ ...asked, disks }, { bridges: [], allowSpoofing: false });
    const spec = JSON.stringify({ ...stored, ...change });
    const digest = isDigestRight ? createHash("sha256").update(spec).digest("hex") : "0".repeat(64);
    return (
      `<s:vm xmlns:s="urn:socle:vm:1"><s:tenant>evil</s:tenant><s:labels/><s:spec>${spec.replaceAll("<", "&lt;")}</s:spec>` +
      `<s:specDigest>${digest}</s:specDigest><s:placementEpoch>1</s:placementEpoch>` +
      `<s:createdAt>2026-01-02T00:00:00.000Z</s:createdAt></s:vm>`
    );
  };

const foreign =
  (inner: string, attributes = ""): Metadata =>
  () =>
    `<f:f xmlns:f="urn:f"${attributes}>${inner}</f:f>`;

const attributes = Array.from({ length: 300 }, (_, index) => ` a${index}="1"`).join("");
const nested = (depth: number): string => "<f:e>".repeat(depth) + "</f:e>".repeat(depth);

const hostile: readonly (readonly [what: string, metadata: Metadata])[] = [
  ...Object.entries({
    disks: [null],
    nics: [{}],
    placement: 5,
    labels: "xyz",
    tenant: ["acme"],
    vcpus: "1",
    memoryBytes: -1,
    kernelBoot: {},
    fromTheFuture: 1,
  }).map(
    ([field, value]) =>
      [`a spec with ${field} ${JSON.stringify(value)}`, withSpec({ [field]: value })] as const,
  ),
  ["a spec whose digest is another's", withSpec({}, false)],
  ["a spec with another tenant than the metadata", withSpec({ tenant: "acme" })],
  ["an empty element of Socle's", () => `<s:vm xmlns:s="urn:socle:vm:1"/>`],
  ["an element of Socle's with 300 attributes", () => `<s:vm xmlns:s="urn:socle:vm:1"${attributes}/>`],
  ["300 attributes", foreign("", attributes)],
  ["210,000 elements", foreign("<f:e/>".repeat(210_000))],
  ["elements 250 deep", foreign(nested(250))],
];

/** Hostile domains that virsh defines: none hides itself or others, blocks creations, or counts below its size. */
export async function domains(stage: Stage): Promise<Theme> {
  const { host } = stage;
  const spare = await stage.spare();
  const virshOf = (...args: string[]): Promise<string> => virsh(host.libvirtd.uri, args);
  const vms = async (): Promise<ReadonlyMap<string, Vm__Output>> => {
    const { vms: listed, observation } = await host.list();
    if (observation?.presence !== "PRESENCE_PRESENT") return new Map();
    return new Map(listed.map((vm) => [vm.vmId, vm]));
  };
  const defined = async (metadata: Metadata, work: (id: string) => Promise<Outcome>): Promise<Outcome> => {
    const id = await define(host, metadata);
    if (id === undefined) return "refused"; // libvirt refuses it.
    try {
      return await work(id);
    } finally {
      await virshOf("undefine", id);
      const isGone = async (): Promise<boolean> => !(await vms()).has(id);
      await eventually(isGone, { what: "the domain to be removed", timeoutMs: SEEN_WITHIN_MS });
    }
  };
  const seen = async (id: string, is: (vm: Vm__Output) => boolean): Promise<Vm__Output | undefined> => {
    const look = async (): Promise<Vm__Output | undefined> => {
      const vm = (await vms()).get(id);
      return vm !== undefined && is(vm) ? vm : undefined;
    };
    return await eventually(look, { what: "it to be seen", timeoutMs: SEEN_WITHIN_MS }).catch(
      () => undefined,
    );
  };
  const tries: Try[] = hostile.map(([what, metadata]) => ({
    what,
    attack: () =>
      defined(metadata, async (id) => {
        const vm = await seen(id, () => true);
        if (vm === undefined) return { letThrough: "it is not in a complete list" };
        if (vm.vcpus !== VCPUS || vm.memoryBytes !== 64 * MIB)
          return { letThrough: `it counts ${vm.vcpus} vCPUs` };
        if (vm.tenant !== "" || vm.spec !== null) return { letThrough: `it is of the tenant ${vm.tenant}` };
        const all = await vms();
        for (const bystander of stage.bystanders.keys())
          if (all.get(bystander)?.unreadable !== "") return { letThrough: "a bystander is not readable" };
        const { contract } = host.client;
        const request = {
          requestId: randomUUID(),
          spec: bootSector(`after-${id.slice(0, 8)}`),
          validateOnly: true,
        };
        await host.client.ask(contract.vms.CreateVm, request);
        return vm.unreadable === "" ? "inert" : "refused";
      }),
  }));
  tries.push({
    what: "more vCPUs and memory by virsh than in its definition",
    attack: () =>
      defined(
        () => "",
        async (id) => {
          if ((await seen(id, ({ vcpus }) => vcpus === VCPUS)) === undefined)
            return { letThrough: "it is not listed" };
          await virshOf("setvcpus", id, "7", "--config", "--maximum");
          await virshOf("setvcpus", id, "7", "--config");
          await virshOf("setmaxmem", id, String(256 * 1024), "--config");
          const grown = await seen(id, ({ vcpus, memoryBytes }) => vcpus === 7 && memoryBytes === 256 * MIB);
          return grown === undefined ? { letThrough: "its size is unchanged" } : "refused";
        },
      ),
  });
  tries.push({
    what: "all of them, while the agent starts",
    attack: () => startsBeside(spare),
  });
  return { name: "domains", tries };
}

/** Undefined: libvirt refuses the metadata. */
async function define({ libvirtd, witness }: FaultyHost, metadata: Metadata): Promise<string | undefined> {
  const id = randomUUID();
  const path = join(libvirtd.directory, `${id}.xml`);
  await writeFile(
    path,
    `<domain type="qemu"><name>hostile-${id}</name><uuid>${id}</uuid><metadata>${metadata(id)}</metadata>` +
      `<memory unit="MiB">64</memory><vcpu>${VCPUS}</vcpu><os><type arch="x86_64">hvm</type></os></domain>`,
  );
  try {
    await witness.virsh("define", path);
    return id;
  } catch {
    return undefined;
  } finally {
    await rm(path);
  }
}

/** The agent becomes ready, lists every domain that virsh lists, and creates a VM. */
async function startsBeside(spare: SpareHost): Promise<Outcome> {
  const { host } = spare;
  const defined: string[] = [];
  try {
    for (const [, metadata] of hostile) {
      const id = await define(host, metadata);
      if (id !== undefined) defined.push(id);
    }
    await host.agent.kill();
    try {
      await host.startAgain();
    } catch (thrown) {
      return { letThrough: `the agent does not start: ${String(thrown)}` };
    }
    const isListed = (vms: readonly Vm__Output[]): boolean =>
      defined.every((id) =>
        vms.some(({ vmId, unreadable, vcpus }) => vmId === id && (unreadable !== "" || vcpus > 0)),
      );
    await host.untilListed(isListed, "every hostile domain");
    await spare.create("beside");
    return (await host.witness.state("beside")) === undefined
      ? { letThrough: "no VM is created" }
      : "refused";
  } finally {
    for (const id of defined) await host.witness.virsh("undefine", id);
    await spare.restart();
    await spare.clear();
  }
}
