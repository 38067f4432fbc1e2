// Writes the man pages and the bash completion into systemd/ from the parts they describe: the CLI's own commands, the
// configuration's schema and the metrics' collectors. A unit test fails while they are not what this writes.
//
//   node --import tsx scripts/gen-man.ts
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { bashCompletion } from "../agent/cli/commands/completion.ts";
import { exitCodeMeanings, exitCodes } from "../agent/cli/errors.ts";
import { buildProgram } from "../agent/cli/program.ts";
import { specFields, type SpecField } from "../agent/cli/spec-help.ts";
import { configKeys, type ConfigKey } from "../agent/config/keys.ts";
import { allCollectors } from "../agent/metrics/collectors/index.ts";

const systemd = join(import.meta.dirname, "..", "systemd");

/** By path under systemd/. */
export function generatedFiles(): Map<string, string> {
  const program = buildProgram("", () => () => Promise.resolve());
  return new Map([
    ["man/socle.1", socle(program)],
    ["man/socle-agent.8", agent()],
    ["man/socle-agent.yaml.5", configuration()],
    ["man/socle-metrics.7", metrics()],
    ["completion/socle.bash", bashCompletion(program)],
  ]);
}

/** roff, one request or line of text per entry. */
type Roff = readonly string[];

const page = (name: string, section: number, summary: string, body: Roff): string =>
  [
    `.TH ${name.toUpperCase().replaceAll("-", "\\-")} ${section} "" "Socle" "Socle manual"`,
    // Do not hyphenate names of metrics and keys.
    ".nh",
    ".SH NAME",
    `${text(name)} \\- ${text(summary)}`,
    ...body,
    "",
  ].join("\n");

