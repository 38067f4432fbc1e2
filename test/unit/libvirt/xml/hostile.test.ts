import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { LibvirtError } from "../../../../agent/libvirt/index.ts";
import { domainRulesWith } from "../../../../agent/libvirt/xml/domain/rules.ts";
import {
  buildDisk,
  buildHostDevice,
  buildInterface,
  buildNetwork,
  buildPool,
  buildSecret,
  buildVolume,
  parseNetwork,
  parsePool,
  parseSecret,
  parseVolume,
} from "../../../../agent/libvirt/xml/index.ts";
import type { ElementRule } from "../../../../agent/libvirt/xml/writer.ts";
import { noPython, pythonTrees, type Tree } from "../../../support/libvirt/xml/oracles.ts";
import {
  fullDomain,
  fullNetwork,
  fullPool,
  fullSecret,
  fullVolume,
} from "../../../support/libvirt/xml/samples.ts";
import {
  buildVmDomain,
  buildVmMetadata,
  operationStamp,
  parseVmDomain,
  parseVmMetadata,
  vmMetadata,
} from "../../../../agent/vm/model/vm-domain.ts";

// Names, paths and labels come from callers that may create a VM. Every string of every document is replaced
// in turn by a third of an attacker's attempts, each by another (the fuzz campaign tries the rest). The
// outcome is a refusal, or a document in which another parser finds the elements and attributes of the benign
// one, and Socle's own finds the exact string.

const allowed = domainRulesWith([vmMetadata, operationStamp]);

const attacks = [
  "",
  " ",
  "<",
  ">",
  "&",
  "'",
  '"',
  "]]>",
  "<!--",
  "-->",
  "<![CDATA[x]]>",
  "&lt;",
  "&amp;lt;",
  "&#60;",
  "&#x3c;script&#x3e;",
  "&xxe;",
  "%xxe;",
  "<?xml version='1.0'?>",
  "<!DOCTYPE x SYSTEM 'file:///etc/passwd'>",
  "'/><qemu:commandline><qemu:arg value='-device'/></qemu:commandline><x y='",
  '"/><hostdev mode="subsystem" type="pci"/><x y="',
  "</name><devices><emulator>/bin/sh</emulator></devices><name>",
  "</source></disk><disk type='block'><source dev='/dev/sda'/></disk>",
  "</socle:label></socle:labels></socle:vm></metadata><description>",
  "x' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0",
  "a\u0000b",
  "a\u0001b",
  "a\tb",
  "a\nb",
  "a\rb",
  "a\r\nb",
  "a\u000bb",
  "a\u001fb",
  "a\u007fb",
  "a\u0085b",
  "a\u009fb",
  "a\u2028b",
  "a\u2029b",
  "a\ufeffb",
  "\ufeff",
  "a\ufffeb",
  "a\uffffb",
  "a\ud800b",
  "a\udfffb",
  "a\udc00\ud800b",
  "\u202egnp.exe",
  "\u200b",
  "🐧",
  "é",
  "e\u0301",
  "日本語",
  " leading",
  "trailing ",
  "two  blanks",
  "\u00a0",
  "/",
  "//",
  "/..",
  "/a/../b",
  "/a/b",
  "../../etc/passwd",
  "/dev/sda",
  "/proc/self/mem",
  "file:///etc/passwd",
  "a,readonly=off",
  "a,,b",
  "-device",
  "--",
  "${jndi:ldap://x}",
  "$(reboot)",
  "`reboot`",
  "a;b",
  "a|b",
  "a\\b",
  "%s%n",
  "0",
  "-1",
  "1e9",
  "0x0",
  "NaN",
  "yes",
  "on",
  "kvm",
  "file",
  "block",
  "network",
  "other",
  "hvm",
  "true",
  "null",
  "undefined",
  "__proto__",
  "constructor",
  "toString",
  "ua-x",
  "socle:vm",
  "xmlns",
  "x".repeat(4096),
  "x".repeat(4097),
  "<".repeat(4096),
  "/x".repeat(2048),
  "x".repeat(70_000),
];

