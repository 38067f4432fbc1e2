import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatCpuSet, parseCpuSet } from "../../../../agent/libvirt/xml/domain/cpuset.ts";
import { parseDocument } from "../../../../agent/libvirt/xml/document.ts";
import { bytesPerUnit } from "../../../../agent/libvirt/xml/units.ts";

const root = parseDocument(
  `<a>
    <size unit='MiB'>12</size>
    <plain> 7 </plain>
    <hex id='0x3b' sign='-1' huge='18446744073709551615' word='12a'/>
    <list><item on='yes'/><item on='off'/><item on='maybe'/></list>
    <huge unit='EiB'>15</huge>
    <odd unit='furlong'>1</odd>
    <empty/>
    <texts><text>x</text><other>y</other><text>z</text></texts>
  </a>`,
  "a",
);

const unexpected = (message: string) => ({
  kind: "internal",
  reason: "XML_UNEXPECTED",
  message: `libvirt XML: ${message}`,
});

describe("an element", () => {
  it("returns integers, bytes and flags in their units", () => {
    assert.equal(root.bytesAt("size"), 12 * 1024 ** 2);
    assert.equal(root.bytesAt("plain"), 7 * 1024);
    assert.equal(root.bytesAt("plain", "bytes"), 7);
    assert.equal(root.integerAt("plain"), 7);
    assert.equal(root.child("hex")?.integerAttr("id"), 0x3b);
    assert.equal(root.child("hex")?.integerAttr("sign"), -1);
    assert.deepEqual(
      root
        .child("list")
        ?.all("item")
        .map((item) => item.flagAttr("on")),
      [true, false, undefined],
    );
    assert.equal(root.child("list/item")?.attr("on"), "yes");
    assert.deepEqual(root.all("list/item"), root.child("list")?.all("item"));
    assert.deepEqual(root.textsAt("texts/text"), ["x", "z"]);
  });

  it("returns undefined for a missing part", () => {
    assert.equal(root.child("list/none/item"), undefined);
    assert.deepEqual(root.all("list/none/item"), []);
    assert.equal(root.bytesAt("none"), undefined);
    assert.equal(root.child("hex")?.integerAttr("none"), undefined);
    assert.equal(root.textAt("empty"), "");
  });

  it("saturates bytes at 2^53-1", () => {
    assert.equal(root.bytesAt("huge"), Number.MAX_SAFE_INTEGER);
  });

  it("names the path of a missing or wrong part", () => {
    const list = root.requireChild("list");
    assert.throws(() => root.requireChild("list/none"), unexpected("a/list/none is missing"));
    assert.throws(() => list.all("item")[1]?.requireAttr("x"), unexpected("a/list/item[2]@x is missing"));
    assert.throws(
      () => root.child("hex")?.integerAttr("word"),
      unexpected('a/hex@word is not an integer: "12a"'),
    );
    assert.throws(
      () => root.child("hex")?.integerAttr("huge"),
      unexpected("a/hex@huge is beyond 2^53: 18446744073709551615"),
    );
    assert.throws(() => root.bytesAt("odd"), unexpected('a/odd has the unknown unit "furlong"'));
    assert.throws(() => root.bytesAt("empty"), unexpected('a/empty is not an integer: ""'));
  });
});

describe("libvirt's units", () => {
  it("are powers of 1024 alone or with iB, of 1000 with B", () => {
    const units = {
      b: 1,
      bytes: 1,
      k: 1024,
      KB: 1000,
      KiB: 1024,
      M: 1024 ** 2,
      MB: 1e6,
      G: 1024 ** 3,
      gib: 1024 ** 3,
    };
    for (const [unit, bytes] of Object.entries(units)) assert.equal(bytesPerUnit(unit), bytes, unit);
    assert.equal(bytesPerUnit("TiB"), 1024 ** 4);
    assert.equal(bytesPerUnit("EB"), 1e18);
    for (const unit of ["x", "kib ", "KiBs", "ib"]) assert.equal(bytesPerUnit(unit), undefined, unit);
  });
});

describe("a cpu set", () => {
  it("is read with ranges and exclusions, and written short", () => {
    assert.deepEqual(parseCpuSet("0-3,8,^2, 6-7"), [0, 1, 3, 6, 7, 8]);
    assert.deepEqual(parseCpuSet(""), []);
    assert.equal(formatCpuSet([8, 0, 1, 1, 3, 6, 7]), "0-1,3,6-8");
    assert.equal(formatCpuSet([]), "");
    assert.deepEqual(parseCpuSet("0-127,256-383").length, 256);
  });

  it("is refused if invalid, without counting to it", () => {
    for (const text of ["a", "3-1", "-1", "1-", "^1-2", "0-99999", "1;2", "0x1"]) {
      assert.throws(() => parseCpuSet(text, () => "x@cpus"), {
        reason: "XML_UNEXPECTED",
        message: /x@cpus is not a set/,
      });
    }
  });
});
