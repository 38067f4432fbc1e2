import { readFileSync } from "node:fs";
import { join } from "node:path";
import { layout } from "./layout.ts";
import { parseEnumeration, parseHeader, type Enumeration, type Header } from "./headers.ts";
import { camelCase, releasesOf, Writer } from "./procedures.ts";
import { parseProtocolFile, type ProtocolFile } from "./protocol-file.ts";
import { releasesOfFunctions } from "./public-api.ts";

/** Public headers, in include/libvirt. A member may be defined by one of an earlier header. */
const headerFiles: Readonly<Record<string, string>> = {
  common: "libvirt-common.h.in",
  virterror: "virterror.h",
  domain: "libvirt-domain.h",
  host: "libvirt-host.h",
  "domain-checkpoint": "libvirt-domain-checkpoint.h",
  "domain-snapshot": "libvirt-domain-snapshot.h",
  event: "libvirt-event.h",
  interface: "libvirt-interface.h",
  network: "libvirt-network.h",
  nodedev: "libvirt-nodedev.h",
  nwfilter: "libvirt-nwfilter.h",
  qemu: "libvirt-qemu.h",
  secret: "libvirt-secret.h",
  storage: "libvirt-storage.h",
  stream: "libvirt-stream.h",
};

/** Objects with events: their names in enumerations of event ids, and in procedures. */
const eventObjects: Readonly<Record<string, string>> = {
  Domain: "DOMAIN",
  Network: "NETWORK",
  StoragePool: "STORAGE_POOL",
  NodeDevice: "NODE_DEVICE",
  Secret: "SECRET",
};

/** The codecs of rpc/xdr.ts that a declaration may use. */
const codecs =
  "array bool chars double hyper int opaque optional optionalText struct text typedParameter typedParameters uhyper uint uuid";

/** What agent/libvirt/protocol is to contain for a libvirt source tree: text by path. */
export function generatedFiles(tree: string): Map<string, string> {
  const read = (path: string): string => readFileSync(join(tree, path), "utf8");
  const values = new Map<string, number>();
  const headers = new Map(
    Object.entries(headerFiles).map(([name, file]) => {
      return [name, parseHeader(read(`include/libvirt/${file}`), values)] as const;
    }),
  );
  const remote = parseProtocolFile(read("src/remote/remote_protocol.x"), values);
  const qemu = parseProtocolFile(read("src/remote/qemu_protocol.x"), remote.constants);
  // The releases that brought each program.
  const remoteReleases = releasesOf(
    remote.procedures,
    releasesOfFunctions(read("src/libvirt_public.syms")),
    "0.3.0",
  );
  const qemuReleases = releasesOf(
    qemu.procedures,
    releasesOfFunctions(read("src/libvirt_qemu.syms")),
    "0.8.3",
  );
  const writer = new Writer("remote", remote, remote, remoteReleases);
  const qemuWriter = new Writer("qemu", qemu, remote, qemuReleases);

  const auth = parseEnumeration("virAuthType", remote.enums.get("remote_auth_type") ?? "", values);
  const feature = parseHeader(read("src/libvirt_internal.h"), values).enumerations.find(
    ({ name }) => name === "virDrvFeature",
  );
  if (feature === undefined) throw new Error("src/libvirt_internal.h has no virDrvFeature");
  const session = [auth, { ...feature, name: "virDriverFeature" }];
  const files = new Map([
    ...constantFiles(headers),
    ["constants/session.ts", session.map(enumeration).join("\n")],
    ...procedureFiles(remote, writer, qemu, qemuWriter),
    ["event-ids.ts", eventTables(headers, remote, writer)],
  ]);
  const version = /version: '([\d.]+)'/.exec(read("meson.build"))?.[1] ?? "unknown";
  const exported = [...files.keys()].map((file) => `export * from "./${file}";`);
  files.set("index.ts", [`export const protocolVersion = "${version}";`, "", ...exported].join("\n"));
  const note = `// Generated from libvirt ${version} by scripts/gen-libvirt; do not edit.`;
  return new Map([...files].map(([path, text]) => [path, `${note}\n${laidOut(text)}\n`]));
}

function laidOut(text: string): string {
  const statements = text.trim().split("\n");
  return statements.map((statement) => layout(statement)).join("\n");
}

/** A file for each header, with its enumerations and the names of its parameters. Domains have three. */
function constantFiles(headers: ReadonlyMap<string, Header>): [string, string][] {
  const files = new Map<string, string[]>();
  const add = (file: string, statement: string): void => {
    files.set(file, [...(files.get(file) ?? []), statement]);
  };
  for (const [header, { enumerations, texts }] of headers) {
    for (const each of enumerations) {
      const isEvent = /^vir(Connect)?Domain(Event|MemoryFailure)/.test(each.name);
      add(isEvent ? "domain-event" : header, enumeration(each));
    }
    for (const [name, value] of texts) {
      add(
        header === "domain" ? "domain-parameters" : header,
        `export const ${name} = ${JSON.stringify(value)};`,
      );
    }
  }
  return [...files].map(([file, statements]) => [`constants/${file}.ts`, statements.join("\n")]);
}

