import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import { domainGetHostname, domainSetUserPassword, type Procedure } from "../../../../agent/libvirt/index.ts";
import { GuestAgents, type AgentCalls } from "../../../../agent/vm/hypervisor/guest-agents.ts";
import type { LibvirtCalls } from "../../../../agent/vm/hypervisor/certainty.ts";
import { eventually } from "../../../support/wait.ts";

const idOf = (number: number): string => `6f1c2f1e-0000-4000-8000-00000000000${number}`;
const guest = (number: number, tenant = "acme") => ({ id: idOf(number), tenant });
const ask = ({ dom, call }: AgentCalls) => call(domainGetHostname, { dom, flags: 2 });
const xmlWith = (state: string): string =>
  `<domain type='qemu'><name>a</name><uuid>${idOf(1)}</uuid><memory>1</memory><vcpu>1</vcpu><os><type>hvm</type></os>` +
  `<devices><channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='${state}'/></channel></devices></domain>`;

/** A libvirt whose guests with these numbers never answer. `inFlight`: the calls to agents, by VM. */
function libvirtOf(
  answer: (name: string) => unknown,
  hung: readonly number[] = [],
): { calls: LibvirtCalls; inFlight: string[]; called: string[] } {
  const inFlight: string[] = [];
  const called: string[] = [];
  const call = <A, R>({ name }: Procedure<A, R>, args: A): Promise<R> => {
    called.push(name);
    if (name === "DOMAIN_AGENT_SET_RESPONSE_TIMEOUT") return Promise.resolve({ result: 0 } as R);
    const { uuid } = (args as { dom: { uuid: string } }).dom;
    if (name !== "DOMAIN_GET_XML_DESC") inFlight.push(uuid);
    if (hung.some((number) => idOf(number) === uuid)) return new Promise(() => undefined);
    const answered = answer(name);
    return answered instanceof Error ? Promise.reject(answered) : Promise.resolve(answered as R);
  };
  return {
    calls: { call, openStream: () => Promise.reject(new Error("no streams here")) },
    inFlight,
    called,
  };
}

const reasonOf = async (work: Promise<unknown>): Promise<string> => {
  const { kind, reason } = toSocleError(await work.catch((thrown: unknown) => thrown));
  return `${kind} ${reason}`;
};

test("libvirt's wait is limited before each exchange", async () => {
  const { calls, called } = libvirtOf(() => ({ hostname: "h" }));
  await new GuestAgents(calls, systemClock).exchange(guest(1), ask, { changes: false });
  assert.deepEqual(called, ["DOMAIN_AGENT_SET_RESPONSE_TIMEOUT", "DOMAIN_GET_HOSTNAME"]);
});

test("the channel's state decides whether an agent is absent or hangs", async () => {
  const silent = new SocleError("unavailable", "LIBVIRT_AGENT_UNRESPONSIVE", "no");
  const asked = (state: string, changes: boolean) => {
    const { calls } = libvirtOf((name) =>
      name === "DOMAIN_GET_XML_DESC" ? { xml: xmlWith(state) } : silent,
    );
    return reasonOf(new GuestAgents(calls, systemClock).exchange(guest(1), ask, { changes }));
  };
  assert.equal(await asked("disconnected", true), "unavailable GUEST_AGENT_NOT_CONNECTED");
  assert.equal(await asked("connected", false), "timeout GUEST_AGENT_NOT_ANSWERING");
  assert.equal(await asked("connected", true), "outcome_unknown GUEST_OUTCOME_UNKNOWN");
});

test("one tenant's hung guests leave room for other tenants, and a hung guest has one call at a time", async () => {
  const { calls, inFlight } = libvirtOf(() => ({ hostname: "h" }), [1, 2, 3]);
  const agents = new GuestAgents(calls, systemClock);
  const over = new AbortController();
  const hanging = [1, 1, 2, 3].map((number) =>
    reasonOf(agents.exchange(guest(number), ask, { changes: false, signal: over.signal })),
  );
  await eventually(() => inFlight.length === 2, { what: "two calls to hang" });
  await agents.exchange(guest(4, "other"), ask, { changes: false });
  assert.deepEqual(inFlight, [idOf(1), idOf(2), idOf(4)]);
  over.abort();
  assert.deepEqual(await Promise.all(hanging), Array(4).fill("cancelled CANCELLED"));
});

test("a guest's refusal is short, and never repeats a secret", async () => {
  const echo = new SocleError(
    "internal",
    "LIBVIRT_INTERNAL_ERROR",
    `the guest says hunter2 ${"x".repeat(5000)}`,
  );
  const { calls } = libvirtOf(() => echo);
  const agents = new GuestAgents(calls, systemClock);
  const set = ({ dom, call }: AgentCalls) =>
    call(domainSetUserPassword, { dom, user: "root", password: "hunter2", flags: 0 });
  const secret = await agents
    .exchange(guest(1), set, { changes: true, isSecret: true })
    .catch((thrown: unknown) => toSocleError(thrown));
  assert.ok(secret instanceof SocleError && secret.reason === "GUEST_REFUSED");
  assert.ok(!secret.message.includes("hunter2") && secret.cause === undefined);
  const plain = await agents.exchange(guest(1), ask, { changes: false }).catch((thrown: unknown) => thrown);
  assert.ok(plain instanceof SocleError && plain.message.length < 300 && plain.message.includes("hunter2"));
});

test("an answer that is too large is not parsed", async () => {
  const info = ({ command }: AgentCalls) => command("guest-info");
  const asked = (answer: unknown) => {
    const result = JSON.stringify({ return: answer });
    const agents = new GuestAgents(libvirtOf(() => ({ result })).calls, systemClock);
    return agents.exchange(guest(1), info, { changes: false });
  };
  for (const large of ["x".repeat(1_000_000), Array<number>(100_000).fill(1)])
    assert.equal(await reasonOf(asked(large)), "out_of_range GUEST_ANSWER_TOO_LARGE");
  const output = "x".repeat(700_000);
  assert.deepEqual(await asked(output), { return: output });
});
