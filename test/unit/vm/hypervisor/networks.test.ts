import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { Networks } from "../../../../agent/vm/hypervisor/networks.ts";
import type { NicSpec } from "../../../../agent/contract/spec.ts";
import { answering } from "../../../support/vm/libvirt-answers.ts";

const on = (source: NicSpec["source"]): { nics: NicSpec[] } => ({
  nics: [{ name: "net", source, allowSpoofing: false, allowedAddresses: [] }],
});

test("a creation on a missing or inactive network fails with its name before any effect", async () => {
  const missing = new SocleError("not_found", "LIBVIRT_NO_NETWORK", "no network with matching name");
  const nowhere = new Networks(answering({ NETWORK_LOOKUP_BY_NAME: [missing] }).calls);
  await assert.rejects(nowhere.check(on({ kind: "network", network: "nonet" })), {
    kind: "not_found",
    reason: "NETWORK_NOT_FOUND",
    message: /network nonet/,
  });
  await nowhere.check(on({ kind: "bridge", bridge: "br0" }));
  const found = (active: boolean): Networks =>
    new Networks(answering({ NETWORK_LOOKUP_BY_NAME: [{ net: {} }], NETWORK_IS_ACTIVE: [{ active }] }).calls);
  await found(true).check(on({ kind: "network", network: "front" }));
  await assert.rejects(found(false).check(on({ kind: "network", network: "front" })), {
    reason: "NETWORK_INACTIVE",
    message: /network front .*virsh net-start front/,
  });
  await found(false).check(on({ kind: "network", network: "front" }), "present");
});
