import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { buildSecret } from "../../../../agent/libvirt/xml/index.ts";
import type { LibvirtCalls } from "../../../../agent/vm/hypervisor/certainty.ts";
import { GuestKeys, secretUuid } from "../../../../agent/vm/keys/guest-keys.ts";
import type { KeyWrap } from "../../../../agent/vm/keys/key-wrap.ts";

const VM = "6f1c2f1e-0000-4000-8000-000000000001";
const OTHER = "6f1c2f1e-0000-4000-8000-000000000002";

test("removing the secrets of a VM with unknown parts removes all of them and no other secret", async () => {
  const secretOf = (vm: string, part: string, uuid = secretUuid(vm, part)): [string, string] => [
    uuid,
    `Socle: ${part} of VM ${vm}`,
  ];
  const stranger = "11111111-1111-8111-8111-111111111111";
  const secrets = new Map([
    secretOf(VM, "disk/data"),
    secretOf(VM, "tpm"),
    secretOf(OTHER, "tpm"),
    secretOf(VM, "disk/posed", stranger),
    ["22222222-2222-4222-8222-222222222222", "another client's"] as [string, string],
  ]);
  const call = ({ name }: { name: string }, args: { uuid?: string; secret?: { uuid: string } }): unknown => {
    const uuid = args.uuid ?? args.secret?.uuid ?? "";
    if (name === "SECRET_UNDEFINE") return secrets.delete(uuid);
    if (name === "SECRET_GET_XML_DESC")
      return { xml: buildSecret({ uuid, description: secrets.get(uuid) ?? "" }) };
    const all = [...secrets.keys()].map((each) => ({ uuid: each, usageType: 0, usageId: "" }));
    return name === "CONNECT_LIST_ALL_SECRETS" ? { secrets: all } : { secret: { uuid } };
  };
  const libvirt = {
    call: (...requested: [never, never]) => Promise.resolve().then(() => call(...requested)),
  } as unknown as LibvirtCalls;
  await new GuestKeys(libvirt, systemClock, undefined as unknown as KeyWrap).forgetAll(VM);
  assert.deepEqual([...secrets.values()].sort(), [
    `Socle: disk/posed of VM ${VM}`,
    `Socle: tpm of VM ${OTHER}`,
    "another client's",
  ]);
});
