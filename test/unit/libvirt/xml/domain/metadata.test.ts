import assert from "node:assert/strict";
import { test } from "node:test";
import {
  buildDomain,
  buildMetadata,
  node,
  parseDocument,
  parseDomain,
  type MetadataElement,
} from "../../../../../agent/libvirt/xml/index.ts";
import { fullDomain } from "../../../../support/libvirt/xml/samples.ts";

const { metadata: _, ...document } = fullDomain;

const backup = (schedule: string, key = "b"): MetadataElement => ({
  namespace: {
    uri: "urn:example:backup:1",
    key,
    rules: {
      root: "backup",
      rule: { attributes: { at: "text" }, children: { schedule: { text: "text" } } },
    },
  },
  element: node("backup", { at: "<night>" }, [node("schedule", {}, schedule)]),
});

test("metadata of any namespace is written into a domain and read back from it", () => {
  const read = parseDomain(buildDomain(document, [backup("daily & weekly")])).metadata ?? [];
  assert.deepEqual(
    read.map(({ name, namespace }) => [name, namespace]),
    [["b:backup", "urn:example:backup:1"]],
  );
  const [element] = read;
  assert.equal(element?.attr("at"), "<night>");
  assert.equal(element.requireText("b:schedule"), "daily & weekly");
});

test("metadata by itself has no prefix, as virDomainSetMetadata takes it", () => {
  const read = parseDocument(buildMetadata(backup("daily")), "backup");
  assert.equal(read.requireText("schedule"), "daily");
  assert.equal(read.namespace, "");
});

test("a domain is not written without the metadata that it had, unless it is replaced", () => {
  const before = parseDomain(buildDomain(document, [backup("daily")]));
  assert.throws(() => buildDomain(before), { kind: "unsupported", reason: "DOMAIN_NOT_WRITABLE" });
  const after = parseDomain(buildDomain(before, [backup("weekly")])).metadata ?? [];
  assert.deepEqual(
    after.map((element) => element.children[0]?.text),
    ["weekly"],
  );
});

test("metadata cannot leave its rules, its element or its prefix", () => {
  const { namespace } = backup("daily");
  const other: MetadataElement = { namespace, element: node("backup", {}, [node("devices")]) };
  assert.throws(() => buildDomain(document, [other]), { reason: "XML_NOT_ALLOWED" });
  const twoLines = backup("daily\nweekly");
  assert.throws(() => buildDomain(document, [twoLines]), { kind: "invalid", reason: "XML_VALUE_REFUSED" });
  assert.throws(() => buildDomain(document, [backup("daily", "a><devices/")]), {
    kind: "invalid",
    reason: "XML_VALUE_REFUSED",
  });
});
