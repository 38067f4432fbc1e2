import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { tsImport } from "tsx/esm/api";
import type { Procedure } from "../../../../agent/libvirt/index.ts";
import { connect } from "../../../support/libvirt/client-stage.ts";
import { encoded, FakeDaemon } from "../../../support/libvirt/fake-daemon.ts";

const repository = join(import.meta.dirname, "../../../..");

/** The module in the client's README for a procedure of another libvirt. */
async function readmeModule(directory: string): Promise<Record<string, unknown>> {
  const readme = await readFile(join(repository, "agent/libvirt/README.md"), "utf8");
  const example = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].find(([, code]) =>
    code?.includes(" procedure("),
  );
  const code = (example?.[1] ?? "")
    .replace("@socle/libvirt", pathToFileURL(join(repository, "agent/libvirt/index.ts")).href)
    .replace(/^const /m, "export const ")
    .replace(/^console.*$/m, "");
  const file = join(directory, "example.mts");
  await writeFile(file, code);
  return (await tsImport(pathToFileURL(file).href, import.meta.url)) as Record<string, unknown>;
}

test("the README's procedure of another libvirt is called with the exported codecs", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-readme-"));
  t.after(() => rm(directory, { recursive: true }));
  const { connectGetType } = await readmeModule(directory);
  const procedure = connectGetType as Procedure<Record<string, never>, { type: string }>;

  const daemon = await FakeDaemon.start(t);
  daemon.on(procedure, (call) => {
    assert.deepEqual([call.procedure, call.args(procedure)], [3, {}]);
    call.reply(encoded(procedure.result, { type: "QEMU" }));
  });
  const libvirt = await connect(t, daemon);
  assert.deepEqual(await libvirt.call(procedure, {}), { type: "QEMU" });
  assert.equal(procedure.onlyReads, true);
});
