import { randomUUID } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { pythonTrees, type Tree } from "../support/libvirt/xml/oracles.ts";
import type { Caller, Described, Served, ServedContract } from "./attack-calls.ts";
import { Outside } from "./attack-outside.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";

const MIB = 2 ** 20;
const END_WITHIN_MS = 120_000;
/** A stream that accepts its request may stay silent. */
const STREAM_MS = 250;

type Fields = Record<string, unknown>;
/** The path of a text in a request: field names, and indexes of lists. */
type FieldPath = readonly (string | number)[];

/** Texts with XML, paths, commands or line breaks, in every text field of every request. */
export async function words(stage: Stage): Promise<Theme> {
  const { host, served, run } = stage;
  const outside = run.keep(await Outside.make(join(host.libvirtd.directory, "beside")));
  const caller = stage.onSocket();
  const pool = host.libvirtd.imagesDirectory;
  const [vmId = ""] = stage.bystanders.keys();
  const files = async (): Promise<string> => (await readdir(pool)).sort().join();
  const [before, reference] = [await files(), await plainShape(stage)];
  const tries: Try[] = [];
  for (const method of served.methods) {
    const request = requestTo(served, method, vmId);
    for (const { path, isBytes } of textsIn(served, served.request(method))) {
      for (const [what, text] of hostileTexts(outside))
        tries.push({
          what: `${what} as ${path.join(".")} of ${method.path}`,
          attack: async () => {
            const outcome = await says(stage, caller, {
              method,
              request: withText(request(), path, isBytes ? Buffer.from(text) : text),
              reference,
            });
            const touched = await outside.touched();
            return touched === undefined ? outcome : { letThrough: touched };
          },
        });
    }
  }
  const create = served.methods.find(({ path }) => path.endsWith("/CreateVm"));
  const plain =
    create &&
    (await says(stage, caller, { method: create, request: requestTo(served, create, vmId)(), reference }));
  if (plain !== "inert")
    throw new Error("a VM without hostile words is not made, so the others prove nothing");
  const check = async (): Promise<void> => {
    caller.close();
    run.demand((await files()) === before, `words: the pool holds other files than before: ${await files()}`);
  };
  return { name: "words", tries, check };
}

/** The outcome of one request. An accepted one must be as harmless as the same request with a plain word. */
async function says(
  stage: Stage,
  caller: Caller,
  { method, request, reference }: { method: Served; request: Fields; reference: Shape },
): Promise<Outcome> {
  const { host } = stage;
  const options = method.isStream ? { timeoutMs: STREAM_MS } : {};
  const { code, reason, message, bytes } = await caller.call(method.path, method.serialize(request), options);
  if (code === status.INTERNAL || code === status.UNKNOWN)
    throw new Error(`it ends in ${reason}: ${message}`);
  if (code !== status.OK) return code === status.DEADLINE_EXCEEDED && method.isStream ? "inert" : "refused";
  if (!method.path.endsWith("/CreateVm") || bytes === undefined) return "inert";
  const begun = host.client.contract.vms.CreateVm.responseDeserialize(bytes);
  return await harmless(stage, begun, reference);
}

/** A VM with such texts has the same XML structure as any other, and is deleted afterwards. */
async function harmless({ host }: Stage, begun: Operation__Output, reference: Shape): Promise<Outcome> {
  const end = await host.ended(begun, END_WITHIN_MS);
  if (!end.done) throw new Error(`it has no end: ${host.describe(end)}`);
  if (end.state !== "STATE_SUCCEEDED") return "refused";
  try {
    const xml = await host.witness.virsh("dumpxml", "--inactive", end.vmId);
    const difference = differenceOf(shape(xml, end.vmId), reference);
    return difference === undefined ? "inert" : { letThrough: `libvirt's XML has ${difference}` };
  } finally {
    await host.succeeds({ kind: "DELETE", vm: end.vmId, requestId: randomUUID() });
  }
}

/** Elements and attributes in order, with the values that do not come from the request. */
type Shape = readonly string[];

/** The XML structures of VMs with plain words: minimal, with a NIC, and with a new disk. */
async function plainShape({ host }: Stage): Promise<Shape> {
  const { vms } = host.client.contract;
  const spec = specOf("reference");
  const specs = [
    spec,
    { ...spec, nics: [{ name: "net", network: "default" }] },
    { ...spec, disks: [{ name: "root", newVolume }] },
    { ...spec, disks: [{ name: "root", newVolume, readOnly: true }] },
  ];
  const shapes: string[] = [];
  for (const each of specs) {
    const request = { requestId: randomUUID(), spec: each, leaveStopped: true };
    const end = await host.ended(await host.client.ask(vms.CreateVm, request), END_WITHIN_MS);
    if (end.state !== "STATE_SUCCEEDED") throw new Error(`a reference cannot be made: ${host.describe(end)}`);
    shapes.push(...shape(await host.witness.virsh("dumpxml", "--inactive", end.vmId), end.vmId));
    await host.succeeds({ kind: "DELETE", vm: end.vmId, requestId: randomUUID() });
  }
  return shapes;
}

