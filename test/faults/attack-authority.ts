import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { eventually } from "../support/wait.ts";
import { Authority, fingerprintOf, putTrustFile, writeRevocations } from "../scheduler/authority.ts";
import { Enroller } from "../scheduler/enroller.ts";
import type { Answer, Caller } from "./attack-calls.ts";
import { DOMAIN, type Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";

const HOUR_MS = 3_600_000;
const epochKey = "socle-control-epoch";

/**
 * Callers that try to change the host's authorities: control epochs raised without the right or too far; another authority
 * over the network, by a token or by edited files.
 */
export async function authority(stage: Stage): Promise<Theme> {
  const callers: Caller[] = [];
  const callerOf = async (holder: string): Promise<Caller> => {
    const caller = stage.callerOf(await stage.authority.issue(holder));
    callers.push(caller);
    return caller;
  };
  const tries = [
    ...(await epochTries(stage, callerOf)),
    ...(await enrolTries(stage, callerOf)),
    ...(await fileTries(stage)),
  ];
  return {
    name: "authority",
    tries,
    check: () => {
      for (const caller of callers) caller.close();
      return Promise.resolve();
    },
  };
}

type CallerOf = (holder: string) => Promise<Caller>;

async function epochTries(stage: Stage, callerOf: CallerOf): Promise<Try[]> {
  const { provider, host } = stage;
  const { vms, host: hosts } = host.client.contract;
  const epoch = async (): Promise<number> => {
    const record = join(host.agent.directory, "state", "host.json");
    return (JSON.parse(await readFile(record, "utf8")) as { controlEpoch: number }).controlEpoch;
  };
  const [inCharge, ofTenant, admin] = [
    await callerOf("scheduler/s-1"),
    await callerOf("scheduler/s-1/tenant/acme"),
    await callerOf("admin/a"),
  ];
  const pause = [vms.PauseVm.path, vms.PauseVm.requestSerialize({ requestId: "e", vm: "none" })] as const;
  const read = [vms.GetVm.path, vms.GetVm.requestSerialize({ vm: "none" })] as const;
  const probe = ["/grpc.health.v1.Health/Check", Buffer.alloc(0)] as const;
  const reset = [
    hosts.ResetControlEpoch.path,
    hosts.ResetControlEpoch.requestSerialize({ requestId: "r", controlEpoch: 900_000 }),
  ] as const;
  const person = { "socle-person": provider.token() };
  const makes = async (
    by: Caller,
    [path, request]: readonly [string, Buffer],
    value: string,
  ): Promise<Outcome> => {
    const before = await epoch();
    const answer = await by.call(path, request, { metadata: { ...person, [epochKey]: value } });
    // An admitted command of the current scheduler waits for the previous command's writes.
    const now = await inCharge.call(...pause, { metadata: { ...person, [epochKey]: String(before) } });
    const after = await epoch();
    if (after !== before || now.reason === "CONTROL_EPOCH_STALE")
      return { letThrough: `the epoch went from ${before} to ${after} (${answer.reason})` };
    return isRefused(answer) ? "refused" : "inert";
  };
  const tries: Try[] = [];
  const add = (what: string, attack: () => Promise<Outcome>): void => void tries.push({ what, attack });
  // The reference epoch for the refused ones.
  await inCharge.call(...pause, { metadata: person });
  for (const [who, by] of [
    ["a tenant's scheduler", ofTenant],
    ["an admin", admin],
  ] as const)
    for (const [what, call] of [
      ["a command", pause],
      ["a read", read],
      ["a health check", probe],
    ] as const)
      for (const value of ["900000", String(Number.MAX_SAFE_INTEGER)])
        add(`epoch ${value} by ${what} of ${who}`, () => makes(by, call, value));
  for (const [what, call] of [
    ["a read", read],
    ["a health check", probe],
    ["a call it may not make", reset],
  ] as const)
    add(`a higher epoch by ${what} of the scheduler in charge`, () => makes(inCharge, call, "900000"));
  for (const value of ["5000000", String(Number.MAX_SAFE_INTEGER), String(2 ** 53), "1e9", "-1", "0x10"])
    add(`the epoch ${value} by a command`, () => makes(inCharge, pause, value));
  for (const [who, by] of [
    ["an admin", admin],
    ["the scheduler in charge", inCharge],
  ] as const)
    add(`the epoch's reset by ${who} over the network`, () => makes(by, reset, "900000"));
  return tries;
}

async function enrolTries(stage: Stage, callerOf: CallerOf): Promise<Try[]> {
  const { provider, host, run, trustDirectory } = stage;
  const { trust, host: hosts } = host.client.contract;
  const foreign = await Authority.make(DOMAIN);
  const enroller = await Enroller.start(foreign);
  run.cleanUp(() => enroller.stop());
  const { identity } = await host.client.ask(hosts.GetHost, {});
  const token = (): string => enroller.token([identity?.hostId ?? ""], HOUR_MS);
  const person = { "socle-person": provider.token() };
  const local = stage.onSocket();
  run.cleanUp(() => local.close());
  const enrols = async (by: Caller, authorityFingerprint: string): Promise<Outcome> => {
    const before = await readFile(join(trustDirectory, "ca.crt"), "utf8");
    const request = { address: enroller.address, token: token(), authorityFingerprint };
    const answer = await by.call(trust.EnrollHost.path, trust.EnrollHost.requestSerialize(request), {
      metadata: person,
      timeoutMs: 60_000,
    });
    if ((await readFile(join(trustDirectory, "ca.crt"), "utf8")) !== before)
      return { letThrough: "the host believes another authority" };
    return isRefused(answer) ? "refused" : { letThrough: `answered ${status[answer.code]}` };
  };
  const own = fingerprintOf(foreign.certificatePem);
  const tries: Try[] = [];
  for (const holder of ["operator/o", "admin/a", "scheduler/s-1"]) {
    const by = await callerOf(holder);
    for (const fingerprint of [own, ""])
      tries.push({
        what: `another authority by ${holder} over the network, ${fingerprint === "" ? "unnamed" : "named"}`,
        attack: () => enrols(by, fingerprint),
      });
  }
  const used = fingerprintOf(stage.authority.certificatePem);
  for (const [what, fingerprint] of [
    ["unnamed", ""],
    ["under the name of the one in use", used],
    ["under half a name", own.slice(0, 32)],
  ] as const)
    tries.push({
      what: `another authority by the socket, ${what}`,
      attack: () => enrols(local, fingerprint),
    });
  return tries;
}

/** Files that do not match each other: admitted callers stay admitted, refused ones stay refused. */
async function fileTries(stage: Stage): Promise<Try[]> {
  const { authority: own, impostor, host, trustDirectory, revoked } = stage;
  const good = await own.issue("viewer/watcher");
  const hours = (count: number): Date => new Date(Date.now() + count * HOUR_MS);
  const state = async (): Promise<string> => {
    const { trust } = host.client.contract;
    return (await host.client.ask(trust.GetTrust, {})).problem;
  };
  const files = await Promise.all(
    ["ca.crt", "ca.crl"].map(
      async (name) => [name, await readFile(join(trustDirectory, name), "utf8")] as const,
    ),
  );
  const restore = async (): Promise<void> => {
    for (const [name, text] of files) await putTrustFile(trustDirectory, name, text);
    host.agent.signal("SIGHUP");
    await eventually(async () => (await state()) === "", { what: "the good files to be in use" });
  };
  const keeps = async (spoil: () => Promise<void>): Promise<Outcome> => {
    try {
      await spoil();
      host.agent.signal("SIGHUP");
      await eventually(async () => (await state()) !== "", { what: "the refusal to be reported" });
      const [watcher, dismissed] = [stage.callerOf(good), stage.callerOf(revoked)];
      const path = "/socle.v1.HostService/GetHost";
      const answers = [
        await watcher.call(path, Buffer.alloc(0)),
        await dismissed.call(path, Buffer.alloc(0)),
      ];
      for (const each of [watcher, dismissed]) each.close();
      const [letIn, keptOut] = answers.map(({ code }) => code);
      if (letIn !== status.OK) return { letThrough: "no caller is admitted any more" };
      return keptOut === status.UNAVAILABLE ? "refused" : { letThrough: "a revoked certificate gets in" };
    } finally {
      await restore();
    }
  };
  const lists: readonly [what: string, list: string][] = [
    ["an expired", await own.revocationList({ issuedAt: hours(-48), nextAt: hours(-24) })],
    ["a foreign", await impostor.revocationList()],
    ["an older", await own.revocationList({ issuedAt: hours(-48), nextAt: hours(24) })],
    ["an unreadable", "nonsense"],
  ];
  return [
    ...lists.map(([what, list]) => ({
      what: `${what} revocation list`,
      attack: () => keeps(() => writeRevocations(trustDirectory, list)),
    })),
    {
      what: "the certificates of another authority, with this host's own",
      attack: () => keeps(() => putTrustFile(trustDirectory, "ca.crt", impostor.certificatePem)),
    },
  ];
}

const isRefused = ({ code }: Answer): boolean =>
  code === status.PERMISSION_DENIED ||
  code === status.FAILED_PRECONDITION ||
  code === status.INVALID_ARGUMENT;
