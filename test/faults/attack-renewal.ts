import { createHash, X509Certificate } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { AgentProcess, type LogLine } from "../support/agent-process.ts";
import { freePort } from "../support/ports.ts";
import { clientOf } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import type { Authority } from "../scheduler/authority.ts";
import { writeRevocations, type Issued } from "../scheduler/authority.ts";
import { Enroller } from "../scheduler/enroller.ts";
import { Caller, credentialsOf, secureOptions } from "./attack-calls.ts";
import { connected } from "./attack-connection.ts";
import { DOMAIN, type Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";

const HOUR_MS = 3_600_000;
const RENEWED_WITHIN_MS = 60_000;
/** The certificates are 10 of their 15 hours old when they are issued: each start of the agent renews them. */
const issuing = { lifeMs: 15 * HOUR_MS, now: () => Date.now() - 10 * HOUR_MS };
const UNFIT = ["CERTIFICATE_UNFIT", "AUTHORITY_CHANGED", "IDENTITY_CHANGED"] as const;

type Tamper = Enroller["tamper"];

/** A separate host whose certificate is renewed by untrusted authorities or with wrong replies. */
export async function renewal(stage: Stage): Promise<Theme> {
  const { authority, impostor } = stage;
  const host = await RenewedHost.start(stage);
  const hours = (count: number): Date => new Date(Date.now() + count * HOUR_MS);
  const certified = (request: Buffer, holder: string, by = authority): Promise<string> =>
    by.certify(request, holder, { notAfter: hours(5) });
  const { holder } = host;
  const expired = await authority.revocationList({ issuedAt: hours(-48), nextAt: hours(-24) });
  const answers: readonly (readonly [what: string, tamper: Tamper])[] = [
    ["nothing in it", () => ({ certificateChain: "", authorities: "" })],
    ["half a certificate", (right) => ({ certificateChain: right.certificateChain?.slice(0, 400) ?? "" })],
    ["no authority", () => ({ authorities: "" })],
    [
      "a certificate for another key",
      async () => ({ certificateChain: (await authority.issue(holder)).certificatePem }),
    ],
    [
      "another host's certificate",
      async (_, request) => ({ certificateChain: await certified(request, "agent/other") }),
    ],
    [
      "a scheduler's certificate",
      async (_, request) => ({ certificateChain: await certified(request, "scheduler/s") }),
    ],
    [
      "a foreign certificate",
      async (_, request) => ({ certificateChain: await certified(request, holder, impostor) }),
    ],
    [
      "a foreign certificate and its authority",
      async (_, request) => ({
        certificateChain: await certified(request, holder, impostor),
        authorities: impostor.certificatePem,
      }),
    ],
    [
      "a foreign authority beside the right one",
      () => ({ authorities: `${authority.certificatePem}\n${impostor.certificatePem}` }),
    ],
    [
      "an expired certificate",
      async (_, request) => ({
        certificateChain: await authority.certify(request, holder, {
          notBefore: hours(-3),
          notAfter: hours(-2),
        }),
      }),
    ],
    ["an expired revocation list", () => ({ revocationLists: expired })],
    [
      "a foreign revocation list",
      async () => ({ revocationLists: await impostor.revocationList({ nextAt: hours(24) }) }),
    ],
    ["an unreadable revocation list", () => ({ revocationLists: "nonsense" })],
  ];
  const tries: Try[] = answers.map(([what, tamper]) => ({
    what: `a renewal reply with ${what}`,
    attack: () => host.keepsItsSet(tamper, UNFIT),
  }));
  const dismissed = await authority.issue("scheduler/enroller");
  await host.revoke(dismissed);
  const late = { notBefore: hours(-3), notAfter: hours(-2) };
  const senders: readonly (readonly [what: string, own: Issued, reason: string, by?: Authority])[] = [
    ["a revoked scheduler", stage.revoked, "CERTIFICATE_REVOKED"],
    ["a revoked enroller", dismissed, "CERTIFICATE_REVOKED"],
    ["a tenant's scheduler", await authority.issue("scheduler/s/tenant/acme"), "CERTIFICATE_ROLE"],
    ["an operator", await authority.issue("operator/o"), "CERTIFICATE_ROLE"],
    ["another host", await authority.issue("agent/other"), "CERTIFICATE_ROLE"],
    ["an expired scheduler", await authority.issue("scheduler/s", late), "AUTHORITY_UNREACHABLE"],
    ["a foreign scheduler", await impostor.issue("scheduler/s"), "AUTHORITY_UNREACHABLE", impostor],
  ];
  for (const [what, own, reason, by = authority] of senders)
    tries.push({
      what: `a renewal by ${what}`,
      attack: () => host.refusesSender(by, own, reason),
    });
  tries.push({
    what: "a renewal by a scheduler that is revoked during its reply",
    attack: () => host.revokesSender(),
  });
  return { name: "renewal", tries, check: () => host.end() };
}

class RenewedHost {
  /** The host's id in its certificates. */
  readonly holder: string;
  readonly #stage: Stage;
  readonly #directory: string;
  readonly #agent: AgentProcess;
  readonly #enroller: Enroller;
  readonly #port: number;
  readonly #viewer: Issued;

  /** Enrolled, and renewed once by a valid reply, so that the attack's change is the only fault. */
  static async start(stage: Stage): Promise<RenewedHost> {
    const { run, authority, host } = stage;
    const directory = await mkdtemp(join(tmpdir(), "socle-renewal-trust-"));
    run.cleanUp(() => rm(directory, { recursive: true, force: true }));
    const enroller = await Enroller.start(authority, issuing);
    run.cleanUp(() => enroller.stop());
    const port = await freePort();
    const config = {
      libvirt: { uri: host.libvirtd.uri },
      trust: { domain: DOMAIN, directory },
      api: { listen: `127.0.0.1:${port}` },
    };
    const agent = run.keep(await AgentProcess.start({ bundle: host.bundle, config }));
    const client = await clientOf(agent);
    const { contract } = client;
    try {
      const hostId = await eventually(
        async () => (await client.ask(contract.host.GetHost, {})).identity?.hostId ?? "",
        { what: "the host's id" },
      );
      const token = enroller.token([hostId], HOUR_MS);
      await client.ask(contract.trust.EnrollHost, { address: enroller.address, token });
      const viewer = await authority.issue("viewer/renewal");
      const renewed = new RenewedHost(stage, { agent, directory, enroller, port, viewer, hostId });
      const before = await renewed.#pair();
      await renewed.#restart();
      await eventually(async () => (await renewed.#pair()) !== before, {
        what: "a valid reply to renew the certificate",
        timeoutMs: RENEWED_WITHIN_MS,
      });
      renewed.#closeAuthority();
      return renewed;
    } finally {
      client.close();
    }
  }

  private constructor(
    stage: Stage,
    parts: {
      readonly agent: AgentProcess;
      readonly directory: string;
      readonly enroller: Enroller;
      readonly port: number;
      readonly viewer: Issued;
      readonly hostId: string;
    },
  ) {
    this.#stage = stage;
    this.#agent = parts.agent;
    this.#directory = parts.directory;
    this.#enroller = parts.enroller;
    this.#port = parts.port;
    this.#viewer = parts.viewer;
    this.holder = `agent/${parts.hostId}`;
  }

  async end(): Promise<void> {
    await this.#agent.terminate();
  }

  async revoke({ serial }: Issued): Promise<void> {
    await this.#putOnList(serial);
    await this.#restart();
  }

  /** The last valid set stays on the disk and in use, also after a crash. */
  async keepsItsSet(tamper: Tamper, reasons: readonly string[]): Promise<Outcome> {
    await this.#renewsAt(this.#enroller);
    const before = await this.#files();
    this.#enroller.tamper = tamper;
    try {
      const reason = await this.#refusalAfterRestart();
      if (reason === undefined) return { letThrough: "the reply is in use" };
      if (!reasons.includes(reason)) throw new Error(`it is refused as ${reason}`);
      if ((await this.#files()) !== before) return { letThrough: `files changed (${reason})` };
      await this.#agent.kill();
      await this.#agent.startAgain();
      return await this.#serves(before);
    } finally {
      this.#closeAuthority();
    }
  }

  /** An untrusted authority receives no request. */
  async refusesSender(by: Authority, own: Issued, expected: string): Promise<Outcome> {
    let asked = 0;
    return await this.#withSender(by, own, async (sender) => {
      sender.tamper = () => {
        asked += 1;
        return {};
      };
      const before = await this.#files();
      const reason = await this.#refusalAfterRestart();
      if (reason === undefined || asked > 0) return { letThrough: `${own.serial} was requested to renew` };
      if (reason !== expected) throw new Error(`it is refused as ${reason}`);
      return await this.#serves(before);
    });
  }

  async revokesSender(): Promise<Outcome> {
    const { authority } = this.#stage;
    const own = await authority.issue("scheduler/late");
    return await this.#withSender(authority, own, async (sender) => {
      const before = await this.#pair();
      sender.tamper = async () => {
        const seen = this.#agent.log.length;
        await this.#putOnList(own.serial);
        this.#agent.signal("SIGHUP");
        const isInUse = ({ msg }: LogLine): boolean => msg === "certificates are in use";
        await eventually(() => this.#agent.log.slice(seen).some(isInUse), { what: "the list to be in use" });
        return {};
      };
      const reason = await this.#refusalAfterRestart();
      if (reason === undefined || (await this.#pair()) !== before)
        return { letThrough: "its reply is in use" };
      if (reason !== "CERTIFICATE_REVOKED") throw new Error(`it is refused as ${reason}`);
      return "refused";
    });
  }

  async #withSender(
    by: Authority,
    own: Issued,
    act: (sender: Enroller) => Promise<Outcome>,
  ): Promise<Outcome> {
    const sender = await Enroller.start(by, { ...issuing, own });
    try {
      await this.#renewsAt(sender);
      return await act(sender);
    } finally {
      sender.stop();
    }
  }

  /** The reason of the renewal that the next start refuses; undefined: another certificate is in use. */
  async #refusalAfterRestart(): Promise<string | undefined> {
    const before = await this.#pair();
    // A refusal that the previous agent logs while it stops does not count.
    await this.#agent.terminate();
    const seen = this.#agent.log.length;
    await this.#agent.startAgain();
    const end = async (): Promise<{ reason: string | undefined } | undefined> => {
      if ((await this.#pair()) !== before) return { reason: undefined };
      const line = this.#agent.log
        .slice(seen)
        .find(({ msg }) => msg.startsWith("the certificate was not renewed"));
      return line === undefined ? undefined : { reason: String(line["reason"]) };
    };
    return (await eventually(end, { what: "the end of the renewal", timeoutMs: RENEWED_WITHIN_MS })).reason;
  }

  /** Seen by a client: the certificate on the wire equals the one on the disk, and a call is answered. */
  async #serves(files: string): Promise<Outcome> {
    if ((await this.#files()) !== files) return { letThrough: "files changed" };
    const socket = await connected(this.#stage, this.#viewer, this.#port);
    const shown = socket.getPeerX509Certificate()?.serialNumber;
    socket.destroy();
    if (shown !== new X509Certificate(await this.#pair()).serialNumber)
      return { letThrough: "it presents another certificate than its files hold" };
    const { authority, contract } = this.#stage;
    const by = credentialsOf(secureOptions(authority.certificatePem, this.#viewer));
    const caller = new Caller(`127.0.0.1:${this.#port}`, by, contract);
    try {
      const { code, message } = await caller.call(contract.host.GetHost.path, Buffer.alloc(0));
      return code === status.OK ? "refused" : { letThrough: `it does not serve any more: ${message}` };
    } finally {
      caller.close();
    }
  }

  async #putOnList(serial: string): Promise<void> {
    const { authority } = this.#stage;
    authority.revoke(serial);
    await writeRevocations(this.#directory, await authority.revocationList());
  }

  async #restart(): Promise<void> {
    await this.#agent.terminate();
    await this.#agent.startAgain();
  }

  /** No renewal runs between the attacks. */
  #closeAuthority(): void {
    this.#enroller.tamper = () => {
      throw new Error("closed");
    };
  }

  async #renewsAt({ address }: Enroller): Promise<void> {
    const record = { version: 2, places: [{ address, authority: null }] };
    await writeFile(join(this.#directory, "enrollment.json"), JSON.stringify(record));
  }

  #pair(): Promise<string> {
    return readFile(join(this.#directory, "agent.pem"), "utf8");
  }

  async #files(): Promise<string> {
    const hash = createHash("sha256");
    for (const name of (await readdir(this.#directory)).sort())
      hash.update(`${name}\n`).update(await readFile(join(this.#directory, name)));
    return hash.digest("hex");
  }
}
