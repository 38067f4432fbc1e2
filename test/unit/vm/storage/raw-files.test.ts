// Which raw volumes a guest may write to.
import assert from "node:assert/strict";
import { test } from "node:test";
import { toSocleError } from "../../../../agent/kernel/errors.ts";
import type { Procedure } from "../../../../agent/libvirt/index.ts";
import { RawFiles } from "../../../../agent/vm/storage/raw-files.ts";
import { VolumeLookup } from "../../../../agent/vm/storage/volume-lookup.ts";

const rawFilesIn = (poolType: string, areAllowed = false): RawFiles => {
  const answers: Record<string, unknown> = {
    STORAGE_POOL_LOOKUP_BY_NAME: { pool: { name: "p", uuid: "" } },
    STORAGE_POOL_GET_XML_DESC: {
      xml: `<pool type='${poolType}'><name>p</name><target><path>/pools/p</path></target></pool>`,
    },
  };
  const call = <A, R>({ name }: Procedure<A, R>): Promise<R> => Promise.resolve(answers[name] as R);
  return new RawFiles(new VolumeLookup({ call }), areAllowed);
};

const refusal = async (files: RawFiles, volume: string, change: "make" | "use" = "use"): Promise<string> =>
  await files.refuse({ pool: "p", volume }, change).then(
    () => "allowed",
    (thrown: unknown) => `${toSocleError(thrown).reason} ${toSocleError(thrown).message}`,
  );

test("guests write to raw volumes among block devices, and not among files", async () => {
  for (const type of ["dir", "fs", "netfs", "vstorage"]) {
    assert.match(await refusal(rawFilesIn(type), "data.img"), /^RAW_FILE_REFUSED/, type);
    assert.equal(await refusal(rawFilesIn(type), "data.qcow2"), "allowed", type);
    assert.equal(await rawFilesIn(type).formatIn("p"), "qcow2", type);
  }
  for (const type of ["logical", "disk", "iscsi"]) {
    assert.equal(await refusal(rawFilesIn(type), "data"), "allowed", type);
    assert.equal(await rawFilesIn(type).formatIn("p"), "raw", type);
  }
  assert.equal(
    await refusal(rawFilesIn("dir", true), "data.img"),
    "allowed",
    "the operator trusts the guests",
  );
});

test("the refusal names the one command that converts the file", async () => {
  const ID = "11111111-1111-4111-8111-111111111111";
  const files = rawFilesIn("dir");
  assert.match(
    await refusal(files, "data.img"),
    /Convert it: qemu-img convert -f raw -O qcow2 \/pools\/p\/data\.img \/pools\/p\/data\.qcow2$/,
  );
  assert.match(
    await refusal(files, `socle-${ID}-root.raw`),
    new RegExp(`: socle vm disk move ${ID} root p$`),
  );
  assert.match(await refusal(files, "new.raw", "make"), /Use the format qcow2/);
});
