import { parseDocument } from "../document.ts";
import type { XmlElement } from "../element.ts";
import { present } from "../present.ts";

/**
 * `virConnectGetDomainCapabilities`: what one emulator offers to domains of one machine and type. Devices, features and
 * their values keep libvirt's own names, e.g. `devices.tpm.values.backendModel`.
 */
export interface DomainCapabilities {
  readonly emulator?: string;
  /** kvm, qemu. */
  readonly domainType: string;
  readonly machine?: string;
  readonly arch: string;
  readonly maxVcpus?: number;
  readonly os: {
    /** efi, bios: what libvirt can choose by itself. */
    readonly firmwares: readonly string[];
    readonly loaderPaths: readonly string[];
    readonly loaderTypes: readonly string[];
    readonly secureBoot: boolean;
  };
  readonly cpu: {
    readonly hostPassthrough: boolean;
    readonly hostPassthroughMigratable: boolean;
    readonly maximum: boolean;
    /** What a guest with mode host-model would get; absent where that mode is not supported. */
    readonly hostModel?: {
      readonly model: string;
      readonly vendor?: string;
      readonly features: readonly { readonly name: string; readonly policy: string }[];
    };
    readonly customModels: readonly {
      readonly name: string;
      /** Absent: libvirt does not know. */
      readonly usable?: boolean;
      readonly vendor?: string;
      readonly deprecated?: boolean;
    }[];
  };
  readonly memoryBackingSources: readonly string[];
  readonly devices: Readonly<Record<string, Support>>;
  readonly features: Readonly<Record<string, Support>>;
  /** sev, sev-snp, tdx, s390-pv: the kinds of confidential guests that can be started. */
  readonly launchSecurity: readonly string[];
}

export interface Support {
  readonly supported: boolean;
  readonly values: Readonly<Record<string, readonly string[]>>;
}

/**
 * The features that make each model of CPU unusable here: six sevenths of the document. Nothing reads them, so they are not
 * parsed.
 */
const blockers = /<blockers [^<>]*>(?:\s*<feature name='[^'<>]*'\/>)*\s*<\/blockers>/g;

export function parseDomainCapabilities(xml: string): DomainCapabilities {
  const root = parseDocument(xml.replace(blockers, ""), "domainCapabilities");
  const os = root.child("os");
  const loader = os?.child("loader");
  const features = supports(root.child("features"));
  return present<DomainCapabilities>({
    emulator: root.textAt("path"),
    domainType: root.requireText("domain"),
    machine: root.textAt("machine"),
    arch: root.requireText("arch"),
    maxVcpus: root.child("vcpu")?.integerAttr("max"),
    os: {
      firmwares: enumValues(os, "firmware"),
      loaderPaths: loader?.textsAt("value") ?? [],
      loaderTypes: enumValues(loader, "type"),
      secureBoot: enumValues(loader, "secure").includes("yes"),
    },
    cpu: readCpu(root.child("cpu")),
    memoryBackingSources: enumValues(root.child("memoryBacking"), "sourceType"),
    devices: supports(root.child("devices")),
    features,
    launchSecurity: features["launchSecurity"]?.values["sectype"] ?? [],
  });
}

function readCpu(cpu: XmlElement | undefined): DomainCapabilities["cpu"] {
  const mode = (name: string) =>
    cpu?.all("mode").find((element) => element.attr("name") === name && element.flagAttr("supported"));
  const passthrough = mode("host-passthrough");
  type Cpu = DomainCapabilities["cpu"];
  return present<Cpu>({
    hostPassthrough: passthrough !== undefined,
    hostPassthroughMigratable: enumValues(passthrough, "hostPassthroughMigratable").includes("on"),
    maximum: mode("maximum") !== undefined,
    hostModel: readHostModel(mode("host-model")),
    customModels: (mode("custom")?.all("model") ?? []).map((model) =>
      present<Cpu["customModels"][number]>({
        name: model.text,
        usable: model.flagAttr("usable"),
        vendor: model.attr("vendor"),
        deprecated: model.flagAttr("deprecated"),
      }),
    ),
  });
}

function readHostModel(mode: XmlElement | undefined): DomainCapabilities["cpu"]["hostModel"] {
  const model = mode?.child("model");
  if (mode === undefined || model === undefined) return undefined;
  return present<NonNullable<DomainCapabilities["cpu"]["hostModel"]>>({
    model: model.text,
    vendor: mode.textAt("vendor"),
    features: mode.all("feature").map((feature) => ({
      name: feature.requireAttr("name"),
      policy: feature.attr("policy") ?? "require",
    })),
  });
}

function supports(parent: XmlElement | undefined): Record<string, Support> {
  return Object.fromEntries(
    (parent?.children ?? []).map((element) => [
      element.name,
      {
        supported: element.flagAttr("supported") ?? false,
        values: Object.fromEntries(
          element.all("enum").map((list) => [list.attr("name") ?? "", list.textsAt("value")]),
        ),
      },
    ]),
  );
}

function enumValues(parent: XmlElement | undefined, name: string): string[] {
  const list = parent?.all("enum").find((each) => each.attr("name") === name);
  return list?.textsAt("value") ?? [];
}
