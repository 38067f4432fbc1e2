import assert from "node:assert/strict";
import test from "node:test";
import { specFromProto } from "../../../agent/api/convert/spec.ts";
import { parseSpecFile } from "../../../agent/cli/spec-file.ts";
import { exampleSpec, specFields, type SpecField } from "../../../agent/cli/spec-help.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { checkSpec } from "../../../agent/vm/model/spec-check.ts";
import { protos } from "../../support/api/harness.ts";
import { socle } from "../../support/cli/fake-agent.ts";

const id = "6f1c2f1e-0000-4000-8000-000000000001";

/** The spec that the agent makes of a file. */
async function received(file: string): Promise<unknown> {
  const { requestSerialize, requestDeserialize } = protos.vms.CreateVm;
  const { spec } = requestDeserialize(requestSerialize({ spec: await parseSpecFile(file, "vm.yaml") }));
  return checkSpec({ id, ...specFromProto(spec) }, { bridges: ["br0"], allowSpoofing: true });
}

/** The wrong fields of a file, with what they must be. */
async function refused(file: string): Promise<Readonly<Record<string, string>>> {
  try {
    await parseSpecFile(file, "vm.yaml");
  } catch (thrown) {
    assert.ok(thrown instanceof SocleError && thrown.reason === "SPEC_INVALID");
    return thrown.details.fields ?? {};
  }
  return {};
}

const flat = (fields: readonly SpecField[]): SpecField[] =>
  fields.flatMap((field) => [field, ...flat(field.inner)]);

test("the example is a spec that the agent accepts, and has every field with its description", async () => {
  const { stdout, exitCode } = await socle(["vm", "create", "--example"], { socket: "/nonexistent" });
  assert.deepEqual([exitCode, stdout], [0, exampleSpec()]);
  await received(stdout);
  const all = flat(specFields());
  assert.ok(all.length > 40);
  for (const { path, name, description } of all) {
    assert.ok(description.length > 0, path);
    assert.match(stdout, new RegExp(`^[ #-]*${name}:`, "m"));
  }
});

test("each field that the example comments out is valid when it is put in", async () => {
  const lines = exampleSpec().split("\n");
  const numbers = lines.flatMap((line, number) => (/^ *# *\w+: [^#]/.test(line) ? [number] : []));
  assert.ok(numbers.length > 20);
  for (const number of numbers) {
    // A field of a map brings the map with it, and what the map cannot do without.
    const indent = /^ */.exec(lines[number] ?? "")?.[0] ?? "";
    const isHeader = new RegExp(`^${indent}#\\w+: #`);
    const header = lines.slice(0, number).findLastIndex((line) => isHeader.test(line));
    const put = lines[number]?.startsWith(`${indent}#  `) === true ? [number, header] : [number];
    if (put.includes(lines.findIndex((line) => line.startsWith("#kernelBoot"))))
      put.push(lines.findIndex((line) => line.startsWith("#  kernel:")));
    const file = lines.map((line, at) => (put.includes(at) ? line.replace("#", "") : line)).join("\n");
    const wrong = Object.values(await refused(file));
    assert.deepEqual(
      wrong.filter((message) => !/^must have a (volume|network) or/.test(message)),
      [],
      lines[number],
    );
  }
});

test("a file is checked by the rules of a spec before anything is sent, and each wrong field is named", async () => {
  const wrong = await refused(`
name: -web
vcpus: 1000
memory: 1000
vmId: 5
cpuMode: fast
disks:
  - { name: Root, volume: default/../etc }
  - { name: data, newVolume: { pool: default, capacity: lots } }
  - { name: both, volume: a/b, newVolume: { pool: default } }
nics: [{ name: front, network: default, mac: "53:54:00:00:00:01", allowedAddresses: [here] }]
labels: { A: b }
placement: { pageSize: 3KiB, cell: -1 }
`);
  assert.deepEqual(Object.keys(wrong).sort(), [
    "cpuMode",
    "disks[0].name",
    "disks[0].volume.volume",
    "disks[1].newVolume.capacity",
    "disks[2]",
    "labels.A",
    "memory",
    "name",
    "nics[0].allowedAddresses[0]",
    "nics[0].mac",
    "placement.cell",
    "placement.pageSize",
    "vcpus",
    "vmId",
  ]);
  assert.equal(wrong["memory"], "must be a multiple of 1 MiB");
  assert.equal(wrong["cpuMode"], "must be one of host-passthrough, host-model, custom");
});

test("values may be written as a person does, or as in the contract", async () => {
  const disks = (pool: string): string => `disks: [{ name: root, newVolume: { pool: ${pool} } }]`;
  const size = "capacityBytes: 1073741824, format: DISK_FORMAT_RAW";
  const asContract = `
{ name: a, vmId: "", vcpus: 1, memoryBytes: 1073741824, cpuMode: CPU_MODE_HOST_MODEL, tpm: false, cpuModel: "",
  kernelBoot: { kernel: { pool: boot, volume: vmlinuz }, commandLine: "" }, ${disks(`p, ${size}`)} }`;
  const asPerson = `
{ name: a, vcpus: 1, memory: 1GiB, cpuMode: host-model, kernelBoot: { kernel: boot/vmlinuz },
  ${disks("p, capacity: 1GiB, format: raw")} }`;
  assert.deepEqual(await received(asContract), await received(asPerson));
});

test("a value that is none in the contract is none in a file, so a flag can replace it", async () => {
  const file = `
name: ""
vcpus: 0
memory: 0
disks: [{ name: root, newVolume: { pool: default, baseVolume: debian, capacity: 0 } }]
placement: { pageSizeBytes: 0 }
`;
  assert.deepEqual(await refused(file), {});
});
