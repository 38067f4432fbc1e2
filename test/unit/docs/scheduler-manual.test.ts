import assert from "node:assert/strict";
import test from "node:test";
import { stateDigest } from "../../../agent/scheduler/digest.ts";
import { blockAfter, codeIn, tableBelow, textOf } from "../../support/docs/markdown.ts";

const manual = textOf("proto/README.md");

for (const client of ["test/clients/shortest.py", "test/clients/scheduler.py", "test/clients/scheduler.ts"]) {
  test(`proto/README.md has ${client} as it is tested`, () => {
    assert.equal(blockAfter(manual, client), textOf(client), `copy ${client} into its block`);
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