const text = (words: string): string =>
  words
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^(['.])/, "\\&$1");
const bold = (words: string): string => `\\fB${text(words)}\\fR`;
const section = (title: string, ...body: Roff): string[] => [`.SH ${title}`, ...body];
const item = (term: string, ...words: Roff): string[] => [".TP", term, ...words.map(text)];
const paragraph = (...words: Roff): string[] => [".PP", ...words.map(text)];
const example = (...lines: Roff): string[] => [".PP", ".RS 4", ".nf", ...lines.map(text), ".fi", ".RE"];

function socle(program: Command): string {
  return page("socle", 1, "drive the VMs of this host through its Socle agent", [
    ...section("SYNOPSIS", `${bold("socle")} [options] command`),
    ...section(
      "DESCRIPTION",
      text("Calls the agent of this host over its unix socket. Access to the socket gives all rights."),
      ...paragraph(
        "A change (vm create, start, stop ...) is an operation: the command shows its steps on standard error while it waits, and its outcome on standard output. Interrupting the command does not interrupt the operation.",
      ),
    ),
    ...section("OPTIONS", ...options(program)),
    ...section("COMMANDS", ...commands(program, [])),
    ...section(
      "SPEC FILE",
      text(
        "The file of socle vm create is YAML or JSON. A size is like 2GiB, or in bytes under the longer name (memoryBytes). socle vm create --example prints a file to start with.",
      ),
      ...specFields().flatMap(specField),
    ),
    ...section(
      "OUTPUT FOR PROGRAMS",
      text(
        "With --json a command prints one JSON document, or one line per item when it follows changes. Fields and enums are named as in the contract (proto/socle/v1) in camel case; a Timestamp is RFC 3339, a Duration like 1.5s; numbers are numbers; absent messages are null. An error is a line of JSON on standard error: error.kind, reason, message, fields, metadata, retryAfterMs, exitCode.",
      ),
    ),
    ...section(
      "EXIT STATUS",
      ...Object.entries(exitCodes).flatMap(([name, code]) =>
        item(bold(String(code)), exitCodeMeanings[name as keyof typeof exitCodes]),
      ),
    ),
    ...section(
      "ENVIRONMENT",
      ...item(bold("SOCLE_SOCKET"), "The agent's socket, unless --socket is given."),
      ...item(
        bold("NO_COLOR"),
        "Switches colours off if it is not empty. Output to a file or pipe has no colours either.",
      ),
    ),
    ...section(
      "EXAMPLES",
      ...example(
        "socle vm create --name web-1 --vcpus 2 \\",
        "  --memory 2GiB --nic default --label tier=front \\",
        "  --disk new:default:20GiB:debian-13.qcow2",
        "socle vm console web-1",
        "socle vm stop web-1 --grace 60s --force",
        "socle vm ls --json | jq -r '.vms[] |",
        '  select(.state == "VM_STATE_PAUSED").name\'',
        "socle events --since-start \\",
        "  --kind vm_state_changed",
      ),
    ),
    ...section(
      "SEE ALSO",
      "\\fBsocle\\-agent\\fR(8), \\fBsocle\\-agent.yaml\\fR(5), \\fBsocle\\-metrics\\fR(7)",
    ),
  ]);
}

const specField = ({ path, description, inner }: SpecField): string[] => [
  ...item(bold(path), description),
  ...inner.flatMap(specField),
];

function* commands(command: Command, path: readonly string[]): Generator<string> {
  for (const inner of command.commands) {
    const words = [...path, inner.name()];
    const given = inner.registeredArguments.map((argument) =>
      argument.required ? `<${argument.name()}>` : `[${argument.name()}]`,
    );
    const aliases = inner.aliases().length === 0 ? "" : ` (also ${inner.aliases().join(", ")})`;
    yield `.SS ${bold(["socle", ...words].join(" "))}${given.map((name) => ` ${text(name)}`).join("")}`;
    yield text(`${inner.description()}${aliases}`);
    yield* options(inner);
    yield* commands(inner, words);
  }
}

const options = (command: Command): string[] =>
  command.options.flatMap(({ flags, description, argChoices }) =>
    item(
      bold(flags),
      argChoices === undefined ? description : `${description} One of ${argChoices.join(", ")}.`,
    ),
  );

function agent(): string {
  return page("socle-agent", 8, "the agent that runs the VMs of a host", [
    ...section("SYNOPSIS", `${bold("socle agent")} [${bold("--config")} file]`),
    ...section(
      "DESCRIPTION",
      text(
        "Drives VMs through libvirt, reports the host to a scheduler over gRPC, and shows it to Prometheus. It runs as socle-agent.service, as the user socle in the group libvirt.",
      ),
      ...paragraph(
        "VMs belong to libvirt. Stopping, crashing or upgrading the agent touches no guest; VMs that Socle did not create are listed and counted, never changed. After a restart the agent asks libvirt for the outcome of interrupted operations.",
      ),
    ),
    ...section(
      "SIGNALS",
      ...item(bold("SIGTERM, SIGINT"), "Stop in order: running operations get time to end, guests run on."),
      ...item(bold("SIGHUP"), "Read the configuration again; the log names the keys that need a restart."),
      ...item(bold("SIGUSR1"), "Ignored: Node's debugger is not opened."),
    ),
    ...section(
      "CREDENTIALS",
      text(
        "The unit imports credentials named socle-* from the host's stores (systemd-creds(1)); a new one takes effect at a restart. If one cannot be decrypted, systemd does not start the agent (exit status 243; socle doctor reports it). Test each with systemd-creds decrypt FILE - >/dev/null, then encrypt the failing one again or move it away.",
      ),
      ...item(bold("socle-bmc-password"), "The password of bmc.user, where bmc.passwordFile is not set."),
      ...item(
        bold("socle-agent-key"),
        "The private key of agent.crt in trust.directory, instead of agent.key there.",
      ),
      ...item(
        bold("socle-enrollment-token"),
        "The token with which a host without a certificate enrolls at trust.enrollAt.",
      ),
      ...item(
        bold("socle-volume-key"),
        "32 random bytes that seal the passphrases of encrypted disks, where vm.volumeKeyFile is not set.",
      ),
      ...example(
        "systemd-creds encrypt --with-key=host --name=socle-bmc-password - \\",
        "  /etc/credstore.encrypted/socle-bmc-password < password",
      ),
    ),
    ...section(
      "HARDWARE HELPER",
      text(
        "socle-hardware.service reads the kernel's log, the CPUs' energy, /dev/ipmi0 and smartctl. Its socket starts it when the agent sends a request. It has the capabilities for these, a user of its own, no network and no access to other files of the host. systemctl disable --now socle-hardware.socket switches it off: conditions that depend on it are NotWatched. If it fails, the next request starts it again; the conditions are Unknown until it answers.",
      ),
    ),
    ...section(
      "NETWORKS",
      text(
        "The unit allows the agent only this host and private networks (IPAddressDeny=any). A scheduler, Prometheus, BMC, collector or name server elsewhere needs a drop-in with its IPAddressAllow=: systemctl edit socle-agent. Other connections time out.",
      ),
    ),
    ...section(
      "FILES",
      ...item(
        bold("/etc/socle/agent.yaml"),
        "The configuration. socle config show --example prints an example.",
      ),
      ...item(bold("/run/socle/agent.sock"), "The API for this host's operators, open to the group socle."),
      ...item(
        bold("/run/socle-hardware.sock"),
        "The hardware helper's socket, open to the agent's user only.",
      ),
      ...item(bold("/var/lib/socle"), "The journal of operations, the events, the counters. Mode 0700."),
    ),
    ...section(
      "HTTP",
      text("On metrics.listen, read-only:"),
      ...item(bold("/metrics"), "For Prometheus; see socle-metrics(7)."),
      ...item(bold("/healthz"), "200 while the process lives and its event loop runs."),
      ...item(
        bold("/readyz"),
        "200 when the agent is ready: it serves, libvirt lists its VMs, and it accepts changes. Otherwise 503 and the reasons, one line of JSON each. It does not depend on whether the host takes new VMs: see socle_host_schedulable and socle health.",
      ),
    ),
    ...section(
      "EXIT STATUS",
      ...item(bold("0"), "The agent stopped on request."),
      ...item(bold("2"), "The command line or the configuration is not valid; a restart does not help."),
      ...item(
        bold("other"),
        "The agent failed; standard error and the log (JSON lines on standard output) have the cause.",
      ),
    ),
    ...section(
      "SEE ALSO",
      "\\fBsocle\\fR(1), \\fBsocle\\-agent.yaml\\fR(5), \\fBsocle\\-metrics\\fR(7), \\fBlibvirtd\\fR(8)",
    ),
  ]);
}

function configuration(): string {
  const body: string[] = [];
  let current = "";
  const show = (path: string, key: Omit<ConfigKey, "section">): void => {
    const { description, defaultValue, allowed, inner } = key;
    const words = [description, allowed].filter((part) => part !== "").join(" ");
    const preset = defaultValue === undefined ? [] : [`Default: ${JSON.stringify(defaultValue)}`];
    body.push(...item(bold(path), words, ...preset.flatMap((line) => ["", line])));
    for (const below of inner) show(`${path}.${below.name}`, below);
  };
  for (const key of configKeys()) {
    if (key.section !== current) body.push(`.SS ${key.section}`);
    current = key.section;
    show(`${key.section}.${key.name}`, key);
  }
  return page("socle-agent.yaml", 5, "configuration of the Socle agent", [
    ...section(
      "DESCRIPTION",
      text(
        "/etc/socle/agent.yaml is YAML: sections of keys. Every key is optional. The agent refuses unknown keys and invalid values at its start; socle config check finds them earlier.",
      ),
    ),
    ...section("KEYS", ...body),
    ...section("SEE ALSO", "\\fBsocle\\-agent\\fR(8), \\fBsocle\\fR(1)"),
  ]);
}

function metrics(): string {
  const collectors = allCollectors();
  return page("socle-metrics", 7, "metrics of the Socle agent for Prometheus", [
    ...section(
      "DESCRIPTION",
      text(
        "/metrics is served in the text format 0.0.4 and in OpenMetrics 1.0.0, as the scraper prefers. A scrape never waits: it shows the latest observation. A value that could not be read, or is older than three sampling intervals, is left out and never zero.",
      ),
      ...paragraph(
        "Metrics come from collectors. A failing collector loses only its own metrics: see socle_collector_success, socle_collector_duration_seconds, and socle_collector_last_success_timestamp_seconds for the time of its last reading.",
      ),
      ...paragraph(
        "collect[]=NAME in the query selects collectors, exclude[]=NAME leaves some out, metrics.disabledCollectors in the configuration switches some off. VMs are labelled by uuid; socle_vm_info has the other labels: socle_vm_cpu_seconds_total * on (vm) group_left (name) socle_vm_info.",
      ),
    ),
    ...section(
      "COLLECTORS",
      ...collectors.flatMap(({ name, families }) => [
        `.SS ${text(name)}`,
        ...families
          .filter(({ name: metric }) => metric.startsWith("socle_"))
          .flatMap(({ name: metric, help, kind, labels }) =>
            item(`${bold(metric)}${labels.length === 0 ? "" : text(`{${labels.join(", ")}}`)} ${kind}`, help),
          ),
        ...(name === "process" ? [text("The agent's own process: process_* and nodejs_*.")] : []),
      ]),
    ),
    ...section("SEE ALSO", "\\fBsocle\\-agent\\fR(8)"),
  ]);
}

if (process.argv[1] === import.meta.filename) {
  for (const [path, content] of generatedFiles()) {
    await mkdir(join(systemd, path, ".."), { recursive: true });
    await writeFile(join(systemd, path), content);
  }
}
