import { SocleError } from "../../kernel/errors.ts";
import { confirm } from "../confirm.ts";
import { usageError } from "../errors.ts";
import { printable } from "../format.ts";
import type { Session } from "../session.ts";
import { requestKinds, type HostRequest, type RequestKind } from "./host-requests.ts";
import { remark } from "./operation.ts";

export interface AcceptOptions {
  readonly accept?: readonly RequestKind[];
  readonly without?: readonly RequestKind[];
  /** Accepts all. */
  readonly yes?: boolean;
}

export interface DecidedRequest extends HostRequest {
  readonly decision: "accepted" | "left_out" | "undecided";
}

/** What the flags decide. Throws USAGE for a kind that is accepted and left out. */
export function decide(
  requests: readonly HostRequest[],
  { accept = [], without = [], yes = false }: AcceptOptions,
): readonly DecidedRequest[] {
  const both = accept.find((kind) => without.includes(kind));
  if (both !== undefined) throw usageError(`--accept and --without both name ${both}`);
  return requests.map((request) => {
    const { kind } = request;
    const isAccepted = yes || accept.includes(kind);
    return {
      ...request,
      decision: without.includes(kind) ? "left_out" : isAccepted ? "accepted" : "undecided",
    };
  });
}

/** The kinds that no flag decides. */
export const undecided = (requests: readonly DecidedRequest[]): readonly RequestKind[] =>
  requestKinds.filter((kind) => requests.some((each) => each.kind === kind && each.decision === "undecided"));

const words = { accepted: "accepted", left_out: "left out", undecided: "not decided" } as const;

/** One line, also where the spec has line ends. */
export const requestLine = ({ kind, what, decision }: DecidedRequest): string =>
  printable(`${kind}: ${what} (${words[decision]})`);

/**
 * Shows what the VM's spec requests of this host. What no flag decides is accepted on a terminal by a person. Throws
 * `invalid` ACCEPTANCE_MISSING without a terminal, and `conflict` NOT_CONFIRMED.
 */
export async function requireAcceptance(
  session: Session,
  name: string,
  requests: readonly DecidedRequest[],
): Promise<void> {
  const open = undecided(requests);
  const canAsk = !session.json && session.io.stdin.isTTY === true;
  if (open.length > 0 && !canAsk) throw missing(requests, open);
  for (const request of requests) remark(session, requestLine(request));
  if (open.length === 0) return;
  const question = `Make VM ${printable(name)} with what is not decided (${open.join(", ")})? [y/N] `;
  await confirm(
    session,
    question,
    `no VM was made; leave out what you do not want: ${flag("without", open)}`,
  );
}

const flag = (name: string, kinds: readonly RequestKind[]): string => `--${name} ${kinds.join(",")}`;

function missing(requests: readonly DecidedRequest[], open: readonly RequestKind[]): SocleError {
  const lines = requests.filter(({ decision }) => decision === "undecided").map(requestLine);
  const message = [
    "no VM was made: its spec may be of another machine, and what it requests of this host is not accepted",
    ...lines.map((line) => `  ${line}`),
    `Accept it with ${flag("accept", open)}, or leave it out with ${flag("without", open)}. --yes accepts all, --dry-run shows all.`,
  ].join("\n");
  return new SocleError("invalid", "ACCEPTANCE_MISSING", message, {
    details: { metadata: { undecided: open.join(",") } },
  });
}