/** In positions of a request's text, any value is allowed. */
const free =
  /^domain\/(name|uuid|os\/cmdline|metadata\/.*|devices\/(disk|interface)\/(alias|serial)|devices\/interface\/source)$/;

function shape(xml: string, vmId: string): Shape {
  const [tree] = pythonTrees([xml.replaceAll(vmId, "ID")]);
  if (tree == null) throw new Error("virsh dumpxml prints no XML");
  const lines: string[] = [];
  const walk = ([name, attributes, text, members]: Tree, above: string): void => {
    const path = above === "" ? name : `${above}/${name}`;
    const isFree = free.test(path);
    const own = Object.entries(attributes).map(([key, value]) =>
      isFree || isOwn(value) ? key : `${key}=${value}`,
    );
    lines.push(`${path} [${own.join(" ")}]${isFree || isOwn(text) ? "" : ` ${text.trim()}`}`);
    for (const member of members) walk(member, path);
  };
  walk(tree, "");
  return lines;
}

/** The MAC address differs from VM to VM, since it is derived from the id. */
const isOwn = (value: string): boolean => /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(value);

/** Labels are as many as in the request; one without a text is dropped. */
function differenceOf(found: Shape, reference: Shape): string | undefined {
  const known = new Set(reference);
  const foreign = found.filter((line) => !known.has(line));
  return foreign.length === 0 ? undefined : foreign.slice(0, 3).join("; ");
}

const volume = { pool: "images", volume: "bootsector.img" };
const newVolume = { pool: "images", capacityBytes: MIB, format: "DISK_FORMAT_QCOW2" } as const;

/** A VM with every text field of a spec that this host supports. */
const specOf = (name: string): VmSpec => ({
  name,
  vcpus: 1,
  memoryBytes: 32 * MIB,
  accelerator: "ACCELERATOR_TCG",
  disks: [{ name: "root", volume, readOnly: true }],
  kernelBoot: {
    kernel: { pool: "images", volume: "vmlinuz" },
    initrd: { pool: "images", volume: "initrd" },
    commandLine: "quiet",
  },
  cloudInit: { pool: "images" },
  tenant: "acme",
  labels: { tier: "web" },
});

const asSent = ({ labels = {}, ...spec }: VmSpec): Fields => ({
  ...spec,
  labels: Object.entries(labels).map(([key, value]) => ({ key, value })),
});

/** A request that is valid except for the inserted text. For a method that is unknown here: built from its fields. */
function requestTo(served: ServedContract, method: Served, vmId: string): () => Fields {
  const { path } = method;
  const has = new Set(served.request(method).message.field.map(({ name }) => camel(name)));
  return () => ({
    ...(has.has("requestId") ? { requestId: randomUUID() } : {}),
    // An accepted request must not affect a guest that must survive.
    ...(has.has("vm") ? { vm: path.endsWith("/SuspendVm") ? "no-such-vm" : vmId } : {}),
    ...(path.endsWith("Vm") && has.has("placementEpoch") ? { placementEpoch: 1 } : {}),
    ...(path.endsWith("/CreateVm")
      ? { spec: asSent(specOf(`w-${randomUUID().slice(0, 13)}`)), leaveStopped: true }
      : {}),
    ...(path.endsWith("/DeleteVm") ? { etag: "none" } : {}),
    ...(path.endsWith("/Reserve") ? { vcpus: 1, memoryBytes: MIB, ttl: { seconds: 1, nanos: 0 } } : {}),
    ...(path.endsWith("/SetSchedulingState") ? { state: "LIFECYCLE_STATE_ACTIVE" } : {}),
    ...(path.endsWith("/EnrollHost")
      ? { address: "127.0.0.1:1", token: `socle1.${"0".repeat(64)}.${"x".repeat(32)}` }
      : {}),
  });
}

/** A string or bytes field of a request. */
interface TextPlace {
  readonly path: FieldPath;
  readonly isBytes: boolean;
}

