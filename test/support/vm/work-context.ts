import type { Clock } from "../../../agent/kernel/clock.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { Domains } from "../../../agent/vm/hypervisor/domains.ts";
import { GuestKeys } from "../../../agent/vm/keys/guest-keys.ts";
import { KeyWrap } from "../../../agent/vm/keys/key-wrap.ts";
import { Networks } from "../../../agent/vm/hypervisor/networks.ts";
import type { VmTable } from "../../../agent/vm/observation/vm-table.ts";
import { Volumes } from "../../../agent/vm/storage/volumes.ts";
import { imagePartsOf } from "./image-parts.ts";
import { StopEscalation } from "../../../agent/vm/operations/stop-escalation.ts";
import type { RunContext } from "../../../agent/vm/operations/work.ts";

/** The dependencies of works, over the test's libvirt. */
export function workContext(
  calls: ConstructorParameters<typeof Domains>[0],
  clock: Clock,
  table: VmTable,
  volumes?: ConstructorParameters<typeof Volumes>[2],
): RunContext {
  const own = new Volumes(calls, clock, volumes);
  return {
    domains: new Domains(calls, clock),
    volumes: own,
    images: imagePartsOf(calls, own, table, clock),
    networks: new Networks(calls),
    keys: new GuestKeys(calls, clock, new KeyWrap({ file: null, environment: {} })),
    attest: () => ({ text: "{}", signature: "" }),
    table,
    clock,
    log: silentLog,
    architecture: "x86_64",
    socketDirectory: "/run/socle-guests",
    creations: () => [],
    escalation: new StopEscalation(clock),
  };
}