/** The same sequence at every run, so that a failure can be reproduced. */
function randomness(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const pieces = [
  ...attacks.filter((attack) => attack.length < 100),
  ...Array.from({ length: 160 }, (_, code) => String.fromCharCode(code)),
  "a",
  "/",
  "domain",
  "52:54:00:00:00:01",
  "3f0c9b52-7a54-4c1d-8f3e-0c3a9d3a1b01",
];

function randomAttack(random: (below: number) => number): string {
  return Array.from({ length: 1 + random(6) }, () => pieces[random(pieces.length)] ?? "").join("");
}

type Path = readonly (string | number)[];

/** The paths of a document's strings, and the keys of its maps. */
function strings(value: unknown, at: Path = []): Path[] {
  if (typeof value === "string") return [at];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => strings(member, [...at, key]));
}

function replaced(value: unknown, [key, ...rest]: Path, by: string): unknown {
  if (key === undefined) return by;
  if (Array.isArray(value)) {
    return value.map((member: unknown, index) =>
      String(index) === key ? replaced(member, rest, by) : member,
    );
  }
  return Object.fromEntries(
    Object.entries(value as object).map(([name, member]: [string, unknown]) => [
      name,
      name === key ? replaced(member, rest, by) : member,
    ]),
  );
}

interface Target<T> {
  readonly name: string;
  readonly sample: T;
  readonly build: (document: T) => string;
  readonly parse: (xml: string) => T;
  /** The changes of the document's shape that a path may cause. */
  readonly mayReshape?: (path: Path) => boolean;
}

/** Element names and attribute names, without values. */
function shape([name, attributes, , children]: Tree): unknown {
  return [name, Object.keys(attributes).sort(), children.map(shape)];
}

function assail<T>(target: Target<T>): { built: number; refused: number } {
  const paths = strings(target.sample);
  const random = randomness(paths.length);
  const attempts = [
    ...paths.flatMap((path, at) =>
      attacks.filter((_, index) => (index + at) % 3 === 0).map((attack) => ({ path, attack })),
    ),
    ...Array.from({ length: 500 }, () => ({
      path: paths[random(paths.length)] ?? [],
      attack: randomAttack(random),
    })),
  ];
  let refused = 0;
  const built: { path: Path; attack: string; document: T; xml: string }[] = [];
  for (const { path, attack } of attempts) {
    const document = replaced(target.sample, path, attack) as T;
    try {
      built.push({ path, attack, document, xml: target.build(document) });
    } catch (thrown) {
      const where = `${target.name} ${path.join(".")} = ${JSON.stringify(attack.slice(0, 80))}`;
      assert.ok(thrown instanceof LibvirtError, `${where}: ${String(thrown)}`);
      assert.ok(
        ["invalid", "unsupported"].includes(thrown.kind),
        `${where}: ${thrown.kind} ${thrown.message}`,
      );
      refused++;
    }
  }
  const [benign, ...trees] = pythonTrees([target.build(target.sample), ...built.map(({ xml }) => xml)]);
  assert.ok(benign);
  const benignShape = shape(benign);
  for (const [index, tree] of trees.entries()) {
    const { path, attack, document, xml } = built[index] ?? assert.fail();
    const where = `${target.name} ${path.join(".")} = ${JSON.stringify(attack.slice(0, 80))}`;
    assert.ok(tree, `${where}: expat refuses it`);
    if (target.mayReshape?.(path) !== true) {
      assert.ok(isDeepStrictEqual(shape(tree), benignShape), `${where}: other elements or attributes`);
      assert.ok(isDeepStrictEqual(target.parse(xml), document), `${where}: is not read back`);
    }
  }
  return { built: built.length, refused };
}

