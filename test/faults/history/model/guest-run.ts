/** Runs of the model's guests: how one starts and ends, and which definition a change applies to. */
import * as libvirt from "../../../../agent/libvirt/index.ts";
import { memoryKib, sourcesOf } from "./definition.ts";
import { all, cloneElement, element, find, setText, type Element } from "./element.ts";
import { Refusal, type ModelDomain, type World } from "./world.ts";

const State = libvirt.DomainState;
const Reason = libvirt.DomainStateReason;
const { LIVE, CONFIG } = libvirt.DomainModificationImpact;

export const isActive = ({ id }: Pick<ModelDomain, "id">): boolean => id >= 0;

/** The guest is there, and does not run yet. */
export function beginStart(world: World, domain: ModelDomain): void {
  if (isActive(domain)) throw new Refusal(55, "Requested operation is not valid: domain is already running");
  if (domain.saved?.isWhole === false) domain.saved = undefined;
  refuseMissingFiles(world, domain);
  domain.id = world.number();
  domain.starts += 1;
  domain.live = liveOf(world, domain.saved?.live ?? domain.config, domain.id);
  domain.isStarting = true;
  domain.state = State.PAUSED;
  domain.reason = Reason.PAUSED.STARTING_UP;
}

function refuseMissingFiles(world: World, domain: ModelDomain): void {
  const paths = new Set(
    [...world.pools.values()].flatMap((pool) => [...pool.volumes.values()].map((v) => v.path)),
  );
  for (const path of sourcesOf(domain.saved?.live ?? domain.config)) {
    const isOfPool = [...world.pools.values()].some((pool) => path.startsWith(`${pool.path}/`));
    if (!isOfPool || paths.has(path)) continue;
    domain.reason = Reason.SHUTOFF.FAILED;
    throw new Refusal(38, `Cannot access storage file '${path}': No such file or directory`, 2);
  }
}

function liveOf(world: World, config: Element, id: number): Element {
  const live = cloneElement(config);
  live.attributes.id = String(id);
  // A guest without a balloon has all of it.
  setText(live, "currentMemory", String(memoryKib(config)));
  for (const nic of all(find(live, "devices"), "interface")) {
    if (find(nic, "target") === undefined)
      nic.children.push(element("target", { dev: `vnet${world.number()}` }));
  }
  return live;
}

export function started(world: World, domain: ModelDomain, paused: boolean): void {
  domain.isStarting = false;
  if (domain.saved !== undefined) {
    restored(world, domain, paused, domain.saved.isPaused);
    return;
  }
  domain.state = paused ? State.PAUSED : State.RUNNING;
  domain.reason = paused ? Reason.PAUSED.USER : Reason.RUNNING.BOOTED;
  if (!paused) world.emit(domain, { kind: "lifecycle", event: "resumed", detail: "unpaused" });
  world.emit(domain, { kind: "lifecycle", event: "started", detail: "booted" });
  if (paused) world.emit(domain, { kind: "lifecycle", event: "suspended", detail: "paused" });
}

/** A start from a whole image, which is removed. */
function restored(world: World, domain: ModelDomain, startsPaused: boolean, wasPaused: boolean): void {
  const paused = startsPaused || wasPaused;
  domain.saved = undefined;
  domain.state = paused ? State.PAUSED : State.RUNNING;
  domain.reason = paused ? Reason.PAUSED.MIGRATION : Reason.RUNNING.RESTORED;
  world.emit(domain, { kind: "lifecycle", event: "started", detail: "restored" });
  if (!paused) world.emit(domain, { kind: "lifecycle", event: "resumed", detail: "from_snapshot" });
  else
    world.emit(domain, {
      kind: "lifecycle",
      event: "suspended",
      detail: startsPaused ? "paused" : "restored",
    });
}

/** The details of "stopped" by the reason of SHUTOFF. */
const details = {
  SHUTDOWN: "shutdown",
  DESTROYED: "destroyed",
  CRASHED: "crashed",
  FAILED: "failed",
  SAVED: "saved",
  DAEMON: "failed",
  UNKNOWN: "failed",
} as const;

/** The guest is gone, for this reason of SHUTOFF; a transient domain goes with it. */
export function ended(world: World, domain: ModelDomain, why: keyof typeof details): void {
  domain.isStarting = false;
  domain.live = undefined;
  domain.state = State.SHUTOFF;
  domain.reason = Reason.SHUTOFF[why];
  const detail = details[why];
  domain.id = -1;
  if (!domain.isPersistent) world.domains.delete(domain.uuid);
  world.emit(domain, { kind: "lifecycle", event: "stopped", detail });
}

/** A domain that runs; refuses another. */
export const active = (world: World, dom: libvirt.Domain): ModelDomain => {
  const domain = world.domain(dom);
  if (!isActive(domain)) throw new Refusal(55, "Requested operation is not valid: domain is not running");
  return domain;
};

/** The definitions that a change is about. */
export function affected(domain: ModelDomain, flags: number): Element[] {
  const live = (flags & LIVE) !== 0 || ((flags & CONFIG) === 0 && isActive(domain));
  const config = (flags & CONFIG) !== 0 || ((flags & LIVE) === 0 && !isActive(domain));
  if (live && !isActive(domain))
    throw new Refusal(55, "Requested operation is not valid: domain is not running");
  if (config && !domain.isPersistent)
    throw new Refusal(
      55,
      "Requested operation is not valid: transient domains do not have any persistent config",
    );
  return [...(live ? [domain.live] : []), ...(config ? [domain.config] : [])].filter(
    (each) => each !== undefined,
  );
}

/** What is shown of it when nothing else is said: as it runs, else as it is configured. */
export const shown = ({ live, config }: ModelDomain): Element => live ?? config;
