import { randomBytes, randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fromStatus } from "../../agent/cli/rpc-error.ts";
import * as libvirt from "../../agent/libvirt/index.ts";
import { linux } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import type { SpareHost } from "./attack-spare-host.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";
import type { Rule } from "./fault.ts";

/** The virErrorNumber of an operating system error. */
const SYSTEM_ERROR = 38;
/** The fault proxy's socket, in place of libvirt's. */
const REFUSAL = "the fault proxy refuses";
const SHOWN_WITHIN_MS = 60_000;

/** A visitor of the page, without a login, while libvirt fails: its error texts and the host's paths are not shown. */
export async function page(stage: Stage): Promise<Theme> {
  const spare = await stage.spare();
  const tries: Try[] = [
    { what: "a start that libvirt refuses", attack: () => refusedStart(spare) },
    { what: "a kernel that QEMU cannot load", attack: () => unfitKernel(spare) },
    { what: "every call refused by libvirt", attack: () => refusedCalls(spare) },
  ];
  return { name: "page", tries, check: () => spare.clear() };
}

/** The events of the page's stream for one visitor. */
class Visitor {
  text = "";
  readonly #end = new AbortController();
  readonly #done: Promise<void>;

  constructor(address: string) {
    this.#done = this.#read(`http://${address}/page/stream`);
  }

  async receives(what: RegExp): Promise<void> {
    await eventually(() => what.test(this.text), {
      what: `the page to show ${what}`,
      timeoutMs: SHOWN_WITHIN_MS,
    });
  }

  async end(): Promise<void> {
    this.#end.abort();
    await this.#done;
  }

  async #read(url: string): Promise<void> {
    const { signal } = this.#end;
    try {
      const { body } = await fetch(url, { signal });
      const decoder = new TextDecoder();
      for await (const bytes of body ?? [])
        this.text += decoder.decode(bytes as Uint8Array, { stream: true });
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    }
  }
}

/** The content for a visitor before and one after the failure, and of every other page without a login. */
async function shows(spare: SpareHost, refuse: (visitor: Visitor) => Promise<void>): Promise<Outcome> {
  const { metricsAddress } = spare.host.agent;
  const visitors = [new Visitor(metricsAddress)];
  try {
    const [early] = visitors;
    await early?.receives(/event: state/);
    if (early !== undefined) await refuse(early);
    const later = new Visitor(metricsAddress);
    visitors.push(later);
    await later.receives(/event: state\ndata: .*\n\n/);
    const others = await Promise.all(
      ["/", "/page/history?keys=1", "/healthz", "/readyz"].map(async (path) =>
        (await fetch(`http://${metricsAddress}${path}`)).text(),
      ),
    );
    for (const text of [...visitors.map((visitor) => visitor.text), ...others]) {
      const found = secretIn(text, spare);
      if (found !== undefined) return { letThrough: `it shows ${found}` };
    }
    return "refused";
  } finally {
    for (const visitor of visitors) await visitor.end();
  }
}

function secretIn(text: string, { host, state }: SpareHost): string | undefined {
  const secrets = [REFUSAL, host.libvirtd.directory, host.agent.directory, state, "bootsector.img"];
  const named = secrets.find((secret) => text.includes(secret));
  return named ?? /(?<![\w.])\/(?:tmp|var|run|etc|dev|home|root|usr|proc|sys)\/[^"\\]*/.exec(text)?.[0];
}

async function withRule<T>({ host: { proxy } }: SpareHost, rule: Rule, act: () => Promise<T>): Promise<T> {
  const active = proxy.add(rule);
  try {
    return await act();
  } finally {
    proxy.remove(active);
  }
}

async function refusedStart(spare: SpareHost): Promise<Outcome> {
  const rule: Rule = {
    procedure: libvirt.domainCreateWithFlags,
    fault: { kind: "refuse", code: SYSTEM_ERROR },
  };
  return await shows(spare, (visitor) =>
    withRule(spare, rule, async () => {
      const name = `refused-${randomUUID().slice(0, 8)}`;
      const vmId = await fails(spare, spare.spec(name), REFUSAL);
      await visitor.receives(failureOf(name, vmId));
    }),
  );
}

/** libvirt's own error text, which names the file. */
async function unfitKernel(spare: SpareHost): Promise<Outcome> {
  const directory = spare.host.libvirtd.imagesDirectory;
  const kernel = { pool: "images", volume: "unfit-kernel" };
  await writeFile(join(directory, kernel.volume), randomBytes(2 ** 16));
  return await shows(spare, async (visitor) => {
    const name = `unfit-${randomUUID().slice(0, 8)}`;
    const kernelBoot = { kernel, initrd: { pool: "images", volume: "initrd" } };
    const vmId = await fails(spare, linux(name, { kernelBoot }), "");
    await visitor.receives(failureOf(name, vmId));
  });
}

async function refusedCalls(spare: SpareHost): Promise<Outcome> {
  const { host } = spare;
  const { contract } = host.client;
  try {
    return await shows(spare, (visitor) =>
      withRule(spare, { fault: { kind: "refuse", code: SYSTEM_ERROR } }, async () => {
        host.proxy.drop();
        const evidence = async (): Promise<boolean> => {
          const { health } = await host.client.ask(contract.host.GetHost, {});
          return health?.conditions.some((condition) => condition.evidence.includes(REFUSAL)) === true;
        };
        await eventually(evidence, {
          what: "a condition with libvirt's error text, for the operator",
          timeoutMs: SHOWN_WITHIN_MS,
        });
        await visitor.receives(/"libvirt":false/);
      }),
    );
  } finally {
    await host.untilListed();
  }
}

/** Until the page shows a failed operation of this VM: by its id if the VM was gone before the agent saw it. */
const failureOf = (name: string, vmId: string): RegExp =>
  new RegExp(`"vm":"(${name}|${vmId})"[^}]*"state":"failed"`);

/** The creation fails with this text, which the operator may read. */
async function fails(spare: SpareHost, spec: ReturnType<SpareHost["spec"]>, words: string): Promise<string> {
  const { host } = spare;
  const { contract } = host.client;
  const request = { requestId: randomUUID(), spec };
  const end = await spare.endOf(await host.client.ask(contract.vms.CreateVm, request));
  if (end.error === null) throw new Error(`it did not fail: ${host.describe(end)}`);
  const { message } = fromStatus(contract, end.error);
  if (!message.includes(words)) throw new Error(`it fails with another message: ${message}`);
  return end.vmId;
}