/** All text fields of the contract, so that new ones are attacked too. A map is a list of entries, as on the wire. */
function* textsIn(
  served: ServedContract,
  { fullName, message }: Described,
  above: readonly string[] = [],
): Generator<TextPlace, void, undefined> {
  if (above.includes(fullName)) return;
  for (const { name, label, type, typeName } of message.field) {
    const at: FieldPath = [camel(name), ...(label === "LABEL_REPEATED" ? [0] : [])];
    if (type === "TYPE_STRING" || type === "TYPE_BYTES") yield { path: at, isBytes: type === "TYPE_BYTES" };
    if (type !== "TYPE_MESSAGE") continue;
    for (const { path, isBytes } of textsIn(served, served.described(typeName, { fullName, message }), [
      ...above,
      fullName,
    ]))
      yield { path: [...at, ...path], isBytes };
  }
}

/** The request with the text at the path, and with the messages on the way to it. */
function withText(request: Fields, [step = "", ...rest]: FieldPath, text: string | Buffer): Fields {
  const [next] = rest;
  const value = request[step];
  if (next === undefined) return { ...request, [step]: text };
  if (typeof next === "number") {
    const [first, ...others] = Array.isArray(value) ? (value as Fields[]) : [];
    const item = rest.length === 1 ? text : withText(named(step, first, rest[1]), rest.slice(1), text);
    return { ...request, [step]: [item, ...others] };
  }
  const inner = typeof value === "object" && value !== null ? (value as Fields) : {};
  return { ...request, [step]: withText(inner, rest, text) };
}

/** A disk, NIC or label that is valid except for the inserted text; of a oneof, the field with it. */
function named(list: string | number, item: Fields | undefined, into: string | number | undefined): Fields {
  if (list === "disks" && into === "newVolume") return { name: "root", newVolume };
  if (list === "nics") return into === "bridge" ? { name: "net" } : { name: "net", network: "default" };
  if (list === "labels") return { key: "tier", value: "web" };
  return item ?? {};
}

const camel = (name: string): string =>
  name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

function* hostileTexts({
  secret,
  directory,
}: Outside): Generator<readonly [what: string, text: string], void, undefined> {
  const made = join(directory, "made");
  const texts: Readonly<Record<string, string>> = {
    "an element that ends": "</name><devices><emulator>/bin/sh</emulator></devices><name>",
    "an attribute that ends": `'/><qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='-S'/></qemu:commandline><x y='`,
    "an attribute that ends, in double quotes": `"/><source file="${secret}"/><x y="`,
    "the end of the metadata": "</socle:vm></metadata><os><kernel>/etc/shadow</kernel></os>",
    "an entity of a file": `<!DOCTYPE x [<!ENTITY e SYSTEM "file://${secret}">]><x>&e;</x>`,
    "an entity": "&e;&amp;lt;&#0;&#x3c;",
    "the end of a CDATA section": "]]><emulator>/bin/sh</emulator><![CDATA[",
    "a comment": "--><emulator>/bin/sh</emulator><!--",
    "an instruction": "?><?xml-stylesheet href='file:///etc/shadow'?>",
    "a path that goes up": `../../../../../../../../..${secret}`,
    "an absolute path": secret,
    "the folder above": "..",
    "this folder": ".",
    "a path that goes down and up": "a/../../b",
    "a path in percents": "%2e%2e%2f%2e%2e%2fetc%2fshadow",
    "a path with backslashes": "..\\..\\etc\\shadow",
    "a file by its scheme": `file://${secret}`,
    "a file as JSON": `json:{"driver":"file","filename":"${secret}"}`,
    "another host": "nbd://127.0.0.1:10809/x",
    "QEMU's options": `x,file=${secret},readonly=off`,
    "an option": `-oProxyCommand=touch ${made}`,
    "a shell's command": `x; touch ${made}`,
    "a shell's substitution": `$(touch ${made})\`touch ${made}\``,
    "a shell's pipe": `|touch ${made}`,
    "a new line": `x\nX-Evil: 1\r\n\r\ntouch ${made}\n`,
    "a NUL": `bootsector.img\0.qcow2`,
    "a terminal's commands": "\u001b]0;x\u0007\u001b[2J\u009b31m",
    "a text from right to left": "\u202egmi.rotcestoob\u2066",
    "letters that look alike": "bооtsector.img",
    "half a pair": "\ud800x",
    "a byte order mark": "\ufeffx\uffff",
    "a name of JavaScript's": "__proto__",
    "another name of JavaScript's": "constructor",
    "a format": "%s%n%x{{7*7}}${7*7}",
    SQL: "'; DROP TABLE vms; --",
    "a very long word": "x".repeat(100_000),
    "many folders": "a/".repeat(5000),
    blanks: "   ",
    nothing: "",
  };
  yield* Object.entries(texts);
}
