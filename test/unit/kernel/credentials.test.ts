import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { credentialPath, readCredential } from "../../../agent/kernel/credentials.ts";

test("a secret is read byte by byte from systemd's credential directory, and from nowhere else", async (context) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-credentials-"));
  context.after(() => rm(directory, { recursive: true }));
  const environment = { CREDENTIALS_DIRECTORY: directory };
  assert.equal(await readCredential(environment, "socle-volume-key"), undefined);
  const secret = Buffer.from([0, 1, 254, 255, 10]);
  await writeFile(join(directory, "socle-volume-key"), secret);
  assert.deepEqual(await readCredential(environment, "socle-volume-key"), secret);
  assert.equal(credentialPath(environment, "socle-volume-key"), join(directory, "socle-volume-key"));
  for (const elsewhere of [{}, { CREDENTIALS_DIRECTORY: "" }])
    assert.equal(credentialPath(elsewhere, "socle-volume-key"), undefined);
  await mkdir(join(directory, "socle-bmc-password"));
  await assert.rejects(readCredential(environment, "socle-bmc-password"), {
    reason: "CREDENTIAL_UNREADABLE",
    kind: "invalid",
  });
});
