import { SaxesParser, type SaxesOptions, type SaxesTagNS } from "saxes";
import { LibvirtError } from "../internal/errors.ts";
import { ownText } from "../internal/own-text.ts";
import { XmlElement } from "./element.ts";
import { unexpected } from "./unexpected.ts";

// Why saxes: of the parsers in plain JavaScript, it and slimdom alone refuse all 52 malformed documents of the tests
// (sax accepts 14, @xmldom/xmldom 16, fast-xml-parser 25, ltx 27, @rgrove/parse-xml 4, all of namespaces), and it reads
// the 145 KB of domain capabilities in 2.7 ms, slimdom in 9. The limits and the refusal of DOCTYPE are ours.

/** Twice REMOTE_STRING_MAX, the longest string of libvirt's wire (remote_protocol.x). */
export const maxDocumentBytes = 8 * 1024 * 1024;
/** libxml2's own ceiling; a disk with a long chain of backing files nests one deeper for each. */
const maxDepth = 256;
const maxElements = 200_000;
const maxAttributes = 256;

const options = { xmlns: true, position: false, defaultXMLVersion: "1.0", forceXMLVersion: true } as const;
options satisfies SaxesOptions;
const blank = /^[ \t\r\n]*$/;

/**
 * The tree of a document whose root must be `rootName`. Refuses, with the line: more than 8 MiB (`exhausted`,
 * XML_TOO_LARGE), nesting beyond 256, any DOCTYPE, any entity but XML's own five and character references, and
 * everything that is not well-formed or whose prefixes are not bound (`internal`, XML_MALFORMED).
 */
export function parseDocument(text: string, rootName: string): XmlElement {
  if (text.length > maxDocumentBytes || Buffer.byteLength(text) > maxDocumentBytes) {
    throw new LibvirtError(
      "exhausted",
      "XML_TOO_LARGE",
      `libvirt XML above ${maxDocumentBytes} bytes is refused`,
    );
  }
  const root = read(text);
  if (root.name !== rootName) {
    throw unexpected("the root", `is <${root.name}>, <${rootName}> was expected`);
  }
  return root;
}

function read(text: string): XmlElement {
  const parser = new SaxesParser(options);
  let root: XmlElement | undefined;
  let open: XmlElement | undefined;
  let depth = 0;
  let elements = 0;
  const refuse = (problem: string): never => {
    throw new LibvirtError("internal", "XML_MALFORMED", `libvirt XML ${problem} (line ${parser.line})`);
  };
  const addText = (characters: string): void => {
    if (open !== undefined) open.text += characters;
  };
  parser.on("error", ({ message }) => refuse(`is malformed: ${message}`));
  parser.on("doctype", () => refuse("declares a DOCTYPE, which is refused"));
  parser.on("opentag", (tag) => {
    if (++depth > maxDepth) refuse(`nests deeper than ${maxDepth} elements`);
    if (++elements > maxElements) refuse(`has more than ${maxElements} elements`);
    const attributes = attributesOf(tag);
    if (attributes !== undefined && attributes.size > maxAttributes) {
      refuse(`has too many attributes in <${tag.name}>`);
    }
    const element: XmlElement = new XmlElement(tag.name, tag.uri, open, attributes);
    open?.children.push(element);
    root ??= element;
    open = element;
  });
  parser.on("text", addText);
  parser.on("cdata", addText);
  parser.on("closetag", () => {
    if (open === undefined) return;
    open.text = open.children.length > 0 && blank.test(open.text) ? "" : ownText(open.text);
    open = open.parent;
    depth--;
  });
  parser.write(text).close();
  return root ?? refuse("has no element");
}

function attributesOf({ attributes }: SaxesTagNS): Map<string, string> | undefined {
  let found: Map<string, string> | undefined;
  for (const name in attributes)
    found = (found ?? new Map()).set(name, ownText(attributes[name]?.value ?? ""));
  return found;
}
