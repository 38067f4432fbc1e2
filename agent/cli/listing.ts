import type { Observation__Output } from "../gen/socle/v1/Observation.ts";
import { exitCodes, type ExitCode } from "./errors.ts";
import { formatAge } from "./format.ts";
import type { Paint } from "./io.ts";
import type { Session } from "./session.ts";

/** "active" green, any other state yellow. */
export const paintListed = (text: string, _row: unknown, paint: Paint): string =>
  paint(text.trim() === "active" ? "green" : "yellow", text);

/** Warns that a list is as last seen; returns the command's exit code. */
export function noteUnknown(
  session: Session,
  what: string,
  observation: Observation__Output | null,
): ExitCode {
  if (observation?.presence === "PRESENCE_PRESENT") return exitCodes.ok;
  const { observedAt = null } = observation ?? {};
  if (!session.json) {
    const warning =
      observedAt === null
        ? `libvirt has not reported the ${what} yet`
        : `libvirt does not answer: these are the ${what} as last seen ${formatAge(observedAt, session.nowMs())} ago`;
    session.note(session.paintNote("yellow", `${warning}.`));
  }
  return observedAt === null ? exitCodes.unavailable : exitCodes.ok;
}
