import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as xdr from "../../../../agent/libvirt/rpc/xdr.ts";
import { XdrError, XdrReader, XdrWriter, type Codec } from "../../../../agent/libvirt/rpc/xdr.ts";

function encode<T>(codec: Codec<T>, value: T): Buffer {
  const writer = new XdrWriter(4);
  codec.encode(writer, value);
  return writer.take();
}

function decode<T>(codec: Codec<T>, bytes: Buffer): T {
  const reader = new XdrReader(bytes);
  const value = codec.decode(reader);
  reader.finish();
  return value;
}

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(" ", ""), "hex");
}

const sameBothWays: readonly [string, Codec<never>, unknown, string][] = [
  ["int", xdr.int as Codec<never>, -2, "fffffffe"],
  ["uint", xdr.uint as Codec<never>, 4294967295, "ffffffff"],
  ["hyper", xdr.hyper as Codec<never>, -(2 ** 53) + 1, "ffe0000000000001"],
  ["uhyper", xdr.uhyper as Codec<never>, 2 ** 53, "0020000000000000"],
  ["double", xdr.double as Codec<never>, -1.5, "bff8000000000000"],
  ["bool", xdr.bool as Codec<never>, true, "00000001"],
  ["string", xdr.string() as Codec<never>, "hé", "00000003 68c3a900"],
  ["an empty string", xdr.string() as Codec<never>, "", "00000000"],
  ["opaque", xdr.opaque() as Codec<never>, Buffer.from([1, 2, 3, 4, 5]), "00000005 0102030405000000"],
  ["fixed opaque", xdr.fixedOpaque(3) as Codec<never>, Buffer.from([1, 2, 3]), "01020300"],
  ["chars", xdr.chars(4) as Codec<never>, "ab", "00000061 00000062 00000000 00000000"],
  [
    "uuid",
    xdr.uuid as Codec<never>,
    "00112233-4455-6677-8899-aabbccddeeff",
    "00112233445566778899aabbccddeeff",
  ],
  ["array", xdr.array(xdr.int, 3) as Codec<never>, [1, 2], "00000002 00000001 00000002"],
  ["absent", xdr.optional(xdr.int) as Codec<never>, null, "00000000"],
  ["present", xdr.optional(xdr.int) as Codec<never>, 7, "00000001 00000007"],
  [
    "struct",
    xdr.struct({ b: xdr.int, a: xdr.bool }) as Codec<never>,
    { b: 1, a: false },
    "00000001 00000000",
  ],
  ["empty", xdr.empty as Codec<never>, {}, ""],
];

describe("codecs", () => {
  for (const [name, codec, value, bytes] of sameBothWays) {
    it(`${name} encodes and decodes the bytes of RFC 4506`, () => {
      assert.equal(encode(codec, value as never).toString("hex"), bytes.replaceAll(" ", ""));
      assert.deepEqual(decode(codec, hex(bytes)), value);
    });
  }

  it("typed parameters of every type survive a round trip", () => {
    const parameters: xdr.TypedParameter[] = [
      { field: "a", value: { type: "int", value: -1 } },
      { field: "b", value: { type: "uint", value: 1 } },
      { field: "c", value: { type: "llong", value: -(2 ** 40) } },
      { field: "d", value: { type: "ullong", value: 2 ** 40 } },
      { field: "e", value: { type: "double", value: 0.1 } },
      { field: "f", value: { type: "boolean", value: true } },
      { field: "g", value: { type: "string", value: "x" } },
    ];
    const codec = xdr.typedParameters(7);
    assert.deepEqual(decode(codec, encode(codec, parameters)), parameters);
    // field "a", VIR_TYPED_PARAM_INT, -1
    assert.equal(
      encode(xdr.typedParameter, parameters[0] as never).toString("hex"),
      "000000016100000000000001ffffffff",
    );
    assert.throws(() => decode(xdr.typedParameter, hex("00000001 61000000 00000009 00000000")), /value: .*9/);
  });

  it("64 bits beyond 2^53 are rounded to the nearest double, never wrapped", () => {
    assert.equal(decode(xdr.uhyper, hex("ffffffffffffffff")), 2 ** 64);
    assert.equal(decode(xdr.hyper, hex("8000000000000000")), -(2 ** 63));
    assert.equal(decode(xdr.uhyper, encode(xdr.uhyper, 2 ** 63)), 2 ** 63);
  });
});

