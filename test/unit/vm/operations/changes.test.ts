// What changes of VMs claim, and what requests that come at the same time get.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import { withEtag } from "../../../../agent/vm/observation/vm-from-domain.ts";
import { admission, GIB } from "../../../support/vm/admission-stage.ts";

const WEB = "00000000-0000-4000-8000-000000000001";

/** The stopped VM `web` without disks, in a tenant that may have 10 GiB. */
async function stage(t: TestContext) {
  const { vms, table, ledger } = await admission(t, { quota: { diskBytes: 10 * GIB } });
  const kernelBoot = { kernel: { pool: "images", volume: "vmlinuz" } };
  const given = { id: WEB, name: "web", tenant: "acme", vcpus: 1, memoryBytes: GIB, kernelBoot };
  const spec = checkSpec(given, { bridges: [], allowSpoofing: false });
  const seen = { presence: "present", observedAtMs: 1, stateReason: "", managed: true } as const;
  const plain = { labels: {}, placementEpoch: 0, cells: [], disks: [], nics: [] };
  const of = { id: WEB, name: "web", tenant: "acme", spec, state: "stopped", vcpus: 1 } as const;
  table.put(withEtag({ ...seen, ...plain, ...of, memoryBytes: GIB }));
  const attach = (requestId: string, more: { validateOnly?: boolean } = {}) =>
    vms.begin(
      "ATTACH_DISK",
      {
        requestId,
        vm: "web",
        disk: { name: "data", source: { kind: "new", pool: "images", capacityBytes: 8 * GIB } },
        ...more,
      },
      "operator",
    );
  return { attach, ledger };
}

test("a request that comes twice at the same time is one operation, with one claim", async (t) => {
  const { attach, ledger } = await stage(t);
  const [first, again] = await Promise.all([attach("same"), attach("same")]);
  assert.equal(again.id, first.id);
  assert.equal(ledger.tenantUse().get("acme")?.diskBytes, 8 * GIB);
});
