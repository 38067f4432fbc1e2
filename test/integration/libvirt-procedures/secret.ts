import assert from "node:assert/strict";
import * as p from "../../../agent/libvirt/index.ts";
import { lines, type Proofs } from "./world.ts";

export const secret: Proofs = {
  "a secret is stored, read and removed": async ({ on, virsh, recorder }) => {
    const usageId = "/socle-proc-volume";
    const { secret } = await on.answers(p.secretDefineXml, {
      xml: `<secret ephemeral='yes' private='no'><usage type='volume'><volume>${usageId}</volume></usage></secret>`,
      flags: 0,
    });
    assert.deepEqual(secret, { uuid: secret.uuid, usageType: p.SecretUsageType.VOLUME, usageId });
    await on.refuses(p.secretGetValue, { secret, flags: 0 }, "LIBVIRT_NO_SECRET");
    const value = Buffer.from([0, 255, 1, 128, 7]);
    await on.answers(p.secretSetValue, { secret, value, flags: 0 });
    await recorder.waitFor(p.secretEventValueChanged, (received) => received.secret.uuid === secret.uuid);
    const back = await on.answers(p.secretGetValue, { secret, flags: 0 });
    assert.deepEqual(Buffer.from(back.value), value);
    assert.equal(await virsh("secret-get-value", secret.uuid), value.toString("base64"));

    const { xml } = await on.answers(p.secretGetXmlDesc, { secret, flags: 0 });
    assert.equal(xml.trim(), await virsh("secret-dumpxml", secret.uuid));
    assert.deepEqual(await on.answers(p.secretLookupByUuid, { uuid: secret.uuid }), { secret });
    const usage = { usageType: p.SecretUsageType.VOLUME, usageId };
    assert.deepEqual(await on.answers(p.secretLookupByUsage, usage), { secret });
    const listed = await on.answers(p.connectListAllSecrets, { needResults: true, flags: 0 });
    assert.deepEqual(listed, { secrets: [secret], ret: 1 });
    assert.equal(lines(await virsh("secret-list")).length, 1);

    await on.answers(p.secretUndefine, { secret });
    await on.refuses(p.secretLookupByUuid, { uuid: secret.uuid }, "LIBVIRT_NO_SECRET");
    for (const event of [p.SecretEventLifecycleType.DEFINED, p.SecretEventLifecycleType.UNDEFINED]) {
      await recorder.waitFor(
        p.secretEventLifecycle,
        (received) => received.secret.uuid === secret.uuid && received.event === event,
      );
    }
  },
};
