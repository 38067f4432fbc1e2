import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { KeyWrap } from "../../../../agent/vm/keys/key-wrap.ts";

suite("sealing under the volume key", () => {
  let directory: string;
  let file: string;
  let wrap: KeyWrap;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "socle-key-"));
    file = join(directory, "socle-volume-key");
    await writeFile(file, randomBytes(32), { mode: 0o600 });
    wrap = new KeyWrap({ file, environment: {} });
  });
  after(() => rm(directory, { recursive: true }));

  const refused = async (what: () => Promise<unknown>, reason: string, message: RegExp): Promise<void> =>
    await assert.rejects(what(), (thrown: Error & { reason?: string }) => {
      assert.equal(thrown.reason, reason);
      assert.match(thrown.message, message);
      return true;
    });

  test("a sealed secret opens again, also with the key as a systemd credential; each sealing differs", async () => {
    const sealed = await wrap.wrap("open sesame", "a door");
    const credential = new KeyWrap({ file: null, environment: { CREDENTIALS_DIRECTORY: directory } });
    assert.equal(await credential.unwrap(sealed, "a door"), "open sesame");
    assert.ok(!sealed.includes("sesame") && !Buffer.from(sealed, "base64url").includes("sesame"));
    assert.notEqual(await wrap.wrap("open sesame", "a door"), sealed);
  });

  test("a sealed secret does not open for another purpose or after any change", async () => {
    const sealed = await wrap.wrap("open sesame", "vm 1 disk/a");
    await refused(() => wrap.unwrap(sealed, "vm 2 disk/a"), "SEALED_KEY_DAMAGED", /vm 2 disk\/a/);
    const at = sealed.lastIndexOf(".") + 1;
    for (const index of [at, at + 20, sealed.length - 2]) {
      const other = sealed[index] === "A" ? "B" : "A";
      const changed = sealed.slice(0, index) + other + sealed.slice(index + 1);
      await refused(
        () => wrap.unwrap(changed, "vm 1 disk/a"),
        "SEALED_KEY_DAMAGED",
        /changed, or sealed for another purpose/,
      );
    }
    for (const text of ["", "v1", "v1..", sealed.slice(0, at + 10), `${sealed}.`, sealed.replace("v1", "v2")])
      await refused(() => wrap.unwrap(text, "vm 1 disk/a"), "SEALED_KEY_DAMAGED", /./);
  });

  test("a wrong key and damaged data give different errors, with both key ids", async () => {
    const sealed = await wrap.wrap("open sesame", "a door");
    const path = join(directory, "other");
    await writeFile(path, randomBytes(32), { mode: 0o600 });
    const other = new KeyWrap({ file: path, environment: {} });
    const id = sealed.split(".")[1] ?? "?";
    await refused(() => other.unwrap(sealed, "a door"), "VOLUME_KEY_MISMATCH", new RegExp(id));
  });

  test("a key that is missing, readable by others or of wrong length is refused with a remedy", async () => {
    const nowhere = new KeyWrap({ file: null, environment: {} });
    await refused(
      () => nowhere.check(),
      "VOLUME_KEY_MISSING",
      /credential socle-volume-key.*vm\.volumeKeyFile/,
    );
    const gone = new KeyWrap({ file: join(directory, "gone"), environment: {} });
    await refused(() => gone.check(), "VOLUME_KEY_MISSING", /gone does not exist/);
    for (const [bytes, mode, why] of [
      [32, 0o640, /chmod 600/],
      [32, 0o604, /chmod 600/],
      [31, 0o600, /exactly 32/],
      [33, 0o600, /exactly 32/],
      [0, 0o600, /exactly 32/],
    ] as const) {
      const path = join(directory, "bad");
      await writeFile(path, randomBytes(bytes));
      await chmod(path, mode);
      await refused(() => new KeyWrap({ file: path, environment: {} }).check(), "VOLUME_KEY_UNUSABLE", why);
    }
    const folder = new KeyWrap({ file: null, environment: { CREDENTIALS_DIRECTORY: join(directory, "..") } });
    await refused(() => folder.check(), "VOLUME_KEY_MISSING", /no volume key/);
  });
});
