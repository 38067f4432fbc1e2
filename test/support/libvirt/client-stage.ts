import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { LibvirtError, type Subscribable, type TopicItem } from "../../../agent/libvirt/index.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { Libvirt } from "../../../agent/libvirt/client/client.ts";
import type { LibvirtOptions } from "../../../agent/libvirt/client/options.ts";
import { RETRY } from "../../../agent/libvirt/client/read-again.ts";
import * as p from "../../../agent/libvirt/protocol/index.ts";
import type { FakeClock } from "../host/fake-clock.ts";
import { eventually } from "../wait.ts";
import { encoded, type FakeDaemon, type Client, type Received } from "./fake-daemon.ts";

export const dom: p.Domain = { name: "vm", uuid: "00112233-4455-6677-8899-aabbccddeeff", id: 1 };
export const register = p.connectDomainEventCallbackRegisterAny.number;
export const quick: Omit<LibvirtOptions, "uri"> = {
  log: silentLog,
  backoff: { baseMs: 10, capMs: 20 },
  connectTimeoutMs: 60_000,
};

export async function connect(
  t: TestContext,
  daemon: FakeDaemon,
  options: Partial<LibvirtOptions> = {},
): Promise<Libvirt> {
  const libvirt = await Libvirt.connect({ ...quick, uri: daemon.uri, ...options });
  t.after(() => libvirt.close());
  return libvirt;
}

/** All items published from now on. */
export function itemsOf<T>(t: TestContext, topic: Subscribable<T>, capacity?: number): TopicItem<T>[] {
  const items: TopicItem<T>[] = [];
  const stop = new AbortController();
  t.after(() => stop.abort());
  const queue = topic.subscribe(stop.signal, capacity);
  void (async () => {
    for await (const item of queue) items.push(item);
  })();
  return items;
}

export function values<T>(items: readonly TopicItem<T>[]): T[] {
  return items.flatMap((item) => (item.kind === "item" ? [item.value] : []));
}

export function replyHostname(call: Received, name = "host"): void {
  call.reply(encoded(p.connectGetHostname.result, { hostname: name }));
}

export function reason(thrown: unknown): string {
  assert.ok(thrown instanceof LibvirtError, String(thrown));
  return `${thrown.kind} ${thrown.reason}`;
}

/** Once a read waits for its first retry, advances the clock by `ms`: past its last retry by default. */
export async function passRetries(clock: FakeClock, ms: number = RETRY.withinMs): Promise<void> {
  await eventually(() => clock.sleepingMs.includes(RETRY.firstPauseMs), { what: "a read to be retried" });
  clock.advance(ms);
}

/** The client of the connection that receives events. */
export async function listener(daemon: FakeDaemon): Promise<Client> {
  return eventually(() => daemon.open.find((client) => client.callsOf(register).length > 0));
}