describe("a value that cannot be encoded is refused with its path", () => {
  const domain = xdr.struct({ dom: xdr.struct({ name: xdr.string(8), ids: xdr.array(xdr.int, 2) }) });
  const cases: readonly [string, () => unknown, RegExp][] = [
    ["a fraction", () => encode(xdr.int, 1.5), /integer/],
    ["no number", () => encode(xdr.uhyper, Number.NaN), /integer/],
    ["an int that is too large", () => encode(xdr.int, 2 ** 31), /from -2147483648 to 2147483647/],
    ["a negative uint", () => encode(xdr.uint, -1), /from 0/],
    ["an uhyper of 2^64", () => encode(xdr.uhyper, 2 ** 64), /from 0/],
    ["a hyper of 2^63", () => encode(xdr.hyper, 2 ** 63), /from/],
    ["a NUL in text", () => encode(xdr.string(), "a\0b"), /NUL/],
    [
      "a name that is too long",
      () => encode(domain, { dom: { name: "123456789", ids: [] } }),
      /^XdrError: dom\.name: /,
    ],
    [
      "a bad element",
      () => encode(domain, { dom: { name: "", ids: [1, 0.5] } }),
      /^XdrError: dom\.ids\[1\]: /,
    ],
    [
      "too many elements",
      () => encode(domain, { dom: { name: "", ids: [1, 2, 3] } }),
      /^XdrError: dom\.ids: 3 items/,
    ],
    ["a string that is none", () => encode(xdr.string(), 7 as never), /expected a string/],
    ["a UUID that is none", () => encode(xdr.uuid, "../../etc/passwd"), /UUID/],
    ["bytes of the wrong length", () => encode(xdr.fixedOpaque(3), Buffer.alloc(4)), /3 bytes/],
    [
      "a message beyond the frame's limit",
      () => encode(xdr.opaque(2 ** 31), Buffer.alloc(33 * 1024 * 1024)),
      /larger/,
    ],
  ];
  for (const [name, attempt, expected] of cases) {
    it(name, () =>
      assert.throws(attempt, (error) => error instanceof XdrError && expected.test(String(error))),
    );
  }
});

describe("data that cannot be decoded is refused before anything is allocated for it", () => {
  const cases: readonly [string, () => unknown, RegExp][] = [
    ["a string longer than its limit", () => decode(xdr.string(8), hex("00000009 00000000")), /limit of 8/],
    ["a string of 4 GiB", () => decode(xdr.string(), hex("ffffffff")), /limit of 4194304/],
    ["a string longer than the message", () => decode(xdr.string(), hex("00000009 00000000")), /needed/],
    ["an array longer than its limit", () => decode(xdr.array(xdr.int, 2), hex("00000003")), /limit of 2/],
    [
      "an array longer than the message",
      () => decode(xdr.array(xdr.int, 1e9), hex("3b9aca00 00000000")),
      /announced/,
    ],
    ["bytes longer than their limit", () => decode(xdr.opaque(4), hex("00000005")), /limit of 4/],
    ["a message that is cut", () => decode(xdr.hyper, hex("00000000")), /needed/],
    ["bytes left over", () => decode(xdr.int, hex("00000000 00000000")), /left over/],
    [
      "a field deep down",
      () => decode(xdr.struct({ a: xdr.array(xdr.string(1), 2) }), hex("00000001 00000002")),
      /a\[0\]/,
    ],
  ];
  for (const [name, attempt, expected] of cases) {
    it(name, () =>
      assert.throws(attempt, (error) => error instanceof XdrError && expected.test(String(error))),
    );
  }
});

it("decoded bytes do not change with the buffer they came from", () => {
  const buffer = hex("00000004 01020304");
  const bytes = xdr.opaque().decode(new XdrReader(buffer));
  buffer.fill(0);
  assert.deepEqual([...bytes], [1, 2, 3, 4]);
});

it("bytes taken from a writer do not change with the next writes", () => {
  const writer = new XdrWriter(8);
  for (const size of [8, 64 * 1024]) {
    writer.bytes(Buffer.alloc(size, 1));
    const taken = writer.take();
    writer.bytes(Buffer.alloc(size, 2));
    writer.truncate(0);
    assert.ok(taken.every((byte) => byte === 1));
    assert.equal(taken.length, size);
  }
});

describe("repeated names", () => {
  const name = xdr.typedParameter;
  const of = (field: string): Buffer => encode(name, { field, value: { type: "int", value: 1 } });

  it("are decoded correctly, whatever was decoded before", () => {
    // Enough that places are shared; some of the same length, some that are not ASCII, some that are long.
    const names = Array.from({ length: 5000 }, (_, i) => `net.${i}.${i % 3 === 0 ? "rx" : "größe"}`);
    for (const field of [...names, ...names, "x".repeat(200)]) {
      assert.equal(decode(name, of(field)).field, field);
    }
  });
});

it("decodes in steps to the same value as at once, an item a step", () => {
  const list = xdr.struct({ head: xdr.int, items: xdr.array(xdr.struct({ a: xdr.string() }), 10) });
  const value = { head: 7, items: [{ a: "x" }, { a: "y" }, { a: "z" }] };
  const steps = xdr.stepsOf(list, new XdrReader(encode(list, value)));
  let count = 0;
  for (;;) {
    const step = steps.next();
    if (step.done === true) {
      assert.deepEqual(step.value, value);
      break;
    }
    count += 1;
  }
  assert.equal(count, 3);
  const cut = xdr.stepsOf(list, new XdrReader(encode(list, value).subarray(0, -8)));
  assert.throws(
    () => [...cut],
    (error) => error instanceof XdrError && error.path === "items[2].a",
  );
});
