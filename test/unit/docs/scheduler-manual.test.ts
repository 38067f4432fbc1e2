import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { parseConfig } from "../../../agent/config/load.ts";
import { compatibilityOf } from "../../../agent/host/inventory/compatibility.ts";
import { parseCapabilities, parseDomainCapabilities } from "../../../agent/libvirt/xml/index.ts";
import { stateDigest } from "../../../agent/scheduler/digest.ts";
import {
  blockAfter,
  codeIn,
  repository,
  tableBelow,
  textOf,
  withBlock,
} from "../../support/docs/markdown.ts";

const manual = textOf("proto/README.md");

for (const [page, client] of [
  ["proto/README.md", "test/clients/shortest.py"],
  ["proto/clients.md", "test/clients/scheduler.py"],
  ["proto/clients.md", "test/clients/scheduler.ts"],
] as const) {
  test(`${page} shows ${client} as tested (else: UPDATE_GOLDEN=1)`, async () => {
    const code = textOf(client);
    if (process.env["UPDATE_GOLDEN"] === "1")
      await writeFile(join(repository, page), withBlock(textOf(page), client, code));
    assert.equal(blockAfter(textOf(page), client), code);
  });
}

test("the configurations in proto/README.md are valid", () => {
  const examples = [...manual.matchAll(/^```yaml\n(.*?)^```$/gms)].map(([, text = ""]) => text);
  assert.notEqual(examples.length, 0);
  for (const text of examples) assert.doesNotThrow(() => parseConfig(text, "proto/README.md"), text);
});

test("the digests in proto/README.md equal the agent's", () => {
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

test("the compatibility digest in proto/README.md is that of its lines, and of a host with these facts", () => {
  const [, expected = ""] = /^Digest: `([0-9a-f]{64})`$/m.exec(manual) ?? [];
  assert.equal(createHash("sha256").update(blockAfter(manual, "compatibility")).digest("hex"), expected);
  const capabilities = parseCapabilities(`<capabilities>
    <host>
      <uuid>6f2f0c4e-8c1b-4f0e-9a54-6a3f3c1b2a01</uuid>
      <cpu>
        <arch>x86_64</arch><model>EPYC</model><vendor>AMD</vendor>
        <feature name="x2apic"/><feature name="aes"/>
        <maxphysaddr mode="emulate" bits="48"/>
      </cpu>
    </host>
    <guest>
      <os_type>hvm</os_type>
      <arch name="x86_64"><machine canonical="pc-q35-10.0">q35</machine><machine>pc-q35-10.0</machine></arch>
    </guest>
  </capabilities>`);
  const domain = parseDomainCapabilities(`<domainCapabilities>
    <path>/usr/bin/qemu</path><domain>kvm</domain><machine>pc-q35-10.0</machine><arch>x86_64</arch>
    <cpu>
      <mode name="host-model" supported="yes">
        <model fallback="forbid">EPYC</model><vendor>AMD</vendor>
        <feature policy="require" name="x2apic"/><feature policy="disable" name="svm"/>
      </mode>
    </cpu>
  </domainCapabilities>`);
  const facts = { capabilities, domain, libvirtVersion: "11.3.0", hypervisorVersion: "10.0.2" };
  assert.equal(compatibilityOf(facts).digest, expected);
});
