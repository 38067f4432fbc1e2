import type { DocumentRules, ElementRule } from "../writer.ts";
import { onOff, yesNo } from "../writer.ts";
import { deviceRules } from "./device-rules.ts";
import { metadataRules, type MetadataNamespace } from "./metadata.ts";

// The allow-list of domains: what is not listed here is never written. Terms and value forms are those of libvirt's
// domaincommon.rng.

const empty: ElementRule = {};
const toggled: ElementRule = { attributes: { state: onOff } };
const word: ElementRule = { text: "word" };
const path: ElementRule = { text: "path" };
const integer: ElementRule = { text: "integer" };
const kibibytes: ElementRule = { attributes: { unit: ["KiB"] }, text: "integer" };
const numaModes = ["strict", "preferred", "interleave", "restrictive"] as const;
const onStop = ["destroy", "restart", "preserve", "rename-restart"] as const;

export const domainRules: DocumentRules = {
  root: "domain",
  rule: {
    attributes: { type: ["kvm", "qemu", "test"] },
    children: {
      name: { text: "name" },
      uuid: { text: "uuid" },
      title: { text: "text" },
      description: { text: "prose" },
      maxMemory: { attributes: { slots: "integer", unit: ["KiB"] }, text: "integer" },
      memory: kibibytes,
      currentMemory: kibibytes,
      memtune: { children: { hard_limit: kibibytes } },
      memoryBacking: {
        children: {
          hugepages: {
            children: { page: { attributes: { size: "integer", unit: ["KiB"], nodeset: "set" } } },
          },
          nosharepages: empty,
          locked: empty,
          source: { attributes: { type: ["anonymous", "file", "memfd"] } },
          access: { attributes: { mode: ["shared", "private"] } },
          allocation: { attributes: { mode: ["immediate", "ondemand"] } },
        },
      },
      vcpu: { attributes: { placement: ["static"], current: "integer", cpuset: "set" }, text: "integer" },
      vcpus: {
        children: { vcpu: { attributes: { id: "integer", enabled: yesNo, hotpluggable: yesNo } } },
      },
      iothreads: integer,
      cputune: {
        children: {
          shares: integer,
          period: integer,
          quota: integer,
          vcpupin: { attributes: { vcpu: "integer", cpuset: "set" } },
          emulatorpin: { attributes: { cpuset: "set" } },
          iothreadpin: { attributes: { iothread: "integer", cpuset: "set" } },
        },
      },
      numatune: {
        children: {
          memory: { attributes: { mode: numaModes, nodeset: "set", placement: ["static"] } },
          memnode: { attributes: { cellid: "integer", mode: numaModes, nodeset: "set" } },
        },
      },
      os: {
        attributes: { firmware: ["bios", "efi"] },
        children: {
          type: { attributes: { arch: "word", machine: "word" }, text: ["hvm"] },
          firmware: {
            children: { feature: { attributes: { enabled: yesNo, name: ["secure-boot", "enrolled-keys"] } } },
          },
          loader: {
            attributes: {
              readonly: yesNo,
              type: ["rom", "pflash"],
              secure: yesNo,
              format: ["raw", "qcow2"],
            },
            text: "path",
          },
          nvram: { attributes: { template: "path", format: ["raw", "qcow2"] }, text: "path" },
          kernel: path,
          initrd: path,
          cmdline: { text: "text" },
          boot: { attributes: { dev: ["hd", "cdrom", "network", "fd"] } },
        },
      },
      features: {
        children: {
          acpi: empty,
          apic: empty,
          pae: empty,
          smm: toggled,
          vmport: toggled,
          kvm: { children: { hidden: toggled } },
          ioapic: { attributes: { driver: ["kvm", "qemu"] } },
          tcg: { children: { "tb-cache": { attributes: { unit: ["MiB"] }, text: "integer" } } },
        },
      },
      cpu: {
        attributes: {
          mode: ["host-passthrough", "host-model", "custom", "maximum"],
          match: ["minimum", "exact", "strict"],
          check: ["none", "partial", "full"],
          migratable: onOff,
        },
        children: {
          model: { attributes: { fallback: ["allow", "forbid"] }, text: "word" },
          vendor: word,
          topology: {
            attributes: {
              sockets: "integer",
              dies: "integer",
              clusters: "integer",
              cores: "integer",
              threads: "integer",
            },
          },
          feature: {
            attributes: { policy: ["force", "require", "optional", "disable", "forbid"], name: "word" },
          },
          numa: {
            children: {
              cell: {
                attributes: {
                  id: "integer",
                  cpus: "set",
                  memory: "integer",
                  unit: ["KiB"],
                  memAccess: ["shared", "private"],
                },
              },
            },
          },
        },
      },
      clock: {
        attributes: { offset: ["utc", "localtime"] },
        children: {
          timer: {
            attributes: {
              name: ["platform", "hpet", "kvmclock", "pit", "rtc", "tsc", "hypervclock"],
              present: yesNo,
              tickpolicy: ["delay", "catchup", "merge", "discard"],
              mode: ["auto", "native", "emulate", "paravirt", "smpsafe"],
              frequency: "integer",
            },
          },
        },
      },
      on_poweroff: { text: onStop },
      on_reboot: { text: onStop },
      on_crash: { text: [...onStop, "coredump-destroy", "coredump-restart"] },
      devices: { children: { emulator: path, ...deviceRules } },
      launchSecurity: {
        attributes: { type: ["sev", "sev-snp", "tdx"] },
        children: { policy: { text: "hex" } },
      },
    },
  },
};

/** The allow-list of domains with metadata of the given namespaces. */
export function domainRulesWith(namespaces: readonly MetadataNamespace[]): DocumentRules {
  if (namespaces.length === 0) return domainRules;
  const metadata: ElementRule = {
    children: Object.fromEntries(namespaces.flatMap((each) => Object.entries(metadataRules(each)))),
  };
  const { root, rule } = domainRules;
  return { root, rule: { ...rule, children: { ...rule.children, metadata } } };
}