function enumeration({ name, members }: Enumeration): string {
  const rows = members.map((member) => `${member.name}: ${member.value}`);
  return `export const ${name.replace(/^vir/, "")} = { ${rows.join(", ")} } as const;`;
}

function procedureFiles(
  remote: ProtocolFile,
  writer: Writer,
  qemu: ProtocolFile,
  qemuWriter: Writer,
): [string, string][] {
  const structs = writer.structs();
  const structNames = structs.flatMap((text) => /const (\w+) =/.exec(text)?.[1] ?? []);
  const groups = new Map<string, string[]>();
  for (const procedure of remote.procedures) {
    const group = groupOf(procedure.name);
    groups.set(group, [...(groups.get(group) ?? []), writer.procedure(procedure)]);
  }
  const ofQemu = qemu.procedures.map((procedure) => qemuWriter.procedure(procedure));
  return [
    ["structs.ts", withImports(structs.join("\n"), [])],
    ...[...groups, ["qemu", ofQemu] as const].map(([group, declarations]): [string, string] => {
      return [`${group}.ts`, withImports(declarations.join("\n"), structNames)];
    }),
  ];
}

/** Files of procedures whose names do not begin with their file's. */
const groups: readonly (readonly [RegExp, string])[] = [
  [/^CONNECT_.*(EVENT|CALLBACK)/, "connect-event"],
  [/^DOMAIN_(ATTACH|DETACH|UPDATE)_DEVICE/, "domain-device"],
  [/^DOMAIN_(CREATE|DESTROY|PM|REBOOT|RESET|RESUME|SHUTDOWN|SUSPEND)(_|$)/, "domain-lifecycle"],
  [/^DOMAIN_(MANAGED_SAVE|RESTORE|SAVE)(_|$)/, "domain-save"],
];

/** The file of a procedure: that of its object. Domains have several. */
function groupOf(name: string): string {
  const [, group] = groups.find(([pattern]) => pattern.test(name)) ?? [];
  const objects =
    /^(DOMAIN(?:_(?:EVENT|MIGRATE|BLOCK|GET|SET|SNAPSHOT|CHECKPOINT))?|NETWORK(?:_PORT)?|NWFILTER|INTERFACE|NODE(?:_DEVICE)?|SECRET|STORAGE_POOL|STORAGE_VOL|AUTH)_/;
  return group ?? (objects.exec(name)?.[1] ?? "connect").toLowerCase().replaceAll("_", "-");
}

/** For each object with events, the id and the message of each event. */
function eventTables(headers: ReadonlyMap<string, Header>, remote: ProtocolFile, writer: Writer): string {
  const enumerations = [...headers.values()].flatMap((header) => header.enumerations);
  const messages = new Set(remote.procedures.map(({ name }) => name).filter((name) => writer.isEvent(name)));
  const tables = Object.entries(eventObjects).map(([object, prefix]) => {
    const ids = enumerations.find(({ name }) => name === `vir${object}EventID`)?.members ?? [];
    const events = ids.map(({ name, value }) => {
      const names = [`${prefix}_EVENT_CALLBACK_${name}`, `${prefix}_EVENT_${name}`];
      const message = names.find((candidate) => messages.has(candidate));
      if (message === undefined) throw new Error(`no message for the event ${names.join(" or ")}`);
      return { key: camelCase(name), eventId: value, event: camelCase(message) };
    });
    const rows = events.map(({ key, eventId, event }) => `${key}: { eventId: ${eventId}, event: ${event} }`);
    const imported = events.map(({ event }) => event).join(", ");
    return {
      imports: `import { ${imported} } from "./${groupOf(`${prefix}_EVENT_`)}.ts";`,
      table: `export const ${camelCase(prefix)}Events = { ${rows.join(", ")} } as const;`,
    };
  });
  return [...tables.map(({ imports }) => imports), "", ...tables.map(({ table }) => table)].join("\n");
}

/** `text` after imports of the functions, codecs and structs that it uses. */
function withImports(text: string, structNames: readonly string[]): string {
  const code = text.replaceAll(/"[^"]*"|\/\*.*?\*\/|export (const|type) \w+/g, "");
  const used = (names: readonly string[]): string[] =>
    names.filter((name) => new RegExp(`\\b${name}\\b(?!:)`).test(code));
  const imports = [
    { from: "../rpc/procedure.ts", names: used(["event", "procedure"]) },
    {
      from: "../rpc/xdr.ts",
      names: [...used(codecs.split(" ")), ...used(["Value"]).map((name) => `type ${name}`)],
    },
    { from: "./structs.ts", names: used(structNames) },
  ].filter(({ names }) => names.length > 0);
  return [
    ...imports.map(({ from, names }) => `import { ${names.join(", ")} } from "${from}";`),
    "",
    text,
  ].join("\n");
}
