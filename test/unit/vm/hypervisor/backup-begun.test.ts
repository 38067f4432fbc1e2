import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import {
  domainBackupGetXmlDesc,
  domainGetJobInfo,
  DomainJobType,
  type Procedure,
} from "../../../../agent/libvirt/index.ts";
import { DomainBackups } from "../../../../agent/vm/hypervisor/domain-backups.ts";
import { silent, sleepingClock } from "../../../support/vm/libvirt-answers.ts";

const VM = "6f1c2f1e-0000-4000-8000-000000000001";
const ID = "0123456789abcdef";
const open = `<domainbackup mode='pull'><server transport='unix' socket='/s'/><disks>
  <disk name='vda' backup='yes' type='file'><scratch file='/pool/root.backup-${ID}.qcow2'/></disk>
</disks></domainbackup>`;

/** What libvirt shows at each look: a job without its backup, the backup, or nothing. The last one stays. */
function hasBegun(...shown: readonly ("job" | "backup" | "nothing")[]): Promise<boolean> {
  const left = [...shown];
  let now = left[0];
  const call = ({ name }: { readonly name: string }): object => {
    if (name === domainBackupGetXmlDesc.name) {
      now = left.length > 1 ? left.shift() : left[0];
      if (now === "backup") return { xml: open };
      throw new SocleError("not_found", "LIBVIRT_NO_DOMAIN_BACKUP", "no backup");
    }
    if (name === domainGetJobInfo.name)
      return { type: now === "nothing" ? DomainJobType.NONE : DomainJobType.UNBOUNDED };
    return {};
  };
  const calls = {
    call: <A, R>(procedure: Procedure<A, R>): Promise<R> =>
      new Promise((resolve) => {
        resolve(call(procedure) as R);
      }),
    ...silent(),
  };
  const reads = {} as ConstructorParameters<typeof DomainBackups>[2];
  return new DomainBackups(calls, sleepingClock(), reads).hasBegun(VM, ID);
}

test("a backup that an earlier agent asked for has begun if libvirt begins it later", async () => {
  assert.equal(await hasBegun("backup"), true);
  assert.equal(await hasBegun("nothing", "job", "job", "backup"), true);
  assert.equal(await hasBegun("nothing"), false);
  // It failed, as another client's job ends.
  assert.equal(await hasBegun("nothing", "job", "nothing"), false);
  await assert.rejects(hasBegun("nothing", "job"), { kind: "outcome_unknown" });
});
