import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { domainBlockJobAbort } from "../../agent/libvirt/index.ts";
import { FaultProxy } from "../faults/proxy.ts";
import { AgentDeath } from "./agent-death.ts";
import { SocleHost } from "./socle-host.ts";
import { eventually, within } from "./wait.ts";

/** A change's end after the death of its agent. */
export interface CutOff {
  /** False if the change ended before the boundary. */
  readonly died: boolean;
  readonly end: Operation__Output;
}

/** A host whose agent dies on request. */
export class MortalHost {
  readonly host: SocleHost;
  readonly #death: AgentDeath;

  private constructor(host: SocleHost, death: AgentDeath) {
    this.host = host;
    this.#death = death;
  }

  static async start(options: Parameters<typeof SocleHost.start>[0] = {}): Promise<MortalHost> {
    const death = await AgentDeath.make();
    try {
      return new MortalHost(await SocleHost.start({ ...options, ...death.agentOptions }), death);
    } catch (cause) {
      await death.stop();
      throw cause;
    }
  }

  /** Over a host with the agent options of `death`. */
  static over(host: SocleHost, death: AgentDeath): MortalHost {
    return new MortalHost(host, death);
  }

  /** Kills the agent if it lives, and starts it again. */
  async restart(): Promise<void> {
    const { host } = this;
    await host.agent.kill();
    await host.agent.startAgain();
    await host.reconnect();
    await host.untilListed();
  }

  /** Begins the change, whose agent dies at the boundary; the next one has ended it. */
  async cutOff(
    boundary: number,
    ask: (requestId: ReturnType<typeof randomUUID>) => Promise<Operation__Output>,
  ): Promise<CutOff> {
    const { host } = this;
    const requestId = randomUUID();
    const died = await this.diesIn(boundary, async () => await host.end(await ask(requestId), 120_000));
    const what = "the request to be accepted again";
    const again = await eventually(() => ask(requestId), { what, timeoutMs: 60_000 });
    return { died, end: await host.end(again, 180_000) };
  }

  /** As `cutOff`, for a change that must succeed. */
  async survives(...[boundary, ask]: Parameters<MortalHost["cutOff"]>): Promise<CutOff> {
    const { died, end } = await this.cutOff(boundary, ask);
    const { error, steps } = end;
    assert.equal(error, null, `boundary ${boundary}: ${JSON.stringify(error)} ${JSON.stringify(steps)}`);
    return { died, end };
  }

  /** Whether the agent died at the boundary while the work went on. Another one runs then in any case. */
  async diesIn(boundary: number, work: () => Promise<unknown>): Promise<boolean> {
    const { agent } = this.host;
    await this.#death.setAt(boundary);
    const died = await work().then(
      () => false,
      async (thrown: unknown) => {
        await within(agent.ended(), 30_000, `the agent to die, as its caller failed (${String(thrown)})`);
        return true;
      },
    );
    await this.#death.unset();
    await this.restart();
    return died;
  }

  /**
   * Begins a change. `act` runs when the agent asks libvirtd to switch the guest to another file, which waits for that, and `then`
   * afterwards. Fails if the change ends without that.
   */
  async atSwitch(
    begin: () => Promise<Operation__Output>,
    act: () => Promise<unknown>,
    then: (operation: Operation__Output) => Promise<void>,
  ): Promise<Operation__Output> {
    const { host } = this;
    const { socketPath } = host.libvirtd;
    const daemonPath = `${socketPath}.real`;
    await rename(socketPath, daemonPath);
    const proxy = await FaultProxy.start({ socketPath, daemonPath });
    try {
      await this.restart();
      let isOver = false;
      const acted = new Promise<void>((resolve, reject) => {
        const done = () =>
          act()
            .then(() => resolve(), reject)
            .finally(() => (isOver = true));
        const fault = { kind: "notify", at: "call", act: done } as const;
        proxy.add({ procedure: domainBlockJobAbort, times: 1, fault });
      });
      acted.catch(() => undefined);
      const operation = await begin();
      const { operationId } = operation;
      await eventually(
        async () => {
          const { client } = host;
          const now = await client.ask(client.contract.operations.GetOperation, { operationId });
          if (isOver) return true;
          assert.ok(!now.done, `the change ended before its switch: ${JSON.stringify(now)}`);
          return false;
        },
        { what: "the agent to ask for the switch", timeoutMs: 120_000, giveUpOn: assert.AssertionError },
      );
      await acted;
      await then(operation);
      return operation;
    } finally {
      await proxy.stop();
      // Unless another libvirtd has made its own.
      await rename(daemonPath, socketPath).catch(() => undefined);
    }
  }

  /** The operation once a person has to decide it, for this reason; the VM is refused to start meanwhile. */
  async untilInDoubt(
    { operationId, vmId: vm }: Operation__Output,
    reason: string,
  ): Promise<Operation__Output> {
    const { client } = this.host;
    const { operations, vms } = client.contract;
    const seen = await eventually(
      async () => {
        const now = await client.ask(operations.GetOperation, { operationId });
        return this.host.failureOf(now)?.reason === reason ? now : undefined;
      },
      { what: `the operation to end with ${reason}`, timeoutMs: 120_000 },
    );
    assert.equal(seen.state, "STATE_OUTCOME_UNKNOWN");
    await assert.rejects(client.ask(vms.StartVm, { requestId: randomUUID(), vm }), {
      reason: "OPERATION_UNSETTLED",
      message: /a person must decide it/,
    });
    return seen;
  }

  /** A person names the newer file in the definition, and the operation ends. */
  async decide(operation: Operation__Output, older: string, newer: string): Promise<void> {
    const { host } = this;
    const definition = await host.virsh("dumpxml", operation.vmId, "--inactive");
    const file = join(host.agent.directory, "decided.xml");
    await writeFile(file, definition.replace(older, newer));
    await host.virsh("define", file);
    // Else it looks again within a minute.
    await this.restart();
    const { error, steps } = await host.end(operation, 120_000);
    assert.equal(error, null, JSON.stringify(steps));
  }

  async stop(): Promise<void> {
    await this.host.stop();
    await this.#death.stop();
  }
}
