import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { loadContract, type Contract } from "../../agent/contract/load.ts";
import { freePort } from "../support/ports.ts";
import { protoDirectory } from "../support/socle-host.ts";
import { Authority, installTrust, type Issued } from "../scheduler/authority.ts";
import { audience, IdentityProvider, issuer } from "../support/trust/identity-provider.ts";
import { Caller, credentialsOf, secureOptions, ServedContract } from "./attack-calls.ts";
import { SpareHost } from "./attack-spare-host.ts";
import { attackersRules } from "./attack-tenancy.ts";
import type { CampaignRun } from "./campaign.ts";
import { FaultyHost, mutation } from "./host.ts";
import type { GuestProcess } from "./witness.ts";

export const DOMAIN = "cloud.example";
const BYSTANDERS = ["bystander-1", "bystander-2"];

/** The target: a host with guests of two tenants, an agent with every listener enabled, and certificates. */
export class Stage {
  readonly run: CampaignRun;
  readonly host: FaultyHost;
  readonly authority: Authority;
  /** A certificate of another authority with the same name. */
  readonly impostor: Authority;
  /** The path of the agent's own certificate. */
  readonly trustDirectory: string;
  /** The port of the gRPC API over TLS. */
  readonly port: number;
  readonly contract: Contract;
  readonly served: ServedContract;
  /** A caller whose certificate was accepted, then revoked. */
  readonly revoked: Issued;
  /** The identity provider of all persons. */
  readonly provider: IdentityProvider;
  /** The ids of the guests that must not be affected. */
  readonly bystanders: ReadonlyMap<string, GuestProcess>;
  #spare: Promise<SpareHost> | undefined;

  private constructor(parts: Omit<Stage, "address" | "callerOf" | "onSocket" | "temporary" | "spare">) {
    ({
      run: this.run,
      host: this.host,
      authority: this.authority,
      impostor: this.impostor,
      trustDirectory: this.trustDirectory,
      port: this.port,
      contract: this.contract,
      served: this.served,
      revoked: this.revoked,
      provider: this.provider,
      bystanders: this.bystanders,
    } = parts);
  }

  static async start(run: CampaignRun): Promise<Stage> {
    const trustDirectory = await mkdtemp(join(tmpdir(), "socle-attack-trust-"));
    run.cleanUp(() => rm(trustDirectory, { recursive: true, force: true }));
    const [authority, impostor] = await Promise.all([Authority.make(DOMAIN), Authority.make(DOMAIN)]);
    const revoked = await authority.issue("scheduler/dismissed");
    authority.revoke(revoked.serial);
    await installTrust(
      trustDirectory,
      authority,
      await authority.issue("agent/host-1"),
      await authority.revocationList(),
    );
    const provider = new IdentityProvider();
    const keys = join(trustDirectory, "people.pem");
    await writeFile(keys, provider.pem, { mode: 0o644 });
    const port = await freePort();
    const host = await FaultyHost.start(run, {
      config: {
        trust: { domain: DOMAIN, directory: trustDirectory },
        tenants: { byName: { evil: attackersRules } },
        people: { keys, issuer, audience, required: "network" },
        // The rate limit must not be what stops these attacks.
        api: {
          listen: `127.0.0.1:${port}`,
          reflection: true,
          limits: {
            readsPerSecond: 1e6,
            mutationsPerSecond: 1e6,
            failuresPerSecond: 1e6,
            streamsPerSecond: 1e6,
            controlsPerSecond: 1e6,
          },
        },
      },
    });
    const bystanders = new Map<string, GuestProcess>();
    for (const name of BYSTANDERS) {
      const { vmId } = await host.succeeds(mutation("CREATE", name));
      const process = await host.witness.process(vmId);
      if (process === undefined) throw new Error(`there is no QEMU of ${name}`);
      bystanders.set(vmId, process);
    }
    const contract = loadContract(protoDirectory);
    const served = await ServedContract.ask(host.agent.socketPath);
    return new Stage({
      run,
      host,
      authority,
      impostor,
      trustDirectory,
      port,
      contract,
      served,
      revoked,
      provider,
      bystanders,
    });
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** A separate connection over TLS with this certificate. */
  callerOf(issued: Issued): Caller {
    return new Caller(
      this.address,
      credentialsOf(secureOptions(this.authority.certificatePem, issued)),
      this.contract,
    );
  }

  /** The operator's client, which may do nearly everything. */
  onSocket(): Caller {
    return new Caller(`unix:${this.host.agent.socketPath}`, credentials.createInsecure(), this.contract);
  }

  /** The host whose agent may be killed, created at first use. */
  spare(): Promise<SpareHost> {
    this.#spare ??= SpareHost.start(this.run, this.authority);
    return this.#spare;
  }

  async temporary(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), `socle-attack-${randomUUID().slice(0, 8)}-`));
    this.run.cleanUp(() => rm(directory, { recursive: true, force: true }));
    return directory;
  }
}
