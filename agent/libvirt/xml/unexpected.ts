import { LibvirtError } from "../internal/errors.ts";

/** A document that is well-formed XML but not what libvirt promises: `internal`/XML_UNEXPECTED, naming the place. */
export function unexpected(path: string, problem: string): LibvirtError {
  return new LibvirtError("internal", "XML_UNEXPECTED", `libvirt XML: ${path} ${problem}`);
}
