import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { stateDigest } from "../../../agent/scheduler/digest.ts";
import {
  blockAfter,
  codeIn,
  repository,
  tableBelow,
  textOf,
  withBlock,
} from "../../support/docs/markdown.ts";

let manual = textOf("proto/README.md");

for (const client of ["test/clients/shortest.py", "test/clients/scheduler.py", "test/clients/scheduler.ts"]) {
  test(`proto/README.md has ${client} as it is tested (else: UPDATE_GOLDEN=1)`, async () => {
    if (process.env["UPDATE_GOLDEN"] === "1") {
      manual = withBlock(manual, client, textOf(client));
      await writeFile(join(repository, "proto/README.md"), manual);
    }
    assert.equal(blockAfter(manual, client), textOf(client));
  });
}

test("the digests in proto/README.md are those that the agent computes", () => {
  const vectors = tableBelow(manual, "## Digests");
  assert.ok(vectors.length > 0);
  for (const [etag = "", listed = "", expected = ""] of vectors) {
    const vms = codeIn(listed).map((text) => {
      const [id = "", vmEtag = ""] = text.split(" ");
      return { id, etag: vmEtag };
    });
    assert.equal(stateDigest(codeIn(etag)[0] ?? "", vms), codeIn(expected)[0]);
  }
});
