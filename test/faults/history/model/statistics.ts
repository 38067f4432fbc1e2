/** The bulk statistics: each domain's fields that the agent reads. */
import {
  connectGetAllDomainStats,
  DomainStatsTypes,
  type TypedParameter,
} from "../../../../agent/libvirt/index.ts";
import { memoryKib, sourcesOf, vcpusOf } from "./definition.ts";
import { isActive, shown } from "./guest-run.ts";
import { all, find } from "./element.ts";
import { answering, referenceTo, type Entry, type ModelDomain } from "./world.ts";

const number = (
  field: string,
  value: number,
  type: "int" | "uint" | "ullong" = "ullong",
): TypedParameter => ({
  field,
  value: { type, value },
});
const text = (field: string, value: string): TypedParameter => ({ field, value: { type: "string", value } });

function readings(domain: ModelDomain, groups: number): TypedParameter[] {
  const config = shown(domain);
  const running = isActive(domain);
  const { current, max } = vcpusOf(config);
  const memory = memoryKib(config);
  const has = (group: number): boolean => (groups & group) !== 0;
  const nics = all(find(config, "devices"), "interface");
  const files = sourcesOf(config);
  return [
    ...(has(DomainStatsTypes.STATE)
      ? [number("state.state", domain.state, "int"), number("state.reason", domain.reason, "int")]
      : []),
    ...(has(DomainStatsTypes.CPU_TOTAL) && running
      ? ["time", "user", "system"].map((name) => number(`cpu.${name}`, 0))
      : []),
    ...(has(DomainStatsTypes.BALLOON)
      ? [
          number("balloon.current", memory),
          number("balloon.maximum", memory),
          ...(running ? [number("balloon.rss", memory)] : []),
        ]
      : []),
    ...(has(DomainStatsTypes.VCPU)
      ? [
          number("vcpu.current", current, "uint"),
          number("vcpu.maximum", max, "uint"),
          ...(running
            ? Array.from({ length: current }, (_, index) => [
                number(`vcpu.${index}.state`, 1, "int"),
                number(`vcpu.${index}.time`, 0),
              ]).flat()
            : []),
        ]
      : []),
    ...(has(DomainStatsTypes.INTERFACE) && running
      ? [
          number("net.count", nics.length, "uint"),
          ...nics.map((nic, index) => text(`net.${index}.name`, find(nic, "target")?.attributes.dev ?? "")),
        ]
      : []),
    ...(has(DomainStatsTypes.BLOCK)
      ? [
          number("block.count", files.length, "uint"),
          ...files.map((_, index) => text(`block.${index}.name`, targetOf(domain, index))),
        ]
      : []),
  ];
}

const targetOf = (domain: ModelDomain, index: number): string => {
  const disk = all(find(shown(domain), "devices"), "disk")[index];
  return (disk && find(disk, "target")?.attributes.dev) ?? "";
};

export const statisticsCalls: readonly Entry[] = [
  answering(connectGetAllDomainStats, (world, { stats }) => {
    const groups = stats === 0 ? 0xffff : stats;
    const retStats = [...world.domains.values()].map((domain) => ({
      dom: referenceTo(domain),
      params: readings(domain, groups),
    }));
    return { retStats };
  }),
];
