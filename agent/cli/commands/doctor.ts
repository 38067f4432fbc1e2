import { exitCodes } from "../errors.ts";
import { printable } from "../format.ts";
import type { Finding } from "../doctor/finding.ts";
import type { Command, Session } from "../session.ts";

/** Runs every check, even after a failure; exits 1 when one failed. */
export const doctor: Command = async (session, _args, options) => {
  const { examine } = await import("../doctor/examine.ts");
  const findings: Finding[] = [];
  for await (const finding of examine(session, String(options.config))) {
    findings.push(finding);
    if (!session.json) session.print(render(session, finding));
  }
  const failed = findings.filter(({ verdict }) => verdict === "fail").length;
  const warned = findings.filter(({ verdict }) => verdict === "warn").length;
  if (session.json) session.printJson({ findings, failed, warned });
  else if (failed + warned === 0) session.print("all checks passed\n");
  else session.print(`${failed} failed, ${warned} to look at\n`);
  return failed > 0 ? exitCodes.failed : exitCodes.ok;
};

const colours = { ok: "green", warn: "yellow", fail: "red" } as const;

function render(session: Session, { verdict, check, found, next }: Finding): string {
  const mark = session.paint(colours[verdict], verdict.padEnd(4));
  const line = `${mark}  ${check.padEnd(10)}  ${printable(found)}\n`;
  return next === undefined ? line : `${line}${" ".repeat(18)}${printable(next)}\n`;
}
