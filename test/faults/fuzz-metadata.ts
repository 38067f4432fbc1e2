import { createHash } from "node:crypto";
import { vmToProto } from "../../agent/api/convert/vm.ts";
import { isSocleError } from "../../agent/kernel/errors.ts";
import { unbound } from "../../agent/state/reservations/placement.ts";
import { vmSpec } from "../../agent/contract/spec.ts";
import { checkSpec } from "../../agent/vm/model/spec-check.ts";
import { vmFromDomain, vmWithoutXml } from "../../agent/vm/observation/vm-from-domain.ts";
import { ownVolumes } from "../../agent/vm/model/volume-names.ts";
import type { Vm } from "../../agent/vm/model/vm.ts";
import { protos } from "../support/api/harness.ts";
import type { Chance } from "./fuzz-chance.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { parseVmDomain } from "../../agent/vm/model/vm-domain.ts";

const policy = { bridges: ["br0"], allowSpoofing: true };
const ID = "3f0c9b52-7a54-4c1d-8f3e-0c3a9d3a1b01";
const facts = { state: "stopped", stateReason: "UNKNOWN", observedAtMs: 1 } as const;
const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

const snapshots = JSON.stringify({
  snapshots: [{ id: "00000001", name: "one", createdAtMs: 1, volumes: { root: `socle-${ID}-root.qcow2` } }],
  current: "00000001",
  active: { root: `socle-${ID}-root.00000001.qcow2` },
  loose: [],
});

const unstarted = JSON.stringify({ restoring: ["root"] });

const words = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value ?? null));

/**
 * A domain's metadata as any writer may leave it: it becomes a VM that can be sent to every reader, with the tenant of a valid
 * spec or with none.
 */
export const metadata = (spec: object): FuzzTarget => {
  const stored = checkSpec(spec, policy);
  return {
    name: "metadata",
    share: 40,
    make: (chance) => {
      const text = JSON.stringify(chance.is(90) ? chance.mutatedValue(stored) : stored);
      return Buffer.from(domainOf(text, chance));
    },
    feed: (text) => {
      let document: ReturnType<typeof parseVmDomain>;
      try {
        document = parseVmDomain(text.toString());
      } catch (thrown) {
        if (!isSocleError(thrown) || thrown.reason === "INTERNAL") throw thrown;
        return;
      }
      const size = { vcpus: 1, memoryBytes: 2 ** 20 };
      const domain = { uuid: ID, name: "web-1", id: -1 };
      const vms = [
        vmFromDomain(document, facts),
        vmWithoutXml({ domain, size, facts, metadata: document.metadata, problem: "refused" }),
      ];
      for (const vm of vms) if (vm !== undefined) check(vm);
    },
  };
};

function domainOf(spec: string, chance: Chance): string {
  const digest = chance.is(80) ? createHash("sha256").update(spec).digest("hex") : chance.text();
  const { tenant, labels } = JSON.parse(spec) as { tenant?: unknown; labels?: unknown };
  const labelsXml = Object.entries(typeof labels === "object" && labels !== null ? labels : {}).map(
    ([key, value]) => `<s:label key="${escaped(key)}">${escaped(words(value))}</s:label>`,
  );
  const placement = JSON.stringify(chance.is(70) ? unbound : chance.mutatedValue(unbound));
  const parts: readonly (readonly [string, string])[] = [
    ["tenant", escaped(chance.is(90) ? words(tenant) : chance.text())],
    ["labels", chance.is(90) ? labelsXml.join("") : ""],
    ["spec", escaped(spec)],
    ["specDigest", escaped(digest)],
    ["placementEpoch", chance.is(90) ? "3" : escaped(chance.text())],
    ["createdAt", chance.is(90) ? "2026-01-02T00:00:00.000Z" : escaped(chance.text())],
    ["instance", chance.is(50) ? ID : escaped(chance.text())],
    ["placement", escaped(placement)],
    ["unstarted", escaped(chance.is(50) ? unstarted : words(chance.mutatedValue(JSON.parse(unstarted))))],
    ["snapshots", escaped(chance.is(50) ? snapshots : words(chance.mutatedValue(JSON.parse(snapshots))))],
  ];
  const kept = parts.filter(() => chance.is(99));
  const body = kept.map(([name, value]) => `<s:${name}>${value}</s:${name}>`).join("");
  return (
    `<domain type="qemu"><name>web-1</name><uuid>${ID}</uuid><metadata><s:vm xmlns:s="urn:socle:vm:1">${body}</s:vm>` +
    `</metadata><memory unit="MiB">64</memory><vcpu>2</vcpu><os><type>hvm</type></os></domain>`
  );
}

function check(vm: Vm): void {
  if (vm.spec === undefined && (vm.tenant !== "" || Object.keys(vm.labels).length > 0))
    throw new Error("a VM without a valid spec has a tenant or labels");
  if (vm.managed && vm.spec === undefined && vm.unreadable === undefined)
    throw new Error("a VM is managed without a spec, and readable");
  if (vm.spec !== undefined) vmSpec.parse(vm.spec);
  const layers = vm.spec === undefined ? [] : ownVolumes({ ...vm.spec, snapshots: vm.snapshots });
  const foreign = layers.find(({ volume }) => !volume.startsWith(`socle-${vm.id}-`));
  if (foreign !== undefined) throw new Error(`${foreign.volume} would be deleted with another VM`);
  const shown = vmToProto(vm);
  if (shown.unreadable !== (vm.unreadable ?? "")) throw new Error(shown.unreadable);
  protos.vms.GetVm.responseSerialize(shown);
}
