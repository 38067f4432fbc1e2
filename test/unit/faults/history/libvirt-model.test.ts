import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { toSocleError } from "../../../../agent/kernel/errors.ts";
import {
  domainCreateWithFlags,
  domainGetMetadata,
  domainGetState,
  type LibvirtEvent,
} from "../../../../agent/libvirt/index.ts";
import { noDevices } from "../../../../agent/libvirt/xml/index.ts";
import { Domains } from "../../../../agent/vm/hypervisor/domains.ts";
import { Volumes } from "../../../../agent/vm/storage/volumes.ts";
import { ModelHost, type CallPlan, type ModelHostOptions } from "../../../faults/history/libvirt-model.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";

const uuid = "5f0e0d1c-0000-4000-8000-000000000001";
const dom = { name: "", uuid, id: -1 };
const document = {
  type: "qemu",
  name: "web-1",
  uuid,
  memoryBytes: 32 * 2 ** 20,
  vcpus: { max: 1, current: 1 },
  os: { type: "hvm", arch: "x86_64", machine: "q35" },
  devices: noDevices,
} as const;

async function stage(options: Partial<ModelHostOptions> = {}) {
  const clock = new FakeClock();
  const host = new ModelHost({ clock, ...options });
  host.addPool({ name: "images" });
  const client = await host.connect({ by: "agent", agentRun: 1 }).connect();
  // The class's private fields make it nominal: only its surface is compared.
  const libvirt = client as never;
  return { clock, host, client, domains: new Domains(libvirt, clock), volumes: new Volumes(libvirt, clock) };
}

/** Advances time until `done` is settled. */
async function passing<T>(clock: FakeClock, done: Promise<T>): Promise<T> {
  const end = new AbortController();
  const mark = (): void => end.abort();
  done.then(mark, mark);
  for (let i = 0; i < 1000 && !end.signal.aborted; i += 1) {
    await setImmediate();
    clock.advance(100);
  }
  return await done;
}

const stateOf = ({ domains }: ModelHost): string | undefined => domains[0]?.state;

const reasonOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "none",
    (thrown: unknown) => toSocleError(thrown).reason,
  );

test("the agent's domain and volume calls work on the model", async () => {
  const seen: LibvirtEvent[] = [];
  const { client, domains, volumes } = await stage();
  void (async () => {
    for await (const item of client.events.subscribe(new AbortController().signal))
      if (item.kind === "item") seen.push(item.value);
  })();
  await domains.define(document);
  await domains.start(uuid);
  assert.equal((await domains.state(uuid))?.state, "running");
  await domains.destroy(uuid);
  assert.deepEqual(await domains.state(uuid), { state: "stopped", stateReason: "DESTROYED" });
  await domains.undefine(uuid, async () => (await domains.state(uuid)) !== undefined);
  assert.equal(await domains.state(uuid), undefined);
  const name = "a.qcow2";
  const made = await volumes.make({ pool: "images", name, format: "qcow2", capacityBytes: 2 ** 20 }, false);
  assert.equal(made.format, "qcow2");
  await volumes.remove({ pool: "images", volume: name });
  assert.equal(await reasonOf(volumes.resolve({ pool: "images", volume: name })), "VOLUME_NOT_FOUND");
  await setImmediate();
  const lifecycle = seen.flatMap((event) => (event.kind === "lifecycle" ? [event.event] : []));
  assert.deepEqual(lifecycle, ["defined", "resumed", "started", "shutdown", "stopped", "undefined"]);
});

test("a lost reply leaves the effect, a lost request does not", async () => {
  const plans: CallPlan[] = [];
  const effects: string[] = [];
  const plan: ModelHostOptions["plan"] = ({ procedure }) =>
    procedure === domainCreateWithFlags.name ? (plans.shift() ?? {}) : {};
  const onEffect: ModelHostOptions["onEffect"] = ({ call }) => {
    return ({ outcome, changed }) => effects.push(`${call} ${outcome} ${changed}`);
  };
  const { clock, client, host, domains } = await stage({ plan, onEffect });
  await domains.define(document);
  plans.push({ lose: "request", silently: true }, { lose: "answer" });
  const start = (): Promise<unknown> => client.call(domainCreateWithFlags, { dom, flags: 0 });
  assert.equal(await reasonOf(passing(clock, start())), "LIBVIRT_OUTCOME_UNKNOWN");
  assert.equal(stateOf(host), "shutoff");
  assert.equal(await reasonOf(start()), "LIBVIRT_OUTCOME_UNKNOWN");
  assert.equal(stateOf(host), "running");
  assert.deepEqual(effects, ["define ok true", "start lost true"]);
});

test("an ordinary call waits behind one in the daemon's queue; a query does not", async () => {
  const plan: ModelHostOptions["plan"] = ({ procedure }) =>
    procedure === domainCreateWithFlags.name ? { queueMs: 500 } : {};
  const { clock, client, domains } = await stage({ plan });
  await domains.define(document);
  const order: string[] = [];
  const starting = client.call(domainCreateWithFlags, { dom, flags: 0 }).then(() => order.push("start"));
  const title = client
    .call(domainGetMetadata, { dom, type: 1, uri: null, flags: 0 })
    .catch(() => order.push("title"));
  await client.call(domainGetState, { dom, flags: 0 }).then(() => order.push("state"));
  await passing(clock, Promise.all([starting, title]));
  assert.equal(order[0], "state");
  assert.equal(order.length, 3);
});

test("a daemon that crashes during a start leaves the guest off, and a killed agent gets no reply", async () => {
  const plan: ModelHostOptions["plan"] = ({ procedure }) =>
    procedure === domainCreateWithFlags.name ? { workMs: 500 } : {};
  const { clock, client, host, domains } = await stage({ plan });
  await domains.define(document);
  const start = client.call(domainCreateWithFlags, { dom, flags: 0 });
  await setImmediate();
  assert.equal(stateOf(host), "paused");
  host.crashDaemon();
  assert.equal(await reasonOf(start), "LIBVIRT_OUTCOME_UNKNOWN");
  host.startDaemon();
  assert.equal(stateOf(host), "shutoff");
  await passing(clock, clock.sleep(1000));
  let isAnswered = false;
  void client.call(domainCreateWithFlags, { dom, flags: 0 }).finally(() => (isAnswered = true));
  await setImmediate();
  client.kill();
  await passing(clock, clock.sleep(60_000));
  assert.equal(isAnswered, false);
  assert.equal(stateOf(host), "running");
});