describe("hostile strings", { skip: noPython }, () => {
  it("never add to a domain, and are read back or refused", () => {
    // An alias that is not a user's is left to libvirt; the kind of a source or device decides its
    // attributes.
    const mayReshape = (path: Path) => path.at(-1) === "alias" || path.at(-1) === "type";
    const { built, refused } = assail({
      name: "domain",
      sample: fullDomain,
      build: buildVmDomain,
      parse: parseVmDomain,
      mayReshape,
    });
    assert.ok(built > 400 && refused > 1500, `${String(built)} built, ${String(refused)} refused`);
  });

  it("never add to a pool, volume, network, secret or metadata", () => {
    const socle = fullDomain.metadata?.socle;
    assert.ok(socle);
    const mayReshape = (path: Path) => path.at(-1) === "type";
    assail({ name: "pool", sample: fullPool, build: buildPool, parse: parsePool, mayReshape });
    assail({ name: "volume", sample: fullVolume, build: buildVolume, parse: parseVolume });
    assail({ name: "network", sample: fullNetwork, build: buildNetwork, parse: parseNetwork });
    assail({ name: "secret", sample: fullSecret, build: buildSecret, parse: parseSecret, mayReshape });
    assail({ name: "metadata", sample: socle, build: buildVmMetadata, parse: parseVmMetadata });
  });

  it("never leave the allow-list in any document", () => {
    const random = randomness(7);
    const paths = strings(fullDomain);
    const texts: string[] = [];
    for (let round = 0; round < 1500; round++) {
      let document: unknown = fullDomain;
      for (let change = 0; change <= round % 3; change++) {
        const attack = attacks[random(2 * attacks.length)] ?? randomAttack(random);
        document = replaced(document, paths[random(paths.length)] ?? [], attack);
      }
      const { devices } = document as typeof fullDomain;
      const tries = [
        () => buildVmDomain(document as typeof fullDomain),
        ...devices.disks.map((disk) => () => buildDisk(disk)),
        ...devices.interfaces.map((one) => () => buildInterface(one)),
        ...devices.hostDevices.map((device) => () => buildHostDevice(device)),
      ];
      for (const attempt of tries) {
        try {
          texts.push(attempt());
        } catch (thrown) {
          assert.ok(thrown instanceof LibvirtError);
        }
      }
    }
    const unique = [...new Set(texts)];
    assert.ok(unique.length > 100, `${String(unique.length)} texts`);
    const deviceRules = allowed.rule.children?.["devices"]?.children ?? {};
    for (const [index, tree] of pythonTrees(unique).entries()) {
      assert.ok(tree, unique[index]);
      const rule = tree[0] === "domain" ? allowed.rule : deviceRules[tree[0]];
      assert.deepEqual(outside(tree, rule, tree[0]), []);
    }
  });

  it("as the keys of labels are read back too", () => {
    const socle = fullDomain.metadata?.socle;
    assert.ok(socle);
    for (const key of attacks) {
      const labels = { [key]: "value" };
      let text: string;
      try {
        text = buildVmMetadata({ ...socle, labels });
      } catch (thrown) {
        assert.ok(thrown instanceof LibvirtError && thrown.kind === "invalid");
        continue;
      }
      assert.deepEqual(Object.entries(parseVmMetadata(text).labels), [[key, "value"]]);
    }
  });
});

/** Every element and attribute of a tree that the rule does not have. */
function outside(
  [, attributes, text, children]: Tree,
  rule: ElementRule | undefined,
  path: string,
): string[] {
  if (rule === undefined) return [path];
  const problems = Object.keys(attributes)
    .filter((name) => rule.attributes === undefined || !Object.hasOwn(rule.attributes, name))
    .map((name) => `${path}@${name}`);
  if (text !== "" && rule.text === undefined) problems.push(`${path}/text()`);
  for (const child of children) {
    const name = child[0].replace("{urn:socle:vm:1}", "socle:");
    const childRule =
      rule.children !== undefined && Object.hasOwn(rule.children, name) ? rule.children[name] : undefined;
    problems.push(...outside(child, childRule, `${path}/${name}`));
  }
  return problems;
}
