import { randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import { methods, type Role } from "../../agent/contract/methods.ts";
import type { Contract } from "../../agent/contract/load.ts";
import { methodsOf } from "./contract-methods.ts";
import { foreignRows, type Belongings, type Naming, type Own } from "./foreign-rows.ts";
import type { Answer } from "./attack-calls.ts";
import type { Outcome } from "./attack-runner.ts";
import { describeAnswer, isByBoundsOfCallers } from "./tenants-act.ts";

/** Any caller of one tenant, as one of its roles. */
export type AskAs = (role: Role, path: string, request: Buffer) => Promise<Answer>;

export interface ForeignParts {
  readonly contract: Contract;
  /** Of another tenant than the caller. */
  readonly belongings: Belongings;
  /** Texts that an answer has only if it shows something of another tenant. */
  readonly marks: readonly string[];
}

/** A scheduler, unless it may not call the method. */
function roleOf(name: string): Role {
  const { roles = [] } = methods[`/socle.v1.${name}`] ?? {};
  const role = (["scheduler", "operator", "auditor"] as const).find((each) => roles.includes(each));
  if (role === undefined) throw new Error(`no role may call ${name}`);
  return role;
}

/** Whether a method shows the caller nothing of the belongings: each answer is that to a name that does not exist. */
export async function judgeForeign(
  name: string,
  { contract, belongings, marks }: ForeignParts,
  { ask, own, as = roleOf(name) }: { readonly ask: AskAs; readonly own: Own; readonly as?: Role },
): Promise<Outcome> {
  const row = foreignRows[name];
  const method = methodsOf(contract).get(`/socle.v1.${name}`);
  if (row === undefined || method === undefined || "noneBecause" in row)
    throw new Error(`no tries of ${name}`);
  const call = (request: object): Promise<Answer> => ask(as, method.path, method.requestSerialize(request));
  const said = ({ bytes }: Answer): string =>
    bytes === undefined ? "" : JSON.stringify(method.responseDeserialize(bytes));
  const problems: string[] = [];
  let isInert = false;
  if ("lists" in row) {
    const answer = await call(row.lists);
    if (isByBoundsOfCallers(answer)) isInert = true;
    else if (answer.code !== status.OK) problems.push(`it answers ${describeAnswer(answer)}`);
    else if (row.isOwnActs) problems.push(...othersActs(said(answer), own));
    else
      problems.push(...marks.filter((mark) => said(answer).includes(mark)).map((mark) => `it shows ${mark}`));
  }
  for (const naming of row.names ?? [])
    for (const theirs of belongings[naming.thing]) {
      const nothing = likeNothing(theirs);
      // Without the rest of a request, one that names a volume or an image would be the same.
      const hasBare = naming.thing !== "volume" && naming.thing !== "image";
      for (const isBare of hasBare ? [false, true] : [false]) {
        const there = await call(requestOf(naming, theirs, own, isBare));
        const absent = await call(requestOf(naming, nothing, own, isBare));
        if (isByBoundsOfCallers(there) || isByBoundsOfCallers(absent)) {
          isInert = true;
          continue;
        }
        const [one, other] = [textOf(there, said, theirs), textOf(absent, said, nothing)];
        if (one !== other) problems.push(`it answers ${one}, and ${other} to a name that does not exist`);
        else if (!isBare && !isRefused(naming, there, "lists" in row)) problems.push(`it answers ${one}`);
      }
    }
  if (problems.length > 0) return { letThrough: problems.join("; ") };
  return isInert ? "inert" : "refused";
}

/** `isBare`: without all that does not name something. */
function requestOf(naming: Naming, name: string, own: Own, isBare: boolean): object {
  const request = naming.request(name, own);
  if (!isBare) return { requestId: randomUUID(), ...request };
  const names = Object.entries(request).filter(
    ([field, value]) => field === "vm" || JSON.stringify(value).includes(name),
  );
  return Object.fromEntries(names);
}

/** A filter of a list finds nothing, without an error. A volume may be denied by its name alone. */
function isRefused({ thing, reason }: Naming, answer: Answer, isFilter: boolean): boolean {
  if (reason !== undefined) return answer.reason === reason;
  if (isFilter && answer.code === status.OK) return true;
  return answer.code === status.NOT_FOUND || (thing === "volume" && answer.reason === "VOLUME_DENIED");
}

/** All that an answer says, without the name. */
function textOf(answer: Answer, said: (answer: Answer) => string, name: string): string {
  const { code, reason, message, metadata, fields } = answer;
  const all = JSON.stringify([status[code], reason, message, metadata, fields, said(answer)]);
  return all.replaceAll(name, "NAME");
}

/** Of a list of audit entries: those about other tenants. */
function othersActs(entries: string, { tenant }: Own): string[] {
  const tenants = [...entries.matchAll(/\\"tenant\\":\\"([^\\]*)\\"/g)].map(([, name = ""]) => name);
  const others = tenants.filter((name) => name !== tenant).map((name) => `it shows an act of ${name}`);
  return tenants.length === 0 ? ["it shows no act of a tenant"] : others;
}

/** A name of the same form that nothing has. */
export const likeNothing = (name: string): string => {
  const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/;
  if (uuid.test(name)) return name.replace(uuid, randomUUID());
  const [, stem = "", end = ""] = /^(.*?)((?:\.[a-z0-9]+)?)$/.exec(name) ?? [];
  return `${stem}-${randomUUID().slice(0, 8)}${end}`;
};
