/** The model's data for a history: its domains, and the object of each effect. */
import { DomainState } from "../../../../agent/libvirt/index.ts";
import type { WorldDomain } from "../history.ts";
import type { EffectFacts } from "./call-plan.ts";
import type { ModelLibvirtOptions } from "./client.ts";
import { sourcesOf } from "./definition.ts";
import { aliasOf } from "./devices.ts";
import { find, socleText, stampedOperation, viewXml, type Element } from "./element.ts";
import { isActive } from "./guest-run.ts";
import type { Entry, ModelDomain, Subject, World } from "./world.ts";

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
    ...deviceSight(world, domain),
  };
}

interface StoredDisk {
  readonly name: string;
  readonly source: {
    readonly kind: string;
    readonly volume?: { readonly pool: string; readonly volume: string };
  };
}

/** Socle's devices by name, drives with their medium, as the spec, the definition and the guest have them. */
function deviceSight(world: World, { config, live }: ModelDomain): Pick<WorldDomain, "devices"> {
  const text = socleText(config, "spec");
  if (text === undefined) return {};
  const stored = JSON.parse(text) as { disks: readonly StoredDisk[]; nics: readonly { name: string }[] };
  const spec = [
    ...stored.disks.map(({ name, source: { kind, volume } }) =>
      withMedium(
        `ua-disk-${name}`,
        kind === "cdrom" && volume ? `${volume.pool}/${volume.volume}` : undefined,
      ),
    ),
    ...stored.nics.map(({ name }) => `ua-nic-${name}`),
  ].sort();
  const definition = devicesIn(world, config);
  return { devices: { spec, definition, ...(live === undefined ? {} : { guest: devicesIn(world, live) }) } };
}

const withMedium = (alias: string, medium: string | undefined): string =>
  medium === undefined ? alias : `${alias} with ${medium}`;

const devicesIn = (world: World, domain: Element): string[] =>
  (find(domain, "devices")?.children ?? [])
    .flatMap((device) => {
      const alias = aliasOf(device) ?? "";
      if (!/^ua-(disk|nic)-/.test(alias)) return [];
      const file = device.attributes.device === "cdrom" ? find(device, "source")?.attributes.file : undefined;
      return withMedium(alias, file && volumeAt(world, file));
    })
    .sort();

/** Whether a running guest has the file of a volume. */
const isOpenFile = (world: World, volume: string): boolean =>
  [...world.domains.values()].some(({ live }) =>
    (live === undefined ? [] : sourcesOf(live)).some((path) => volumeAt(world, path) === volume),
  );

function volumeAt(world: World, path: string): string | undefined {
  for (const pool of world.pools.values())
    if (path.startsWith(`${pool.path}/`)) return `${pool.name}/${path.slice(pool.path.length + 1)}`;
  return undefined;
}

/** Undefined: the call only reads. `subject`: what its effect is about. */
export function effectFacts(
  world: World,
  { effect }: Entry,
  args: unknown,
  subject: Subject | undefined,
  { by, agentRun }: ModelLibvirtOptions,
): EffectFacts | undefined {
  if (effect === undefined || subject === undefined) return undefined;
  const { call } = effect;
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
    ...(call === "volume_delete" && isOpenFile(world, subject.volume ?? "") ? { isOpen: true } : {}),
    ...(call === "save_remove" && domain?.saved?.isWhole === true ? { isWhole: true } : {}),
    ...(instance === undefined ? {} : { instance }),
    ...(operation === undefined ? {} : { operation }),
    ...(tenant === undefined ? {} : { tenant }),
    ...(domain === undefined || !isActive(domain) ? {} : { guestRun: domain.starts }),
  };
}

const definedBy = (args: unknown): Element | undefined => {
  try {
    return viewXml((args as { xml: string }).xml, "domain");
  } catch {
    return undefined;
  }
};
