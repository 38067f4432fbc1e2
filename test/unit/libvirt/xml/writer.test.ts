import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type DocumentRules, node, write } from "../../../../agent/libvirt/xml/writer.ts";

const rules: DocumentRules = {
  root: "a",
  rule: {
    attributes: { id: "integer", kind: ["x", "y"], note: "text" },
    children: { b: { text: "prose" }, c: { attributes: { path: "path" } } },
  },
};

const notAllowed = (path: string) => ({
  kind: "internal",
  reason: "XML_NOT_ALLOWED",
  message: `${path} is not on the allow-list of what may be written`,
});

describe("the writer", () => {
  it("writes allowed, escaped parts, and leaves out undefined ones", () => {
    const document = node("a", { id: 7, kind: "x", note: `<&>"'` }, [
      node("b", {}, "1 < 2\n\t& 3"),
      undefined,
      node("c", { path: "/x y" }),
      node("c", { path: undefined }),
    ]);
    assert.equal(
      write(rules, document),
      `<a id="7" kind="x" note="&lt;&amp;&gt;&quot;&apos;">\n  <b>1 &lt; 2\n\t&amp; 3</b>\n` +
        `  <c path="/x y"/>\n  <c/>\n</a>\n`,
    );
  });

  it("refuses every element, attribute and text that is not on the list", () => {
    assert.throws(() => write(rules, node("b")), notAllowed("b"));
    assert.throws(() => write(rules, node("a", { x: 1 })), notAllowed("a@x"));
    assert.throws(() => write(rules, node("a", {}, [node("a")])), notAllowed("a/a"));
    assert.throws(() => write(rules, node("a", {}, "text")), notAllowed("a/text()"));
    assert.throws(() => write(rules, node("a", {}, [node("b", {}, [node("c")])])), notAllowed("a/b/c"));
    assert.throws(
      () => write(rules, node("a", {}, [node("b", { path: "/x" }, "t")])),
      notAllowed("a/b@path"),
    );
  });

  it("finds no name by inheritance", () => {
    for (const name of ["constructor", "toString", "__proto__", "hasOwnProperty"]) {
      assert.throws(() => write(rules, node("a", {}, [node(name)])), notAllowed(`a/${name}`));
      assert.throws(
        () => write(rules, node("a", Object.fromEntries([[name, "x"]]))),
        notAllowed(`a@${name}`),
      );
    }
  });

  it("refuses a value that its rule does not allow, and names the allowed ones", () => {
    const refusal = (path: string, problem: string) => ({
      kind: "invalid",
      reason: "XML_VALUE_REFUSED",
      message: `${path} ${problem}`,
      details: { fields: { [path]: problem } },
    });
    const attribute = (name: string, value: string | number) => () =>
      write(rules, node("a", { [name]: value }));
    assert.throws(attribute("kind", "z"), refusal("a@kind", "must be one of x, y"));
    assert.throws(attribute("id", "07"), refusal("a@id", "must be an integer from 0"));
    for (const number of [-1, 1.5, Infinity, NaN, 2 ** 53]) {
      assert.throws(attribute("id", number), refusal("a@id", "must be an integer from 0 to 2^53"));
    }
    assert.throws(attribute("note", "a\nb"), refusal("a@note", "must be one line of printable text"));
    assert.throws(
      () => write(rules, node("a", {}, [node("b", {}, "a\u0000")])),
      refusal("a/b", "must be printable text"),
    );
  });
});
