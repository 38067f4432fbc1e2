import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { SocleError } from "../kernel/errors.ts";
import { codeOf } from "../kernel/thrown.ts";
import type { Session } from "./session.ts";

const unreadable = new Map([
  ["ENOENT", "there is no such file"],
  ["EACCES", "this user may not read it"],
  ["EISDIR", "it is a directory"],
]);

/** The text of a file; `-`: of stdin. Throws FILE_UNREADABLE. */
export async function readText(session: Session, file: string): Promise<string> {
  const name = file === "-" ? "stdin" : file;
  const bytes = await (file === "-" ? buffer(session.io.stdin) : readFile(file)).catch((cause: unknown) => {
    const code = codeOf(cause) ?? "";
    const message = `${name} cannot be read: ${unreadable.get(code) ?? code}`;
    throw new SocleError(code === "ENOENT" ? "not_found" : "invalid", "FILE_UNREADABLE", message, { cause });
  });
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const message = `${name} cannot be read: it is no text in UTF-8`;
    throw new SocleError("invalid", "FILE_UNREADABLE", message, { cause });
  }
}
