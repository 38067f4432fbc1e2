import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { LibvirtError } from "../../../../agent/libvirt/index.ts";
import { maxDocumentBytes, parseDocument } from "../../../../agent/libvirt/xml/document.ts";
import { fixture, noPython, pythonTrees, treeOf } from "../../../support/libvirt/xml/oracles.ts";

const fixtures = readdirSync(join(import.meta.dirname, "../../../fixtures/xml")).map((name) =>
  name.replace(/\.xml$/, ""),
);

const malformed = [
  "",
  " ",
  "text",
  "<a",
  "<a>",
  "</a>",
  "<a></b>",
  "<a><b></a></b>",
  "<a/><b/>",
  "<a/>text",
  "text<a/>",
  "<a b/>",
  "<a b=1/>",
  "<a b='1/>",
  `<a b='1"/>`,
  "<a b='1' b='2'/>",
  "<a b='1'c='2'/>",
  "<a b='<'/>",
  "<a b='&'/>",
  "<a b='& x'/>",
  "<a>& x</a>",
  "<a>&lt</a>",
  "<a>&undefined;</a>",
  "<a>&#0;</a>",
  "<a>&#x1;</a>",
  "<a>&#xD800;</a>",
  "<a>&#x110000;</a>",
  "<a>&#xFFFE;</a>",
  "<a>&#;</a>",
  "<a>&#xg;</a>",
  "<a>]]></a>",
  "<a>\u0001</a>",
  "<a b='\u0000'/>",
  "<a>\ufffe</a>",
  "< a/>",
  "<a/ >",
  "<1/>",
  "<-a/>",
  "<a><!-- -- --></a>",
  "<a><!-- --->x</a>",
  "<a><!-- </a>",
  "<a><![CDATA[ </a>",
  "<![CDATA[x]]><a/>",
  "<a><?x </a>",
  "<a><!b></a>",
  "<a></a b='1'>",
  "<p:a/>",
  "<a p:b='1'/>",
  "<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>",
  "<a xmlns:p=''/>",
  " <?xml version='1.0'?><a/>",
  "<a><?xml version='1.0'?></a>",
];

function refusal(text: string, root = "a"): LibvirtError {
  try {
    parseDocument(text, root);
  } catch (thrown) {
    assert.ok(thrown instanceof LibvirtError);
    return thrown;
  }
  assert.fail(`accepted: ${text.slice(0, 80)}`);
}

describe("an XML document", () => {
  for (const text of malformed) {
    it(`is refused as malformed: ${JSON.stringify(text)}`, () => {
      const error = refusal(text);
      assert.equal(error.reason, "XML_MALFORMED");
      assert.equal(error.kind, "internal");
    });
  }

  it("contains no half of a surrogate pair", () => {
    assert.equal(refusal("<a>\ud800</a>").reason, "XML_MALFORMED");
  });

  it("is XML 1.0 whatever its declaration states", () => {
    assert.equal(refusal("<?xml version='1.1'?><a>&#1;</a>").reason, "XML_MALFORMED");
  });

  it("that is refused here is refused by expat too", { skip: noPython }, () => {
    assert.deepEqual(
      pythonTrees(malformed).map((tree, index) => (tree === null ? "" : malformed[index])),
      malformed.map(() => ""),
    );
  });

  it("may declare no DOCTYPE, entity or external reference", () => {
    for (const text of [
      "<!DOCTYPE a><a/>",
      "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
      `<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>`,
      `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>`,
    ]) {
      assert.match(refusal(text).message, /DOCTYPE/);
    }
  });

  it("names the line of a fault", () => {
    assert.match(refusal("<a>\n<b/>\n<c x='1' x='2'/></a>").message, /attribute: x\..*\(line 3\)/);
  });

  it("is bounded in size, depth, elements and attributes", () => {
    const tooLarge = refusal(`<a>${" ".repeat(maxDocumentBytes)}</a>`);
    assert.deepEqual([tooLarge.kind, tooLarge.reason], ["exhausted", "XML_TOO_LARGE"]);
    // Three bytes each in UTF-8.
    assert.equal(refusal(`<a>${"€".repeat(maxDocumentBytes / 3 + 1)}</a>`).reason, "XML_TOO_LARGE");
    assert.match(refusal(`${"<a>".repeat(257)}${"</a>".repeat(257)}`).message, /nests deeper/);
    assert.equal(parseDocument(`${"<a>".repeat(256)}${"</a>".repeat(256)}`, "a").name, "a");
    assert.match(refusal(`<a>${"<b/>".repeat(200_001)}</a>`).message, /more than 200000 elements/);
    const attributes = Array.from({ length: 300 }, (_, index) => ` x${String(index)}=''`).join("");
    assert.match(refusal(`<a${attributes}/>`).message, /too many attributes/);
  });

  it("must have the expected root", () => {
    const error = refusal("<pool/>", "domain");
    assert.deepEqual(
      [error.reason, error.message],
      ["XML_UNEXPECTED", "libvirt XML: the root is <pool>, <domain> was expected"],
    );
  });

  it(
    "is parsed by XML 1.0: references, CDATA, line ends, comments, white space in attributes",
    { skip: noPython },
    () => {
      const documents = [
        `<?xml version="1.0" encoding="UTF-8"?>\n<!-- x -->\n<a b='&lt;&gt;&amp;&quot;&apos;&#65;&#x42;&#x1F600;'/>\n<!-- y -->\n`,
        "<a>x<!-- c -->y<![CDATA[<b>&amp;]]>z<?pi data?></a>",
        "<a b=' x\ty\nz\r\nw '>one\r\ntwo\rthree&#13;</a>",
        "<a  b = '1'\n\tc=\"2\" ><b\n/></a\n>",
        "<a xmlns='urn:x' xmlns:p='urn:y'><p:b p:c='1' d='2'/><c xmlns=''/></a>",
        "<a>  <b/>  text  <b/>  </a>",
        "<a>]] &gt;</a>",
        "<a __proto__='1' constructor='2'><hasOwnProperty/></a>",
        "<émile été='ö'>日本</émile>",
      ];
      const ours = documents.map((text) =>
        treeOf(parseDocument(text, /<([^!?\s/>]+)/.exec(text)?.[1] ?? "")),
      );
      // xml.etree writes the namespace of a prefixed attribute into its name.
      const theirs = JSON.parse(
        JSON.stringify(pythonTrees(documents)).replaceAll("{urn:y}c", "p:c"),
      ) as unknown;
      assert.deepEqual(ours, theirs);
    },
  );

  it("parses every fixture as expat does", { skip: noPython }, () => {
    const texts = fixtures.map(fixture);
    const ours = texts.map((text) => treeOf(parseDocument(text, /<([\w:]+)/.exec(text)?.[1] ?? "")));
    assert.ok(fixtures.length > 20);
    pythonTrees(texts).forEach((theirs, index) => assert.deepEqual(ours[index], theirs, fixtures[index]));
  });
});
