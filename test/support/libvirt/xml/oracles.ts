import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { XmlElement } from "../../../../agent/libvirt/xml/element.ts";

// Foreign parsers to compare Socle's with: expat through Python, and libxml2 with libvirt's own schemas.

const schemas = "/usr/share/libvirt/schemas";

export function fixture(name: string): string {
  return readFileSync(join(import.meta.dirname, "../../../fixtures/xml", `${name}.xml`), "utf8");
}

export const noXmllint =
  spawnSync("xmllint", ["--version"]).error === undefined && existsSync(join(schemas, "domain.rng"))
    ? false
    : "needs xmllint (libxml2-utils) and libvirt's schemas: run scripts/setup --tests";

export const noPython =
  spawnSync("python3", ["--version"]).error === undefined
    ? false
    : "needs python3: run scripts/setup --tests";

/**
 * xmllint's complaints about a document by one of libvirt's schemas ("domain", "storagepool", ...); ""
 * without any.
 */
export function schemaComplaints(schema: string, xml: string): string {
  const { status, stderr } = spawnSync(
    "xmllint",
    ["--noout", "--nonet", "--relaxng", join(schemas, `${schema}.rng`), "-"],
    { input: xml, encoding: "utf8" },
  );
  return status === 0 ? "" : stderr;
}

/** An element as [name with its namespace in braces, attributes, text, children]. */
export type Tree = readonly [string, Readonly<Record<string, string>>, string, readonly Tree[]];

const program = `
import gc, json, sys
from xml.etree import ElementTree
gc.disable()
def tree(e):
    text = (e.text or "") + "".join(c.tail or "" for c in e)
    return [e.tag, e.attrib, "" if len(e) and not text.strip(" \\t\\r\\n") else text, [tree(c) for c in e]]
def read(xml):
    try: return tree(ElementTree.fromstring(xml))
    except ElementTree.ParseError: return None
sys.stdout.write(json.dumps([read(xml) for xml in json.load(sys.stdin)]))
`;

/** The tree that Python's xml.etree (expat) parses of each document, or null where it is not well-formed. */
export function pythonTrees(documents: readonly string[]): (Tree | null)[] {
  const output = execFileSync("python3", ["-c", program], {
    input: JSON.stringify(documents),
    encoding: "utf8",
    maxBuffer: 1 << 30,
  });
  return JSON.parse(output) as (Tree | null)[];
}

/** Socle's own tree in the same shape. */
export function treeOf(element: XmlElement): Tree {
  const attributes = [...element.attributes].filter(
    ([name]) => name !== "xmlns" && !name.startsWith("xmlns:"),
  );
  const name = element.namespace === "" ? element.name : `{${element.namespace}}${element.localName}`;
  return [name, Object.fromEntries(attributes), element.text, element.children.map(treeOf)];
}
