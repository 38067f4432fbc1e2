// What a caller of one tenant learns about other tenants' VMs and volumes: nothing, also not from the order of the checks.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { toSocleError } from "../../../../agent/kernel/errors.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import { withEtag } from "../../../../agent/vm/observation/vm-from-domain.ts";
import { admission, GIB } from "../../../support/vm/admission-stage.ts";

const CALLER = "spiffe://cloud.example/scheduler/s/tenant/acme";

/** The stopped VMs "own" of the tenant acme and "theirs" of another. libvirt does not answer. */
async function stage(t: TestContext) {
  const { vms, table } = await admission(t);
  const kernelBoot = { kernel: { pool: "images", volume: "vmlinuz" } };
  for (const [index, name, tenant] of [
    [1, "own", "acme"],
    [2, "theirs", "victim"],
  ] as const) {
    const id = `00000000-0000-4000-8000-00000000000${index}`;
    const given = { id, name, tenant, vcpus: 1, memoryBytes: GIB, kernelBoot };
    const spec = checkSpec(given, { bridges: [], allowSpoofing: false });
    const seen = { presence: "present", observedAtMs: 1, stateReason: "", managed: true } as const;
    const plain = { labels: {}, placementEpoch: 0, cells: [], disks: [], nics: [] };
    const of = { id, name, tenant, spec, state: "stopped", vcpus: 1 } as const;
    table.put(withEtag({ ...seen, ...plain, ...of, memoryBytes: GIB }));
  }
  const errorOf = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => "none",
      (thrown: unknown) => {
        const { kind, reason, message } = toSocleError(thrown);
        return `${kind} ${reason} ${message}`;
      },
    );
  const pause = (vm: string, requestId: string) =>
    vms.begin("PAUSE_VM", { requestId, vm }, CALLER, ({ tenant }) => tenant === "acme");
  return { vms, table, errorOf, pause };
}

test("a request for another tenant's VM gets the answer to a VM that does not exist, whatever else is wrong", async (t) => {
  const { table, errorOf, pause } = await stage(t);
  const answers = async (requestId: string): Promise<readonly string[]> =>
    await Promise.all(["theirs", "absent"].map((vm) => errorOf(pause(vm, requestId))));
  const compare = async (requestId: string, expected: RegExp): Promise<void> => {
    const [theirs = "", absent = ""] = await answers(requestId);
    assert.match(theirs, expected);
    assert.equal(theirs.replace("theirs", "NAME"), absent.replace("absent", "NAME"));
  };
  await compare("new", /VM_NOT_FOUND/);
  await compare("not valid", /REQUEST_ID_INVALID/);
  await pause("own", "used");
  await compare("used", /REQUEST_ID_REUSED/);
  table.markUnknown();
  await compare("while-unknown", /LIBVIRT_UNAVAILABLE/);
});

test("a new disk over another tenant's volume is refused before a look whether the volume exists", async (t) => {
  const { vms, errorOf } = await stage(t);
  for (const baseVolume of [
    "socle-volume-victim+data.qcow2",
    "socle-00000000-0000-4000-8000-000000000002-data.qcow2",
  ]) {
    const source = { kind: "new", pool: "images", format: "qcow2", baseVolume };
    const disk = { name: "spy", source };
    const attach = vms.begin("ATTACH_DISK", { requestId: baseVolume, vm: "own", disk }, CALLER);
    assert.match(await errorOf(attach), /VOLUME_DENIED/);
    const volume = { pool: "images", volume: baseVolume };
    const rescue = vms.begin(
      "RESCUE_VM",
      { requestId: `r-${baseVolume}`, vm: "own", force: true, volume },
      CALLER,
    );
    assert.match(await errorOf(rescue), /VOLUME_DENIED/);
  }
});
