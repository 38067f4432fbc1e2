/** The model's data for a history: its domains, and the object of each effect. */
import { DomainState } from "../../../../agent/libvirt/index.ts";
import type { WorldDomain } from "../history.ts";
import type { EffectFacts } from "./call-plan.ts";
import type { ModelLibvirtOptions } from "./client.ts";
import { sourcesOf } from "./definition.ts";
import { readXml, socleText, stampedOperation, type Element } from "./element.ts";
import { isActive } from "./guest-run.ts";
import type { Entry, ModelDomain, World } from "./world.ts";

export function worldDomain(world: World, domain: ModelDomain): WorldDomain {
  const { config } = domain;
  const instance = socleText(config, "instance");
  const operation = stampedOperation(config);
  const tenant = socleText(config, "tenant");
  const state = Object.entries(DomainState).find(([, number]) => number === domain.state)?.[0] ?? "";
  const volumes = sourcesOf(config).flatMap((path) => volumeAt(world, path) ?? []);
  return {
    vm: domain.uuid,
    name: domain.name,
    state: state.toLowerCase(),
    ...(instance === undefined ? {} : { instance }),
    ...(operation === undefined ? {} : { operation }),
    ...(tenant === undefined ? {} : { tenant }),
    volumes,
  };
}

function volumeAt(world: World, path: string): string | undefined {
  for (const pool of world.pools.values())
    if (path.startsWith(`${pool.path}/`)) return `${pool.name}/${path.slice(pool.path.length + 1)}`;
  return undefined;
}

/** Undefined: the call only reads. */
export function effectFacts(
  world: World,
  { effect }: Entry,
  args: unknown,
  { by, agentRun }: ModelLibvirtOptions,
): EffectFacts | undefined {
  if (effect === undefined) return undefined;
  const { call, of } = effect;
  const subject = of(args);
  const domain = subject.vm === undefined ? undefined : world.domains.get(subject.vm);
  const config = call === "define" ? definedBy(args) : domain?.config;
  const instance = socleText(config, "instance");
  const operation = stampedOperation(config);
  const tenant = call === "define" ? socleText(config, "tenant") : undefined;
  return {
    call,
    by,
    ...(agentRun === undefined ? {} : { agentRun }),
    ...subject,
    ...(instance === undefined ? {} : { instance }),
    ...(operation === undefined ? {} : { operation }),
    ...(tenant === undefined ? {} : { tenant }),
    ...(domain === undefined || !isActive(domain) ? {} : { guestRun: domain.starts }),
  };
}

const definedBy = (args: unknown): Element | undefined => {
  try {
    return readXml((args as { xml: string }).xml, "domain");
  } catch {
    return undefined;
  }
};
