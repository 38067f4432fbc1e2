import assert from "node:assert/strict";
import { test } from "node:test";
import type { DumpMemoryRequest__Output } from "../../../../agent/gen/socle/v1/DumpMemoryRequest.ts";
import { toSocleError } from "../../../../agent/kernel/errors.ts";
import type { Caller } from "../../../../agent/api/auth/identity.ts";
import { ErrorEncoder } from "../../../../agent/api/convert/errors.ts";
import type { CallContext } from "../../../../agent/api/services/handler.ts";
import { vmService } from "../../../../agent/api/services/vm-service.ts";
import { protos, startApi, vm } from "../../../support/api/harness.ts";

const file: DumpMemoryRequest__Output = {
  requestId: "1",
  vm: "11111111-1111-4111-8111-111111111111",
  validateOnly: false,
  format: "DUMP_FORMAT_UNSPECIFIED",
  allowEncrypted: false,
  volume: null,
};

test("only the provider's operators dump into a file on the host; tenants into volumes, of their own VMs", async (t) => {
  const { dependencies, table, requests } = await startApi(t);
  table.put(vm(file.vm, { tenant: "acme" }));
  const { DumpMemory } = vmService(dependencies, new ErrorEncoder(protos));
  const dump = async (caller: Caller, request: Partial<DumpMemoryRequest__Output>): Promise<string> => {
    try {
      await DumpMemory({ ...file, ...request }, { caller } as CallContext);
      return "begun";
    } catch (thrown) {
      return toSocleError(thrown).reason;
    }
  };
  const tenants = (role: Caller["role"], tenant: string): Caller => ({ name: "n", role, tenant });
  const volume = { pool: "p", name: "crash" };
  assert.equal(await dump(tenants("operator", "acme"), {}), "DUMP_DENIED");
  assert.equal(await dump({ name: "n", role: "scheduler" }, {}), "DUMP_DENIED");
  assert.equal(await dump({ name: "n", role: "operator" }, { requestId: "2" }), "begun");
  assert.equal(await dump(tenants("scheduler", "evil"), { volume }), "VM_NOT_FOUND");
  assert.equal(await dump(tenants("scheduler", "acme"), { volume, requestId: "3" }), "begun");
  assert.deepEqual(
    requests.map(([, request]) => request),
    [
      { requestId: "2", vm: file.vm, validateOnly: false, allowEncrypted: false, format: "elf" },
      { requestId: "3", vm: file.vm, validateOnly: false, allowEncrypted: false, format: "elf", volume },
    ],
  );
});
